"""A console on the real loop that says what it was told: `got 'line'`, `interrupt`, `end`.

    console_driver.py TELLS HISTORY LOG [--stay] [--close-stdin]

TELLS is a FIFO: what is written to it is told above the prompt. LOG receives what happens, a line an event,
since the terminal itself may be stopped or gone. With --stay the end of the input does not end the program,
`quit` does.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tm.edge import console, linedit
from tm.edge.cooked import Cooked
from tm.edge.history import History
from tm.edge.loop import Loop
from tm.edge.outlet import Outlet

PROMPT = "Taskmaster> "
NAMES = ["status", "start", "stop", "worker:worker_1", "worker:worker_2", "@label", "--json"]
SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP)


class Driver:
    """Owns everything that the tests look at."""

    def __init__(self, tells: str, history: str, log: str, stay: bool) -> None:
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.stay = stay
        self.loop = Loop(on_error=self.failed)
        self.console = console.Console(
            self.loop,
            Outlet(self.loop),
            linedit.load(PROMPT, History(history), complete) or Cooked(PROMPT),
            console.Calls(self.line, self.end, self.interrupt),
        )
        self.tells = os.open(tells, os.O_RDWR | os.O_NONBLOCK)
        self.loop.watch(self.tells, self.tell)
        self.signals()

    def signals(self) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        self.pipe = (ours, theirs)
        for signum in (*SIGNALS, signal.SIGCONT, signal.SIGWINCH):
            signal.signal(signum, lambda signum, frame: None)
        self.loop.watch(ours.fileno(), self.signalled)

    def signalled(self) -> None:
        for signum in self.pipe[0].recv(4096):
            if signum in (signal.SIGCONT, signal.SIGHUP):
                self.console.foreground()
            if signum == signal.SIGWINCH:
                self.console.resized()
            self.note(signal.Signals(signum).name)

    def note(self, what: str) -> None:
        os.write(self.log, (what.encode(errors="backslashreplace") + b"\n"))

    def line(self, line: str) -> None:
        self.note(f"got {line!r}" if len(line) < 200 else f"got {len(line)} characters")
        if line == "quit":
            self.console.close()
            self.loop.stop()
        elif line.startswith("print "):
            self.console.write("\n".join(f"{n:07}" for n in range(int(line.split()[1]))))
        elif line == "fail":
            raise RuntimeError("as told")
        elif line == "retire":
            self.console.retire()
        elif line:
            self.console.write(f"got {line if len(line) < 200 else len(line)}")

    def end(self) -> None:
        self.note("end")
        if not self.stay:
            self.loop.stop()

    def interrupt(self) -> None:
        self.note("interrupt")

    def tell(self) -> None:
        text = os.read(self.tells, 65536).decode()
        if text.startswith("flood "):
            for n in range(int(text.split()[1])):
                self.console.tell(f"{n:07}")
        else:
            self.console.tell(text)
        self.note("told")

    def failed(self, error: BaseException) -> None:
        self.note(f"failed {error!r}")

    def run(self) -> None:
        try:
            if "--close-stdin" in sys.argv:
                os.close(0)
            self.console.open()
            self.note("open")
            self.loop.run()
        finally:
            self.console.close()
            self.console.close()
            self.note("closed")


def complete(before: str, word: str) -> list[str]:
    return [name for name in NAMES if name.startswith(word)]


if __name__ == "__main__":
    Driver(*sys.argv[1:4], stay="--stay" in sys.argv).run()
