"""Logs of two gigabytes, lines of any bytes: the last lines cost the same whatever the size, and are safe to show."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.kernel import number
from tests.integration.client import Daemon
from tests.rpc import Rpc
from tests.waiting import until
from tm.core.log_search import FOUND_BYTES

SIZE = 2 << 30
CLIENTS, QUESTIONS = 50, 20
A_QUESTION_BYTES = 64 * 1024
"""More than an answer of ten short lines may read: a block of the log, the request, and what the daemon looks at."""
CONFIG = """
    defaults: {successfulStartTimeout: 0, logMaxSize: 0}
    tasks:
      big: {command: "cat end; exec sleep 1000", stdout: big.log}
      odd: {command: "cat bytes; exec sleep 1000", stdout: odd.log}
      tail: {command: "cat bytes; exec sleep 1000"}
"""
LAST = [f"line {number} {'x' * (number % 50)}" for number in range(100_000)]


def sparse(path: Path) -> None:
    """A hole, and lines behind it."""
    with path.open("wb") as file:
        file.truncate(SIZE)
        file.seek(0, 2)
        file.write(b"\n" + "".join(f"{line}\n" for line in LAST).encode())


def written(path: Path) -> None:
    """Lines from the beginning to the end."""
    if shutil.disk_usage(path.parent).free < 3 * SIZE:
        pytest.skip("needs room for 2 GiB")
    block = ("an older line\n" * (1 << 20)).encode()
    with path.open("wb", buffering=0) as file:
        while file.tell() < SIZE:
            file.write(block)
        file.write("".join(f"{line}\n" for line in LAST).encode())


def bytes_read(pid: int) -> int:
    """How much it has read by system calls so far."""
    found = re.search(r"rchar: (\d+)", Path(f"/proc/{pid}/io").read_text())
    assert found
    return int(found[1])


@pytest.fixture(params=[sparse, written])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """One with a big log, whose task has added the last line."""
    log = tmp_path / "big.log"
    (tmp_path / "end").write_text("the end\n")
    request.param(log)
    size = log.stat().st_size
    try:
        with Daemon(tmp_path, CONFIG) as running:
            assert running.ctl("start", "big").returncode == 0
            until(lambda: log.stat().st_size == size + len("the end\n"), "the last line")
            yield running
    finally:
        log.unlink()


def test_the_last_lines_of_two_gigabytes(daemon: Daemon) -> None:
    """For fifty clients at once, again and again: all are answered, and neither reads nor memory depend on the size."""
    expected = [*LAST[-9:], "the end"]
    assert daemon.ctl("logs", "big", "10").stdout.splitlines() == expected
    assert daemon.ctl("logs", "big", "5000").stdout.splitlines() == [*LAST[-4999:], "the end"]
    pid = daemon.daemon
    clients = [Rpc(daemon.home / "control.sock") for _ in range(CLIENTS)]
    try:
        answered(clients, 2, expected)
        memory, before = number(pid, "VmRSS"), bytes_read(pid)
        answered(clients, QUESTIONS, expected)
        assert bytes_read(pid) - before < CLIENTS * QUESTIONS * A_QUESTION_BYTES
        assert number(pid, "VmRSS") - memory < 1024
        assert number(pid, "VmHWM") - memory < 4 * FOUND_BYTES // 1024
    finally:
        for each in clients:
            each.socket.close()


def answered(clients: list[Rpc], times: int, expected: list[str]) -> None:
    """All ask so many times before anybody reads; all answers are right. Who is told to ask again does."""
    owed = dict.fromkeys(clients, times)
    while owed:
        for each, count in owed.items():
            for _ in range(count):
                each.ask("logs", words=["big"], lines=10)
        owed = {each: refused for each, count in owed.items() if (refused := _refused(each, count, expected))}


def _refused(client: Rpc, count: int, expected: list[str]) -> int:
    """How many of so many answers say that too much was asked at once."""
    answers = [client.answer()["result"]["lines"] for _ in range(count)]
    found = [lines for lines in answers if "Try again soon." not in lines[0]]
    assert all(lines == expected for lines in found)
    return count - len(found)


ODD: dict[str, tuple[bytes, str]] = {
    "not UTF-8": (b"\xff\xfe caf\xc3\xa9 \xe2\x82", "\\xff\\xfe café \\xe2\\x82"),
    "NUL": (b"a\0b", "a\\x00b"),
    "CR LF": (b"from Windows\r", "from Windows"),
    "a progress bar": (b"1%\r2%", "1%\\x0d2%"),
    "a colour": (b"\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
    "the cursor": (b"a\x1b[2J\x1b[10;10Hb\x1b[?1049hc", "abc"),
    "a title": (b"a\x1b]0;title\x07b\x1b]0;another\x1b\\c", "abc"),
    "a string without an end": (b"a\x1bPno end", "a"),
    "C1": ("a\x9b31mb".encode(), "a\\x9b31mb"),
    "a bell and a delete": (b"a\x07b\x7f\x08", "a\\x07b\\x7f\\x08"),
    "right to left": ("a\u202eb".encode(), "a\\x202eb"),
    "a lone escape": (b"a\x1b", "a\\x1b"),
    "nothing": (b"", ""),
    "a tab": (b"a\tb", "a\tb"),
}


@pytest.mark.parametrize("task", ["odd", "tail"])
def test_lines_of_any_bytes(tmp_path: Path, task: str) -> None:
    """The same from a file, from memory and while following, for people and for programs."""
    (tmp_path / "bytes").write_bytes(b"".join(line + b"\n" for line, _ in ODD.values()) + b"end\n")
    expected = [*(shown for _, shown in ODD.values()), "end"]
    with Daemon(tmp_path, CONFIG) as daemon, Rpc(tmp_path / "control.sock") as rpc:
        rpc.call("logs.follow", words=[task])
        rpc.call("start", words=[task])
        heard: list[str] = []
        while "end" not in heard:
            message = rpc.next()
            heard += message["params"]["text"].split("\n") if message["method"] == "log" else []
        assert heard == expected
        for options in ((), ("--json",)):
            shown = daemon.ctl(*options, "logs", task, "100").stdout
            if options:
                shown = "".join(each["line"] + "\n" for each in json.loads(shown))
            assert shown.split("\n")[:-1] == expected
        assert set(re.findall(r"\x1b.", daemon.ctl("logs", task, "100").stdout)) == {"\x1b["}


@pytest.mark.parametrize("task", ["odd", "tail"])
def test_a_line_without_an_end(tmp_path: Path, task: str) -> None:
    """As much of it as is looked at, or kept, and it costs no more than that."""
    line = os.urandom(1 << 20).replace(b"\n", b"x").replace(b"\r", b"x")
    (tmp_path / "bytes").write_bytes(b"before\n" + line)
    with Daemon(tmp_path, CONFIG) as daemon:
        daemon.ctl("start", task)
        if task == "odd":
            until(lambda: (tmp_path / "odd.log").exists() and (tmp_path / "odd.log").stat().st_size > 1 << 20, "all")
        with Rpc(tmp_path / "control.sock") as rpc:
            until(
                lambda: any(len(each) > 1000 for each in rpc.call("logs", words=[task], lines=1)["lines"]), "the line"
            )
            memory = number(daemon.daemon, "VmRSS")
            before = bytes_read(daemon.daemon)
            for _ in range(5):
                (shown,) = rpc.call("logs", words=[task], lines=1)["lines"]
                assert re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown.replace("\x1b[", "")) is None
            assert bytes_read(daemon.daemon) - before < 5 * 2 * FOUND_BYTES
            assert number(daemon.daemon, "VmRSS") - memory < 16 * FOUND_BYTES // 1024
