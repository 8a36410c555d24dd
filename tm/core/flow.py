"""Output on its way from a child's pipe to where it belongs: what pipes, streams and sinks ask of one another.

Shapes only, so that no module of the edge has to import another. What a sink did not take stays in the pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, Protocol

from tm.core.turns import Turns


class Found(Enum):
    """What there was to be taken."""

    SOME = "some"
    NOTHING = "nothing now"
    UNFINISHED = "an unfinished line only"
    END = "nothing any more"


class Taken(NamedTuple):
    """What a sink took. `data`: the bytes, where they were wanted or are known anyway; `trouble`: why it takes no more
    after them; `raw`: the bytes as they were written, where they were wanted and `data` has them in another form.
    """

    found: Found
    size: int = 0
    data: bytes = b""
    trouble: OSError | None = None
    raw: bytes = b""


def nothing(data: bytes | None) -> Taken:
    """What a pipe that shows no bytes means."""
    return Taken(Found.NOTHING if data is None else Found.END)


class Pipe(Protocol):
    """The daemon's end of a child's output. `line_bytes`: an unfinished line of so many bytes counts as whole."""

    line_bytes: int

    @property
    def fd(self) -> int:
        """The descriptor."""

    def widen(self) -> None:
        """Have room for a line of 64 KiB, where the kernel allows it."""

    def read(self) -> bytes | None:
        """Take what there is; b'' at the end, None when there is nothing now."""

    def peek(self) -> bytes | None:
        """Look at what there is; b'' at the end, None when there is nothing now."""

    def drop(self, count: int) -> None:
        """Take `count` bytes that `peek` has shown."""

    def splice(self, target: int, count: int) -> int | None:
        """Move up to `count` bytes into a file; 0 at the end, None when there is nothing now. Raises OSError."""

    def hung_up(self) -> bool:
        """Whether the last writer is gone, though there may be something to be read."""

    def close(self) -> None:
        """Give the descriptor back."""


class Sink(Protocol):
    """A target of output. `shared`: only whole lines may be written."""

    @property
    def shared(self) -> bool: ...

    def take(self, pipe: Pipe, writer: object, wanted: bool, ending: bool, /) -> Taken:
        """Take one transfer from `pipe`; raises OSError when it can take none now. `wanted`: somebody is to be shown
        the bytes; `ending`: an unfinished line counts as whole, nothing may ever come behind it.
        """
        ...

    def end_line(self, writer: object, /) -> None:
        """If the last that `writer` wrote is an unfinished line, end it; raises OSError as `take`."""
        ...

    def give_up(self, pipe: Pipe, writer: object, /) -> int:
        """Lose what it has refused, whole lines where there are any; how many bytes. `writer` has no claim any more to
        go on where it was cut short.
        """
        ...


class Log(Protocol):
    """An open log, however many streams write to it: what is asked of it beside its taking. `path`: where it is;
    `users`: how many write to it; `turns`: who goes first; `lost`: how many bytes it did not take and were given up.
    """

    path: str
    users: int
    turns: Turns
    lost: int

    @property
    def fd(self) -> int:
        """The descriptor, still its own."""

    def join(self) -> None:
        """One more writer."""

    def leave(self, writer: object, /) -> None:
        """`writer` will not come back."""

    def reopen(self) -> None:
        """Open it anew; raises OSError and keeps what it has."""

    def close(self) -> None:
        """Give the descriptor back."""


class OpenFile(Protocol):
    """The file that a log is; `tm.edge.files` has the one there is. `at`: how far what is written goes; `splices`:
    whether it takes bytes by splice; `identity`: device and inode. `say` hears what is to be told, `on_open` that it
    has a descriptor, and whether that is of another file than before.
    """

    path: str
    at: int
    is_file: bool
    splices: bool
    identity: tuple[int, int]
    say: Callable[[str], None]
    on_open: Callable[[bool], None]

    @property
    def fd(self) -> int:
        """The descriptor, still its own. Raises OSError."""

    @property
    def resting(self) -> bool:
        """Whether it has none at present."""

    def look(self) -> None:
        """See what others have done to it. Raises OSError when it is gone and cannot be made again."""

    def append(self) -> None:
        """Let the kernel find the end at every write."""

    def before(self, count: int) -> bytes:
        """What stands before `at`; nothing where that cannot be read."""

    def cut(self, at: int) -> None:
        """Let it end there. Raises OSError."""

    def rotate(self, keep: int) -> None:
        """Go on in its successor, being `path.1`. Raises OSError and goes on as it was."""

    def reopen(self) -> None:
        """Open the path anew; raises OSError and keeps the old file."""

    def rest(self) -> None:
        """Give the descriptor of a regular file back until it is needed."""

    def close(self) -> None:
        """Give the descriptor back."""
