"""What `stdout:` and `stderr:` may name, through the real daemon: FIFOs, terminals, its own streams, odd places."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.client import Daemon
from tests.integration.driver import PROGRAM, ROOT, alive, environment
from tests.mounts import resize, tmpfs
from tests.waiting import until

PROGRAMS = ROOT / "tests" / "programs"
FLOOD = f"[{sys.executable}, {PROGRAMS}/flood_until.py"
NUMBERED = f"[{sys.executable}, {PROGRAMS}/numbered_lines.py"
CONFIG = f"""
    defaults: {{successfulStartTimeout: 0, restart: never, restartsAttempts: 0}}
    tasks:
      writer: {{command: {NUMBERED}, w, "5000"], stdout: target}}
      flood: {{command: {FLOOD}, w, told], stdout: target}}
      other: {{command: "echo served; exec sleep 1000", stdout: other.log}}
"""


def whole(data: bytes, count: int | None = None) -> None:
    """All lines are there, each whole and in its place."""
    lines = [line.split(" ") for line in data.decode().splitlines()]
    assert [int(line[1]) for line in lines] == list(range(len(lines) if count is None else count))
    assert all(line[2] == "end" or line[3] == "x" * int(line[2]) for line in lines)


def read_until(fd: int, condition: Callable[[bytes], object]) -> bytes:
    """Read what comes, until what has come is enough."""
    data = bytearray()

    def enough() -> bool:
        while select.select([fd], [], [], 0)[0] and (piece := os.read(fd, 65536)):
            data.extend(piece)
        return bool(condition(bytes(data)))

    until(enough, "enough output")
    return bytes(data)


# ---- FIFOs


def test_a_fifo_that_nobody_reads_is_a_failed_start_with_the_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "target")
    with Daemon(tmp_path, CONFIG) as daemon:
        done = daemon.ctl("start", "writer")
        assert done.returncode == 1
        assert (
            f"stdout log '{tmp_path}/target' cannot be opened: No such device or address" in done.stdout + done.stderr
        )
        assert "nobody reads this FIFO" in done.stdout + done.stderr
        assert daemon.state("writer") == "FATAL"


def test_a_reader_that_stops_reading_is_waited_for_by_nobody_but_the_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "target")
    reader = os.open(tmp_path / "target", os.O_RDONLY | os.O_NONBLOCK)
    with Daemon(tmp_path, CONFIG) as daemon:
        daemon.ctl("start", "writer")
        pid = daemon.pid("writer")
        until(lambda: has_filled_its_pipe(pid), "that it waits")
        assert daemon.ctl("start", "other").returncode == 0
        until(lambda: (tmp_path / "other.log").read_text() == "served\n", "that the other is served")
        status = daemon.ctl("status")
        assert "takes nothing" not in status.stdout + daemon.errors, "it is only slow"
        assert alive(pid)
        data = read_until(reader, lambda data: data.count(b"\n") == 5000)
        whole(data, 5000)
        until(lambda: daemon.state("writer") == "EXITED", "its end")
    os.close(reader)


def has_filled_its_pipe(pid: int) -> bool:
    """Whether so much of its output waits for the daemon that it has to wait itself."""
    fd = os.open(f"/proc/{pid}/fd/1", os.O_RDONLY | os.O_NONBLOCK)
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))
    finally:
        os.close(fd)
    return int(count) > 32 * 1024


def test_a_reader_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    """What it had not read is gone with it; the writer waits, which is told, and no line is torn for the next one."""
    os.mkfifo(tmp_path / "target")
    reader = os.open(tmp_path / "target", os.O_RDONLY | os.O_NONBLOCK)
    with Daemon(tmp_path, CONFIG) as daemon:
        daemon.ctl("start", "flood")
        first = read_until(reader, lambda data: len(data) > 200_000)
        os.close(reader)
        until(lambda: "takes nothing (Broken pipe)" in daemon.ctl("status").stdout, "that nobody reads")
        assert daemon.state("flood") == "RUNNING"
        assert daemon.errors.count("takes nothing") == 1
        reader = os.open(tmp_path / "target", os.O_RDONLY | os.O_NONBLOCK)
        (tmp_path / "told").touch()
        second = read_until(reader, lambda data: data.endswith(b" end\n"))
        until(lambda: daemon.state("flood") == "EXITED", "its end")
        assert "takes nothing" not in daemon.ctl("status").stdout
    os.close(reader)
    whole(first[: first.rindex(b"\n") + 1])
    numbers = [int(number) for number in re.findall(rb"(?m)^w (\d+) \d+ x*$", second)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[0] > int(first.splitlines()[-2].split(b" ")[1])


def test_what_a_slow_reader_does_not_take_is_discarded_and_told_now_and_then(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "target")
    reader = os.open(tmp_path / "target", os.O_RDONLY | os.O_NONBLOCK)
    with Daemon(tmp_path, CONFIG.replace("stdout: target", "stdout: target, onLogError: discard")) as daemon:
        daemon.ctl("start", "flood")
        for _ in range(20):
            read_until(reader, lambda data: len(data) > 100_000)
        until(lambda: "takes nothing" in daemon.errors, "what is lost, when it has been full for a second")
        (tmp_path / "told").touch()
        until(lambda: daemon.state("flood") == "EXITED", "its end, though nobody reads")
        assert daemon.errors.count("takes nothing") == 1
        assert 1 <= daemon.errors.count(" bytes of log ") <= 2
    os.close(reader)


# ---- its own streams


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_its_own_stream_in_the_foreground(tmp_path: Path, stream: str, kind: str) -> None:
    config = CONFIG.replace("stdout: target", f"stdout: /dev/{stream}, autoLaunch: true").replace("flood:", "unused:")
    config = re.sub(r"      unused:.*\n", "", config)
    (tmp_path / "web.yaml").write_text(config)
    ours, theirs = os.pipe()
    if kind == "file":
        os.close(theirs)
        theirs = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: theirs}
    command = [*PROGRAM, "-n", "-s", "c.sock", "--state-dir", "state", "web.yaml"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), **streams) as daemon:  # type: ignore[call-overload]
        os.close(theirs)
        if kind == "pipe":
            data = read_until(
                ours, lambda data: data.count(b"\nw ") + data.startswith(b"w ") == 5000 and data[-1:] == b"\n"
            )
        else:
            until(lambda: len(re.findall(rb"(?m)^w \d+ \d+ x*$", (tmp_path / "out").read_bytes())) == 5000, "all lines")
            data = (tmp_path / "out").read_bytes()
        daemon.terminate()
    os.close(ours)
    whole(b"".join(line for line in data.splitlines(True) if line.startswith(b"w ")), 5000)


# ---- devices


def test_dev_null_takes_everything(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG.replace("stdout: target", "stdout: /dev/null")) as daemon:
        daemon.ctl("start", "writer")
        until(lambda: daemon.state("writer") == "EXITED", "its end")
        assert "takes nothing" not in daemon.ctl("status").stdout + daemon.errors
        logs = daemon.ctl("logs", "writer")
        assert (logs.returncode, logs.stdout, logs.stderr) == (0, "", "No logs available for this task.\n")


def test_a_terminal_that_is_not_read_is_waited_for_by_nobody_but_the_writer(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with Daemon(tmp_path, CONFIG.replace("stdout: target", f"stdout: {os.ttyname(slave)}")) as daemon:
        daemon.ctl("start", "writer")
        pid = daemon.pid("writer")
        until(lambda: has_filled_its_pipe(pid), "that it waits")
        assert daemon.ctl("start", "other").returncode == 0
        assert "takes nothing" not in daemon.ctl("status").stdout + daemon.errors
        data = read_until(master, lambda data: data.count(b"\n") == 5000)
        whole(data.replace(b"\r\n", b"\n"), 5000)
        until(lambda: daemon.state("writer") == "EXITED", "its end")
    os.close(master)
    os.close(slave)


# ---- places


def directory(target: Path) -> None:
    target.mkdir()


def nowhere(target: Path) -> None:
    target.symlink_to(target.parent / "no" / "such")


def listening(target: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(target))


def circle(target: Path) -> None:
    target.symlink_to(target)


PLACES: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "a directory": (directory, errno.EISDIR, "it is a directory: name a file in it"),
    "a link into a directory that is not there": (nowhere, errno.ENOENT, "it is a link to"),
    "a socket": (listening, errno.ENXIO, "it is a socket"),
    "a link to itself": (circle, errno.ELOOP, "it is a link that leads back to itself"),
}


@pytest.mark.parametrize("what", PLACES)
def test_what_cannot_be_written_to_is_a_failed_start_with_the_reason(tmp_path: Path, what: str) -> None:
    make, number, hint = PLACES[what]
    make(tmp_path / "target")
    with Daemon(tmp_path, CONFIG) as daemon:
        done = daemon.ctl("start", "writer")
        assert done.returncode == 1
        told = done.stdout + done.stderr
        assert f"stdout log '{tmp_path}/target' cannot be opened: {os.strerror(number)}" in told
        assert hint in told
        assert daemon.state("writer") == "FATAL"
        assert daemon.ctl("start", "other").returncode == 0


def test_a_path_in_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG.replace("stdout: target", "stdout: no/such/log")) as daemon:
        done = daemon.ctl("start", "writer")
        assert done.returncode == 1
        told = done.stdout + done.stderr
        assert f"stdout log '{tmp_path}/no/such/log' cannot be opened: No such file or directory" in told
        assert f"mkdir -p {tmp_path}/no/such" in told
        (tmp_path / "no" / "such").mkdir(parents=True)
        assert daemon.ctl("start", "writer").returncode == 0
        until(lambda: daemon.state("writer") == "EXITED", "its end")
        whole((tmp_path / "no" / "such" / "log").read_bytes(), 5000)


def test_a_link_is_written_through_and_stays_one_when_the_log_is_rotated(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "target").symlink_to("far/log")
    config = CONFIG.replace("stdout: target", "stdout: target, logMaxSize: 200000, logKeep: 100")
    with Daemon(tmp_path, config) as daemon:
        daemon.ctl("start", "writer")
        until(lambda: daemon.state("writer") == "EXITED", "its end")
        assert len(daemon.ctl("logs", "writer", "5000").stdout.splitlines()) == 5000
    assert (tmp_path / "target").is_symlink()
    found = sorted((tmp_path / "far").iterdir(), key=lambda each: -int(each.suffix[1:] or 0))
    assert len(found) > 2
    whole(b"".join(each.read_bytes() for each in found), 5000)


def test_a_file_system_that_becomes_writable(tmp_path: Path) -> None:
    config = CONFIG.replace("stdout: target", "stdout: disk/log")
    with tmpfs(tmp_path / "disk", "size=4m,ro") as disk, Daemon(tmp_path, config) as daemon:
        done = daemon.ctl("start", "writer")
        assert done.returncode == 1
        assert f"stdout log '{disk}/log' cannot be opened: Read-only file system" in done.stdout + done.stderr
        resize(disk, "rw")
        assert daemon.ctl("start", "writer").returncode == 0
        until(lambda: daemon.state("writer") == "EXITED", "its end")
        whole((disk / "log").read_bytes(), 5000)
