"""The disk is full: who writes waits or is told what is lost, everybody else is served, and room heals everything."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.background import Background
from tests.integration.client import Daemon
from tests.integration.driver import ROOT, alive
from tests.mounts import resize, tmpfs
from tests.rpc import Rpc
from tests.waiting import until

FLOOD = f"[{sys.executable}, {ROOT}/tests/programs/flood_until.py"
NUMBERED = f"[{sys.executable}, {ROOT}/tests/programs/numbered_lines.py"
ROOM = "size=64m"
RETRIES = 5
CALLS_A_RETRY = 20
DEFAULTS = "defaults: {autoLaunch: true, successfulStartTimeout: 0, restart: never, logMaxSize: 0}"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    with tmpfs(tmp_path / "disk", "size=256k") as disk:
        yield disk


def takes_nothing(daemon: Daemon) -> bool:
    return "takes nothing (No space left on device)" in daemon.ctl("status").stdout


def ended(daemon: Daemon, *names: str) -> None:
    until(lambda: {daemon.state(name) for name in names} == {"EXITED"}, f"the end of {names}", timeout_s=60)


def whole(text: str, name: str) -> int:
    """How many lines of `name` are there; each is whole, and in its place."""
    lines = [line.split(" ") for line in text.splitlines() if line.startswith(f"{name} ")]
    assert [int(line[1]) for line in lines] == list(range(len(lines)))
    assert all(are_whole(line) for line in lines)
    assert lines[-1][2] == "end"
    return len(lines)


def are_whole(words: list[str]) -> bool:
    return len(words) == 3 if words[2] == "end" else words[3] == "x" * int(words[2])


def calls(pid: int, until_seen: str, times: int, home: Path) -> list[str]:
    """The system calls that a process makes until it has made one of a kind so many times."""
    out = home / "calls.txt"
    with subprocess.Popen(["strace", "-p", str(pid), "-o", str(out)], stderr=subprocess.PIPE) as strace:
        try:
            assert strace.stderr is not None
            if b"attached" not in strace.stderr.readline():
                pytest.skip("a process cannot be traced here")
            until(lambda: len(re.findall(until_seen, out.read_text())) >= times, f"{times} of {until_seen}")
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate()
    return out.read_text().splitlines()


def test_the_writer_waits_everybody_else_is_served_and_nothing_is_lost(tmp_path: Path, disk: Path) -> None:
    config = f"""
        {DEFAULTS}
        tasks:
          writer: {{command: {FLOOD}, w, "{tmp_path}/told"], stdout: disk/log}}
          other: {{command: {NUMBERED}, o, "5000"], stdout: other.log, autoLaunch: false}}
    """
    with Daemon(tmp_path, config) as daemon:
        until(lambda: takes_nothing(daemon), "a full disk")
        pid = daemon.pid("writer")
        status = daemon.ctl("status")
        assert status.returncode == 0, "what is wanted up is up"
        assert status.stdout.count("takes nothing") == 1
        assert f"log {disk}/log takes nothing (No space left on device): its writers wait\n" in status.stdout

        if shutil.which("strace"):
            seen = calls(daemon.daemon, "ENOSPC", RETRIES, tmp_path)
            assert len(seen) < CALLS_A_RETRY * RETRIES, seen
        assert daemon.errors.count("takes nothing") == 1

        assert daemon.ctl("start", "other").returncode == 0
        ended(daemon, "other")
        assert (tmp_path / "other.log").read_text().count("\n") == 5000
        written = (disk / "log").read_text().splitlines()
        assert daemon.ctl("logs", "writer", "3").stdout.splitlines() == written[-3:]
        assert re.search(r"other state: .*EXITED", daemon.errors), "the event log goes on"
        assert daemon.pid("writer") == pid
        assert alive(pid)
        assert daemon.errors.count("takes nothing") == 1

        resize(disk, ROOM)
        (tmp_path / "told").touch()
        ended(daemon, "writer")
        status = daemon.ctl("status")
        assert (status.returncode, status.stdout.count("takes nothing")) == (0, 0)
    assert whole((disk / "log").read_text(), "w") > len(written)


def test_instances_that_share_a_file_lose_and_tear_no_line(tmp_path: Path, disk: Path) -> None:
    config = f"""
        {DEFAULTS}
        tasks:
          writer: {{command: {FLOOD}, "{{instance}}", "{tmp_path}/told"], stdout: disk/log, instances: 3}}
    """
    names = [f"writer_{number}" for number in (1, 2, 3)]
    with Daemon(tmp_path, config) as daemon:
        until(lambda: takes_nothing(daemon), "a full disk")
        before = (disk / "log").stat().st_size
        resize(disk, "size=512k")
        until(lambda: (disk / "log").stat().st_size > before, "that they go on")
        until(lambda: takes_nothing(daemon), "a full disk again")
        resize(disk, ROOM)
        (tmp_path / "told").touch()
        ended(daemon, *names)
        assert "takes nothing" not in daemon.ctl("status").stdout
    text = (disk / "log").read_text()
    assert sum(whole(text, name) for name in names) == text.count("\n")


def test_a_log_that_is_rotated_there_loses_nothing_and_is_not_tried_without_end(tmp_path: Path, disk: Path) -> None:
    """What is complete takes all the room."""
    config = f"""
        {DEFAULTS}
        tasks:
          writer: {{command: {FLOOD}, w, "{tmp_path}/told"], stdout: disk/log, logMaxSize: 20000, logKeep: 10000}}
    """
    with Daemon(tmp_path, config) as daemon:
        until(lambda: takes_nothing(daemon), "a full disk")
        if shutil.which("strace"):
            seen = calls(daemon.daemon, "ENOSPC", RETRIES, tmp_path)
            assert len(seen) < CALLS_A_RETRY * RETRIES, seen
        before = len(parts(disk / "log"))
        resize(disk, ROOM)
        until(lambda: len(parts(disk / "log")) > before, "more of them")
        (tmp_path / "told").touch()
        ended(daemon, "writer")
        assert "takes nothing" not in daemon.ctl("status").stdout
        assert daemon.errors.count("takes nothing") == 1
    found = parts(disk / "log")
    assert all(each.stat().st_size <= 20_000 for each in found)
    whole("".join(each.read_text() for each in found), "w")


def parts(log: Path) -> list[Path]:
    """The files of a log, the oldest first."""
    return [*sorted(log.parent.glob(f"{log.name}.*"), key=lambda each: -int(each.suffix[1:])), log]


def test_no_name_is_left_for_the_next_file(tmp_path: Path) -> None:
    """There is room for bytes, and for no file: the log grows on, in whatever it is called by now."""
    config = f"""
        {DEFAULTS}
        tasks:
          writer: {{command: {FLOOD}, w, "{tmp_path}/told"], stdout: disk/log, logMaxSize: 20000, logKeep: 10000}}
    """
    with tmpfs(tmp_path / "disk", "size=64m,nr_inodes=4") as disk, Daemon(tmp_path, config) as daemon:
        until(lambda: "cannot be rotated (No space left on device): it grows on" in daemon.errors, "no more names")
        resize(disk, "nr_inodes=10000")
        known = len(parts(disk / "log"))
        until(lambda: len(parts(disk / "log")) > known, "more of them")
        (tmp_path / "told").touch()
        ended(daemon, "writer")
        whole("".join(each.read_text() for each in parts(disk / "log")), "w")


@pytest.mark.parametrize("how", ["raw", "json", "shared"])
def test_what_is_to_be_discarded_keeps_nobody_waiting(tmp_path: Path, disk: Path, how: str) -> None:
    """What is lost are whole lines, counted to the byte, and it is told that some are, once."""
    config = f"""
        {DEFAULTS}
        tasks:
          writer:
            command: {NUMBERED}, "{{instance}}", "20000"]
            stdout: disk/log
            onLogError: discard
            logFormat: {"json" if how == "json" else "raw"}
            instances: {3 if how == "shared" else 1}
          more: {{command: echo more, stdout: disk/log, onLogError: discard, autoLaunch: false}}
    """
    names = [f"writer_{number}" for number in (1, 2, 3)] if how == "shared" else ["writer"]
    with Daemon(tmp_path, config) as daemon:
        ended(daemon, *names)
        assert daemon.errors.count("takes nothing (No space left on device)") == 1
        resize(disk, ROOM)
        daemon.ctl("start", "more")
        ended(daemon, "more")
        told = [int(count) for count in re.findall(rf"(\d+) bytes of log {disk}/log were lost", daemon.errors)]
        assert "takes nothing" not in daemon.ctl("status").stdout
    text = (disk / "log").read_text()
    assert text.endswith("more\n")
    lines = text.splitlines()[:-1]
    if how == "json":
        lines = [json.loads(line)["text"] for line in lines]
    kept: dict[str, list[int]] = {name: [] for name in names}
    for line in lines:
        assert are_whole(line.split(" ")), line
        kept[line.split(" ")[0]].append(int(line.split(" ")[1]))
    for numbers in kept.values():
        assert numbers == sorted(set(numbers))
    written = sum(len(f"{name} {n} {n * 7 % 211} \n") + n * 7 % 211 for name in names for n in range(20_000))
    assert sum(told) + sum(len(line) + 1 for line in lines) == written


def test_the_event_log_itself(tmp_path: Path, disk: Path) -> None:
    with Background(tmp_path) as daemon:
        daemon.up("-l", "disk/web.log")
        (disk / "filler").write_bytes(bytes(250 * 1024))
        with Rpc(daemon.socket) as rpc:

            def header() -> list[str]:
                rpc.call("restart", words=["web"])
                return [line for line in rpc.call("status")["lines"] if "event log" in line]

            until(header, "a full disk")
            assert header() == ["The event log cannot be written: No space left on device"]
            until(lambda: rpc.call("status")["data"][0]["status"] == "RUNNING", "that it is served")
            assert any("(restart)" in line for line in rpc.call("events")["lines"])
            (disk / "filler").unlink()
            until(lambda: header() == [], "that it heals")
        lines = (disk / "web.log").read_text(errors="strict").splitlines()
        torn = [line for line in lines if not re.match(r"\d{4}-\d\d-\d\dT\S+ +\w+ +\S+", line)]
        assert len(torn) <= 1, "what was cut short has a line of its own"


def test_it_can_be_left_beside_a_writer_that_waits(tmp_path: Path, disk: Path) -> None:
    config = f"""
        {DEFAULTS}
        tasks: {{writer: {{command: {FLOOD}, w, "{tmp_path}/told"], stdout: disk/log}}}}
    """
    with Daemon(tmp_path, config) as daemon:
        until(lambda: takes_nothing(daemon), "a full disk")
        pid = daemon.pid("writer")
        assert daemon.ctl("shutdown").returncode == 0
        assert daemon.process.wait(20) == 0
        assert not alive(pid)
    assert os.listdir(disk) == ["log"]
