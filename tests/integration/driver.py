"""A taskmaster of its own for each test: the real program, its commands on a pipe, its answers read back."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, str(ROOT / "bin" / "taskmaster"))
SYSTEM_PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin")
"""One that everybody may run. The client needs nothing but the standard library."""
OWN = {"--state-dir": "state", "--socket": "control.sock"}
"""What every program under test is given, so that none touches the machine's own; seen from its home."""


def environment(home: Path) -> dict[str, str]:
    """What the program under test sees: nothing of the caller's but PATH."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def others_can_run() -> bool:
    """Whether this checkout and a Python for it can be reached by somebody who is not root, and we can be him."""
    if os.geteuid() != 0 or SYSTEM_PYTHON is None:
        return False
    command = [SYSTEM_PYTHON, "-I", "-S", str(ROOT / "bin" / "taskmasterctl"), "--version"]
    return subprocess.run(command, user=65534, capture_output=True, check=False, cwd="/").returncode == 0


def run(home: Path, *arguments: str, stdin: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
    """One whole run of the program in `home`, with `stdin` piped in; its socket and state are there, unless named."""
    own = [word for flag in OWN if flag not in arguments for word in (flag, OWN[flag])]
    return subprocess.run(
        [*PROGRAM, *own, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=home,
        env=environment(home) | changes,
        timeout=60,
        check=False,
    )


def alive(pid: int) -> bool:
    """Whether the kernel has a process of that number that is not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def daemons_of(guardian: int) -> list[int]:
    """The daemon that is a guardian's child; of its other children each leads a session."""
    try:
        session = os.getsid(guardian)
        children = Path(f"/proc/{guardian}/task/{guardian}/children").read_text().split()
        return [pid for pid in map(int, children) if _session(pid) == session]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _session(pid: int) -> int:
    """That of a process; 0 where it is gone."""
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return 0


def _is_taskmaster(pid: int) -> bool:
    """By the title that it has given itself, or how it was started."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        known = words.startswith(b"taskmaster: ") or b"bin/taskmaster" in words or b"tm.cli.guardian" in words
        return known or not words  # as in the middle of an exec
    return not Path("/proc/self").exists()


def kill_all(pid: int) -> None:
    """SIGKILL to a guardian and its daemon, neither of which then starts the other again; to a daemon without one.

    Where it has ended its number may be anybody's by now, even a thread's of our own: nothing is done.
    """
    if _is_taskmaster(pid):
        kill_both(pid)


def kill_both(pid: int) -> None:
    """The same, where the number is known to be its own still.

    The guardian stands still first. A daemon that stood still would be continued by the kernel when it is orphaned.
    """
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    daemons = daemons_of(pid)
    for each in (*daemons, pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    for each in daemons:
        until(lambda each=each: not alive(each), "the end of the daemon")  # type: ignore[misc]


class Taskmaster:
    """A running one. Use as a context: at its end the program is told to leave and must. `under`: what starts it."""

    under: tuple[str, ...] = ()

    def __init__(self, home: Path, config: str, *flags: str, program: Path | None = None, **changes: str) -> None:
        """`program`: the checkout to run, this one by default."""
        self.home = home
        self.shell = "-n" not in flags
        self.path = home / "web.yaml"
        self.write(config)
        self._out = home / "stdout.txt"
        self._err = home / "stderr.txt"
        start = PROGRAM if program is None else (sys.executable, str(program / "bin" / "taskmaster"))
        own = ["--state-dir", str(home / "state"), "--socket", "control.sock"]
        arguments = [*self.under, *start, *own, *flags, str(self.path)]
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=home, env=environment(home) | changes
            )

    def __enter__(self) -> Taskmaster:
        if self.shell:
            self.wait_output("^Taskmaster ")
            self.ask("help help")
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if self.process.poll() is None and kind is None:
                self.leave() if self.shell else self.signal(signal.SIGTERM)
                assert self.process.wait(30) == 0, self.errors
        finally:
            self.end()

    def end(self) -> None:
        """Make sure that it and its children are gone, whatever the test has found."""
        assert self.process.stdin is not None
        try:
            for _ in range(2):
                self.process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(3)
        finally:
            self.kill()
            self.process.stdin.close()

    @property
    def daemon(self) -> int:
        """The pid of the daemon: a child of its guardian's where it has one."""
        return next(iter(daemons_of(self.process.pid)), self.process.pid)

    def kill(self) -> None:
        """SIGKILL to it, and to its guardian where it has one: nothing starts it again."""
        if self.process.poll() is None:
            kill_both(self.process.pid)
        self.process.wait()

    @property
    def output(self) -> str:
        """Everything it has printed."""
        return self._out.read_text(errors="replace")

    @property
    def errors(self) -> str:
        """Everything it has printed on stderr."""
        return self._err.read_text(errors="replace")

    @property
    def log(self) -> str:
        """Its event log."""
        path = self.home / "taskmaster.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def write(self, config: str) -> None:
        """Write its configuration file."""
        self.path.write_text(dedent(config))

    def type(self, line: str) -> None:
        """Type a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        """Type a command and return what came up to the answer of the next one."""
        before = len(self.output)
        self.type(line)
        self.type("version")
        answer = until(
            lambda: re.match(r"(?s)(.*?)^taskmaster \d.*\n", self.output[before:], re.M), f"answer to {line}"
        )
        return answer[1]

    def status(self) -> dict[str, dict[str, Any]]:
        """The rows of `status --json` by name."""
        answer = self.ask("status --json")
        if answer.startswith("[]"):
            return {}
        rows = re.search(r"(?ms)^\[$.*?^\]$", answer)
        assert rows, answer
        return {row["name"]: row for row in json.loads(rows[0])}

    def wait_for(self, **states: str) -> dict[str, dict[str, Any]]:
        """Wait until each named process is in its state, and return the rows."""

        def reached() -> dict[str, dict[str, Any]] | None:
            rows = self.status()
            return rows if all(name in rows and rows[name]["status"] == s for name, s in states.items()) else None

        return until(reached, f"{states}, but: {self.log[-2000:]}")

    def pid(self, name: str) -> int:
        """The pid of a process that is alive."""
        pid = self.status()[name]["pid"]
        assert isinstance(pid, int)
        return pid

    def wait_output(self, pattern: str) -> re.Match[str]:
        """Wait until the output matches."""
        return until(lambda: re.search(pattern, self.output), f"{pattern!r} in {self.output[-2000:]}")

    def signal(self, signum: signal.Signals) -> None:
        """Send the daemon a signal."""
        self.process.send_signal(signum)

    def leave(self, timeout_s: float = 30) -> int:
        """Type `exit` and wait for the end; its exit code."""
        self.type("exit")
        return self.process.wait(timeout_s)
