"""`--echo`: what the processes write, on the daemon's own stdout as well."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.client import Daemon
from tests.integration.driver import PROGRAM, ROOT, daemons_of, environment
from tests.terminal import Terminal
from tests.waiting import until

LINES = f"{sys.executable} {ROOT}/tests/programs/numbered_lines.py"
SHADE = "\x1b\\[\\d+m"


@contextmanager
def piped(home: Path, config: str) -> Iterator[tuple[Daemon, int]]:
    """A daemon whose stdout is a pipe that nobody reads yet, and its other end."""
    os.mkfifo(home / "stdout.txt")
    end = os.open(home / "stdout.txt", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with Daemon(home, config, "--echo", "-l", "taskmaster.log") as daemon:
            yield daemon, end
    finally:
        os.close(end)


READS = """
    tasks: {web: {command: "exec 3<>go; while read x <&3; do echo $x; done", autoLaunch: true, stdout: web.log}}
"""


def read_all(end: int) -> bytes:
    """What is in the pipe, up to its end."""
    os.set_blocking(end, True)
    parts = []
    while data := os.read(end, 1 << 20):
        parts.append(data)
    return b"".join(parts)


def test_each_line_has_the_name_of_its_process(tmp_path: Path) -> None:
    config = """
        defaults: {successfulStartTimeout: 0, autoLaunch: true}
        tasks:
          web: {command: "echo one; echo two >&2; printf three; exec sleep 1000", stdout: web.log, instances: 2}
          json: {command: "echo said; printf end", logFormat: json, stdout: json.log, stderr: stdout}
          loud: {command: "printf '\\\\033[2J\\\\033[31mred\\\\rover\\\\n'"}
    """
    with Daemon(tmp_path, config, "--echo") as daemon:
        for line in ("web_1 | one", "web_1 | ! two", "web_2 | one", "loud | \x1b[31mred\\x0dover\x1b[0m"):
            daemon.wait_output(rf"(?m)^{re.escape(line)}$")
        daemon.wait_output(r'(?m)^json \| \{.*"text": ?"said"')
        daemon.wait_output(r'(?m)^json \| \{.*"text": ?"end"')
        assert "three" not in daemon.output, "it is not a line yet"
    assert daemon.output.count("web_1 | three\n") == 1
    assert (tmp_path / "web.log").read_text().count("three") == 2
    assert "INFO" not in daemon.output


def test_without_it_nothing_is_said(tmp_path: Path) -> None:
    config = "tasks: {web: {command: 'echo one; exec sleep 1000', autoLaunch: true, stdout: web.log}}\n"
    with Daemon(tmp_path, config) as daemon:
        until(lambda: (tmp_path / "web.log").read_text(), "its line")
    assert daemon.output == ""


def test_a_name_that_changes_changes_here(tmp_path: Path) -> None:
    config = """
        defaults: {autoLaunch: true, successfulStartTimeout: 0}
        tasks: {web: {command: "exec 3<>go.$TASKMASTER_N; while read x <&3; do echo $x; done"}}
    """
    for n in (1, 2):
        os.mkfifo(tmp_path / f"go.{n}")
    with Daemon(tmp_path, config, "--echo") as daemon:
        (tmp_path / "go.1").write_text("before\n")
        daemon.wait_output(r"(?m)^web \| before$")
        assert daemon.ctl("scale", "web", "2").returncode == 0
        (tmp_path / "go.1").write_text("after\n")
        daemon.wait_output(r"(?m)^web_1 \| after$")


def test_at_a_terminal_names_are_coloured_and_there_is_nothing_else_of_the_children(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(
        "tasks:\n  web: {command: 'printf \"\\\\033[2Jone\\\\n\"; exec sleep 1000', autoLaunch: true}\n"
    )
    command = [*PROGRAM, "-n", "--echo", "--state-dir", "state", "--socket", "control.sock", "-l", "t.log", "web.yaml"]
    terminal = Terminal(command, tmp_path, environment(tmp_path) | {"TERM": "xterm"})
    try:
        seen = terminal.program.read_nonblocking(65536, 30)
        assert re.search(rf"{SHADE}web \|\x1b\[0m one\r\n", seen.decode()), seen
    finally:
        terminal.close()


def test_a_reader_that_is_stopped_makes_nobody_wait(tmp_path: Path) -> None:
    """Lines are lost here, and counted; in the log there are all of them."""
    count = 200_000
    config = f"""
        tasks:
          flood: {{command: "{LINES} flood {count}", autoLaunch: true, stdout: flood.log, logMaxSize: 0}}
    """
    with piped(tmp_path, config) as (daemon, end):
        until(lambda: daemon.state("flood") == "EXITED", "the end of the flood", 60)
        assert daemon.ctl("version").returncode == 0
        daemon.signal(signal.SIGTERM)
        lines = read_all(end).decode().splitlines()
        assert daemon.process.wait(30) == 0
    logged = (tmp_path / "flood.log").read_text().splitlines()
    assert len(logged) == count
    told = [re.fullmatch(r"\[([\d,]+) lines? of output dropped: nobody read on\]", line) for line in lines]
    dropped = sum(int(each[1].replace(",", "")) for each in told if each)
    shown = [line for line, each in zip(lines, told, strict=True) if not each]
    assert dropped > 0
    assert len(shown) + dropped == count
    assert set(shown) <= {f"flood | {line}" for line in logged}, "none is torn"


def test_a_reader_that_reads_gets_every_line_once_and_in_order(tmp_path: Path) -> None:
    config = f"""
        tasks:
          calm: {{command: "{LINES} calm 5000", autoLaunch: true, instances: 2}}
    """
    with piped(tmp_path, config) as (daemon, end):
        until(lambda: daemon.state("calm_1") == daemon.state("calm_2") == "EXITED", "their end")
        daemon.signal(signal.SIGTERM)
        lines = read_all(end).decode().splitlines()
    for name in ("calm_1", "calm_2"):
        numbers = [int(line.split()[3]) for line in lines if line.startswith(f"{name} | ")]
        assert numbers == list(range(5000))


def test_a_reader_that_is_gone_makes_nobody_wait_and_nobody_die(tmp_path: Path) -> None:
    config = (
        "tasks: {web: {command: 'exec 3<>go; while read x <&3; do echo $x; done', autoLaunch: true, stdout: web.log}}\n"
    )
    os.mkfifo(tmp_path / "go")
    with piped(tmp_path, config) as (daemon, end):
        (tmp_path / "go").write_text("one\n")
        until(lambda: (tmp_path / "web.log").read_text() == "one\n", "its line")
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, end)
        os.close(null)
        (tmp_path / "go").write_text("two\n")
        until(lambda: (tmp_path / "web.log").read_text() == "one\ntwo\n", "the next one")
        assert daemon.ctl("version").returncode == 0


def test_a_line_that_never_ends_comes_in_pieces(tmp_path: Path) -> None:
    config = f"""
        tasks: {{web: {{command: [{sys.executable}, -c, "print('x' * 100000)"], autoLaunch: true}}}}
    """
    with Daemon(tmp_path, config, "--echo") as daemon:
        until(lambda: daemon.output.count("x") == 100_000, "all of it")
        assert max(map(len, daemon.output.splitlines())) == 16 * 1024 + len("web | ")


def test_the_next_daemon_goes_on_with_it(tmp_path: Path) -> None:
    config = (
        "tasks: {web: {command: 'exec 3<>go; while read x <&3; do echo $x; done', autoLaunch: true, stdout: web.log}}\n"
    )
    os.mkfifo(tmp_path / "go")
    with Daemon(tmp_path, config, "--echo") as daemon:
        (tmp_path / "go").write_text("before\n")
        daemon.wait_output(r"(?m)^web \| before$")
        killed = daemon.daemon
        os.kill(killed, signal.SIGKILL)
        until(lambda: next((pid for pid in daemons_of(daemon.process.pid) if pid != killed), 0), "the next one")
        (tmp_path / "go").write_text("after\n")
        daemon.wait_output(r"(?m)^web \| after$")
        assert daemon.ctl("upgrade").returncode == 0
        (tmp_path / "go").write_text("later\n")
        daemon.wait_output(r"(?m)^web \| later$")
