"""What the processes write, on the daemon's own stdout as well: line by line, each with the name of its process.

Guarantees: whole lines; control sequences other than colours do not get through; a reader that is slow, stopped or gone
makes nobody wait: then lines are lost here, which is told in their place, and nowhere else.
Leaves to others: what is read from the pipes, and when (`daemon.outputs`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import suppress

from tm.core.lines import decoded, head, printable, whole
from tm.daemon.output_views import Style
from tm.daemon.outputs import Listener, Outputs
from tm.daemon.supervisor import Supervisor
from tm.daemon.wiring import Key
from tm.edge.loop import Loop
from tm.edge.outlet import Outlet

LINE_BYTES = 16 * 1024
"""A line that is longer comes in pieces, as what collects the output of containers would cut it anyway."""
WAITING_BYTES = 4 * 1024 * 1024
_PIPE_BYTES = 1024 * 1024
_STDOUT = 1


class Echo:
    """The echo of one daemon. A listener of `outputs`, from its making to its `close`."""

    def __init__(self, loop: Loop, supervisor: Supervisor, outputs: Outputs, colour: bool) -> None:
        self._supervisor = supervisor
        self._outputs = outputs
        self._style = Style(("stdout", "stderr"), as_json=False, raw=False, colour=colour)
        self._begun: dict[tuple[Key, str], bytes] = {}
        with suppress(OSError, AttributeError):  # so that the reader need not be as quick as a burst
            fcntl.fcntl(_STDOUT, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._outlet = Outlet(loop, _STDOUT, WAITING_BYTES)
        self._listener = Listener(self.hear)
        outputs.listeners.append(self._listener)

    def hear(self, key: Key, stream: str, data: bytes) -> None:
        """A listener of `Outputs`. A line that is unfinished at the end is shown as it is."""
        said = self._begun.pop((key, stream), b"") + data
        size = whole(said, LINE_BYTES) if data else len(said)
        if rest := said[size:]:
            self._begun[key, stream] = rest
        if size:
            self._show(key, stream, said[:size])

    def close(self) -> None:
        """Give the reader a last, short chance."""
        self._outputs.listeners.remove(self._listener)
        self._outlet.close()

    def _show(self, key: Key, stream: str, data: bytes) -> None:
        row = self._supervisor.rows.get(key)
        before = self._style.prefix(key[0] if row is None else row.name, key[0], stream)
        lines = data.removesuffix(b"\n").split(b"\n")
        shown = (f"{before}{printable(decoded(piece))}\n" for line in lines for piece in _pieces(line))
        self._outlet.put("".join(shown).encode())


def _pieces(line: bytes) -> Iterator[bytes]:
    while len(line) > LINE_BYTES:
        size = head(line, LINE_BYTES)
        yield line[:size]
        line = line[size:]
    yield line
