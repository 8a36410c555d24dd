"""`logs` and `logs -f` into readers that are slow, or gone: what was missed is told in lines, and nobody hangs."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.kernel import number
from tests.integration.client import Daemon
from tests.integration.driver import environment
from tests.rpc import Rpc
from tests.waiting import until

RUNS, LINES = 5, 40_000
CONFIG = f"""
    defaults: {{successfulStartTimeout: 0}}
    tasks:
      flood: {{command: [{sys.executable}, -c, "for n in range({LINES}): print('line', n, 'x' * 80)"], stdout: log}}
      long: {{command: "seq 1 100000; exec sleep 1000"}}
      progress: {{command: ["sh", "-c", "printf '1%%\\\\r2%%\\\\r\\\\n\\\\nend\\\\n'; exec sleep 1000"]}}
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, CONFIG) as running:
        yield running


def test_a_terminal_that_was_not_read_is_told_how_many_lines_it_missed(daemon: Daemon) -> None:
    """Bugs: what it was told were messages, each of many lines."""
    master, slave = os.openpty()
    follower = subprocess.Popen(
        daemon.command("logs", "-f", "flood"), stdout=slave, stderr=slave, cwd=daemon.home, env=environment(daemon.home)
    )
    os.close(slave)
    try:
        shown = read(master)
        assert shown == b"No logs available for this task.\r\n"
        with Rpc(daemon.home / "control.sock") as other:
            run(other)
            before = number(daemon.daemon, "VmRSS")
            for _ in range(RUNS - 1):
                run(other)
            assert number(daemon.daemon, "VmRSS") - before < 2048
        while seen(shown) + (missed := lost(shown)) < RUNS * LINES:
            shown += read(master)
        assert seen(shown) + missed == RUNS * LINES
        assert missed > LINES
    finally:
        follower.kill()
        follower.wait()
        os.close(master)


def read(terminal: int) -> bytes:
    """What is shown next."""
    until(lambda: select.select([terminal], [], [], 0)[0], "more on the terminal")
    return os.read(terminal, 65536)


def run(other: Rpc) -> None:
    """One flood, to its end; every question on the way is answered."""
    other.call("start", words=["flood"])
    until(lambda: other.call("status", words=["flood"])["data"][0]["status"] == "EXITED", "the end of the flood")


def seen(shown: bytes) -> int:
    return len(re.findall(rb"(?m)^line \d+ x{80}\r$", shown))


def lost(shown: bytes) -> int:
    return sum(int(count) for count in re.findall(rb"(?m)^\[(\d+) lines lost: this reader was too slow\]\r$", shown))


@pytest.mark.parametrize("follow", [(), ("-f",)])
def test_a_reader_that_has_seen_enough(daemon: Daemon, follow: tuple[str, ...]) -> None:
    """Nothing is written any more, so a follower cannot hear of it by writing."""
    daemon.ctl("start", "long")
    until(lambda: daemon.ctl("logs", "long", "1").stdout == "100000\n", "all lines")
    first = int(daemon.ctl("logs", "long", "5000").stdout.split()[0])
    reader = daemon.begin("logs", "long", "5000", *follow)
    assert reader.stdout is not None
    assert reader.stderr is not None
    assert reader.stdout.readline() == f"{first}\n"
    reader.stdout.close()
    assert reader.wait(20) in (0, -signal.SIGPIPE)
    assert reader.stderr.read() == ""
    reader.stderr.close()


def test_a_follower_of_silence_ends_with_its_reader(daemon: Daemon) -> None:
    """A bug: `logs -f quiet | head -1` stayed until the next line, which may never come."""
    daemon.ctl("start", "long")
    until(lambda: daemon.ctl("logs", "long", "1").stdout == "100000\n", "all lines")
    follower = daemon.begin("logs", "-f", "long", "1")
    assert follower.stdout is not None
    assert follower.stderr is not None
    assert follower.stdout.readline() == "100000\n"
    follower.stdout.close()
    assert follower.wait(20) == -signal.SIGPIPE
    assert follower.stderr.read() == ""
    follower.stderr.close()


def test_followed_or_not_the_lines_are_the_same(daemon: Daemon) -> None:
    """A bug: a follower took a carriage return for the end of a line."""
    follower = daemon.begin("logs", "-f", "progress")
    assert follower.stdout is not None
    assert follower.stderr is not None
    assert follower.stderr.readline() == "No logs available for this task.\n"
    daemon.ctl("start", "progress")
    heard: list[str] = []
    while "end\n" not in heard:
        heard.append(follower.stdout.readline())
    assert [line for line in heard if not line.startswith("\u25c6")] == ["1%\\x0d2%\n", "\n", "end\n"]
    assert daemon.ctl("logs", "progress").stdout == "1%\\x0d2%\n\nend\n"
    follower.kill()
    follower.communicate()
