"""`top`: the table of `status`, kept current while somebody looks at it.

Guarantees: the daemon is asked when something has changed, ten times a second at most, and else once a second for the
clock; the terminal is left as it was found; q, Ctrl-C, Ctrl-D and a hang-up leave. Plain ANSI sequences; a change of
size is followed.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tm.cli.answer import now
from tm.cli.client import result
from tm.cli.codes import DONE, USAGE
from tm.cli.screen import complain, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tm.cli.client import Client
    from tm.cli.request import Request
    from tm.cli.screen import Screen

_REFRESH_S, _LEAST_S = 1.0, 0.1
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_LEAVING = frozenset(b"qQ\x03\x04")


def top(client: Client, request: Request, screen: Screen) -> int:
    """Show it until the operator leaves; the exit code. Raises Failed, Gone."""
    if not (screen.terminal and os.isatty(0)):
        complain("top needs a terminal. Type: taskmasterctl status")
        return USAGE
    params = request.params(screen)
    answer = client.call("status", params)
    if answer.get("outcome"):
        screen.err("\n".join(answer["lines"]))
        return int(answer["outcome"])
    client.call("events.subscribe", {"names": None})
    with _whole_screen() as resized:
        _watch(client, params, screen, resized)
    return DONE


def _watch(client: Client, params: dict[str, object], screen: Screen, resized: int) -> None:
    """Draw, then wait: for a key, an answer, a change, another size, the next second. A daemon that does not answer
    keeps nobody from leaving.
    """
    poll = select.poll()
    for fd in (0, client.fileno(), resized):
        poll.register(fd, select.POLLIN)
    asked: int | None = None
    drawn, due = 0.0, 0.0
    while True:
        if asked is None and now() >= due:
            (asked,) = client.send(("status", params | {"width": screen.size()[0]}))
        wait_ms = None if asked is not None else max(0.0, due - now()) * 1000
        ready = {fd for fd, _ in poll.poll(wait_ms)}
        if 0 in ready and _leaves():
            return
        for message in client.arrived() if client.fileno() in ready else ():
            if asked is not None and message.get("id") == asked:
                lines = result(message).get("lines", [])
                write(1, frame(lines, screen.size(), time.strftime("%H:%M:%S")))
                asked, drawn, due = None, now(), now() + _REFRESH_S
            elif message.get("method") == "change":
                due = min(due, drawn + _LEAST_S)
        due = 0.0 if resized in ready and os.read(resized, 4096) else due


def frame(lines: list[str], size: tuple[int, int], clock: str) -> str:
    """The whole screen as one text: a head, and as many lines as there is room for."""
    columns, rows = size
    head = f"taskmaster  {clock}  q leaves"[:columns]
    room = max(0, rows - 2)
    shown = lines[:room]
    if len(lines) > room and room:
        shown[-1] = f"... {len(lines) - room + 1} more lines"
    return "\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in [head, "", *shown][:rows]) + "\x1b[J"


def _end(signum: int, _stack: object) -> None:
    """By an exception, so that the terminal is put right on the way out."""
    sys.exit(128 + signum)


def _leaves() -> bool:
    try:
        keys = os.read(0, 1024)
    except OSError:
        return True
    return not keys or not _LEAVING.isdisjoint(keys)


@contextmanager
def _whole_screen() -> Iterator[int]:
    """Keys one by one, the other screen of the terminal; a descriptor that is readable when the size has changed."""
    found = termios.tcgetattr(0)
    modes = termios.tcgetattr(0)
    modes[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG)
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.signal(signal.SIGWINCH, lambda signum, stack: None)
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _end)
    try:
        termios.tcsetattr(0, termios.TCSANOW, modes)
        write(1, _ENTER)
        yield reader
    finally:
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGWINCH, before)
        os.close(reader)
        os.close(writer)
        write(1, _LEAVE)
        termios.tcsetattr(0, termios.TCSANOW, found)
