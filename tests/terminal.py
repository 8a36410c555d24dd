"""A person at a terminal: a pseudo-terminal with a shell or a program in it, keys typed, the screen read."""

from __future__ import annotations

import codecs
import os
import re
import select
import signal
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pexpect

from tests.screen import Screen
from tests.waiting import until

PROMPT = "Taskmaster> "
SHELL_PROMPT = "sh> "
COLUMNS = 300


class Terminal:
    """`command` is the session's leader at a terminal of its own. Close it at the end: then nothing of it is left."""

    def __init__(self, command: list[str], home: Path, environment: dict[str, str]) -> None:
        self.mark = f"SESSION={home}"
        self.screen = Screen(COLUMNS)
        marked = environment | {"SESSION": str(home), "INPUTRC": "/dev/null", "PS1": SHELL_PROMPT}
        program, *arguments = command
        self.program = pexpect.spawn(program, arguments, cwd=home, env=marked, dimensions=(50, COLUMNS), timeout=30)
        self.program.delaybeforesend = None
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def type(self, keys: str) -> None:
        """Press keys; Enter is `\\r`."""
        self.program.send(keys)

    def look(self) -> list[str]:
        """The rows of the screen that are not empty, from the first one on."""
        end = self.program.child_fd
        with suppress(OSError):
            while end >= 0 and select.select([end], [], [], 0)[0] and (read := os.read(end, 65536)):
                self.screen.feed(self._decoder.decode(read))
        return self.screen.lines()

    def until_shown(self, pattern: str) -> re.Match[str]:
        """Until the screen has text that matches; `^` and `$` are those of rows."""
        try:
            return until(lambda: re.search(pattern, "\n".join(self.look()), re.M), f"{pattern!r} on the screen")
        except AssertionError as error:
            raise AssertionError(self._told(error)) from None

    def ask(self, line: str, prompt: str = PROMPT) -> str:
        """Type a command at the prompt and return what is shown up to the next prompt."""
        before = len(self.look())
        self.type(line + "\r")
        entered = (prompt + line).rstrip()

        def answered() -> list[str] | None:
            """The rows from the command to the prompt."""
            rows = self.look()[before - 1 :]
            whole = entered in rows and rows[-1] == prompt.rstrip()
            return rows[rows.index(entered) :] if whole else None

        try:
            return "\n".join(until(answered, f"the answer to {line}")[1:-1])
        except AssertionError as error:
            raise AssertionError(self._told(error)) from None

    def status(self) -> dict[str, tuple[str, int | None]]:
        """State and pid of each process, as the table shows them."""
        rows = re.findall(r"(?m)^(\S+) +([A-Z]+) +(\d+|-) +\S+ +\d+ ", self.ask("status"))
        return {name: (state, int(pid) if pid != "-" else None) for name, state, pid in rows}

    def wait_for(self, **states: str) -> dict[str, tuple[str, int | None]]:
        """Until each named process is in its state, as the table says; the whole table then."""

        def reached() -> dict[str, tuple[str, int | None]] | None:
            table = self.status()
            return table if all(name in table and table[name][0] == state for name, state in states.items()) else None

        return until(reached, f"{states}")

    def modes(self) -> list[Any]:
        """The modes that the terminal is in."""
        return termios.tcgetattr(self.program.child_fd)

    def hang_up(self) -> int:
        """Take the terminal away; the exit code of its session's leader."""
        self._close_end()
        return self.exit_code()

    def exit_code(self) -> int:
        """Wait for the end of the session's leader; -n when a signal has ended it."""
        return os.waitstatus_to_exitcode(until(self._ended, "the end of the session's leader")[1])

    def close(self) -> None:
        """Kill whatever the test has left behind."""
        everybody = marked(self.mark)
        if not self.program.terminated:
            everybody |= family(self.program.pid)
        for pid in everybody:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not self.program.terminated:
            self.exit_code()
        self._close_end()

    def _close_end(self) -> None:
        """By the object that owns the descriptor, so that nobody closes it a second time."""
        program = self.program.ptyproc
        program.fileobj.close()
        program.fd = self.program.child_fd = -1
        program.closed = self.program.closed = True

    def _ended(self) -> tuple[int, int] | None:
        self.look()
        found = os.waitpid(self.program.pid, os.WNOHANG)
        if not found[0]:
            return None
        self.program.ptyproc.terminated = self.program.terminated = True
        return found

    def _told(self, error: AssertionError) -> str:
        return "\n".join([str(error), *self.screen.lines()[-40:]])


def marked(mark: str) -> set[int]:
    """The processes whose environment holds `mark`."""
    return {pid for pid in _pids() if mark.encode() in _read(pid, "environ").split(b"\0")}


def family(pid: int) -> set[int]:
    """A process and all its descendants."""
    parents = {each: int(stat.rpartition(b")")[2].split()[1]) for each in _pids() if (stat := _read(each, "stat"))}
    found, more = set[int](), {pid}
    while more:
        found |= more
        more = {child for child, parent in parents.items() if parent in more} - found
    return found


def terminal_of(pid: int) -> int:
    """The number of the terminal that a process can be sent signals by; 0: none."""
    return int(_read(pid, "stat").rpartition(b")")[2].split()[4])


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def _read(pid: int, what: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{what}").read_bytes()
    return b""
