"""/run is full: what is said of it, that nothing is left behind, and that it heals."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.background import Background
from tests.integration.driver import Taskmaster
from tests.mounts import tmpfs
from tests.rpc import Rpc
from tests.waiting import until

PAGE = 4096


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one page and three files beside its root."""
    with tmpfs(tmp_path / "run", f"size={PAGE},nr_inodes=4") as place:
        yield place


def fill(place: Path) -> None:
    """Take the last name that there is room for."""
    with pytest.raises(OSError, match="No space left"):
        for number in range(10):
            (place / f"filler{number}").touch()


def test_no_room_for_a_pid(tmp_path: Path, run: Path) -> None:
    (run / "filler").write_bytes(bytes(PAGE))
    with Background(tmp_path) as daemon:
        done = daemon.start("-p", "run/web.pid")
        assert done.returncode == 1
        assert re.fullmatch(
            r"taskmaster: the pidfile \S+ cannot be written: No space left on device\. .*\n", done.stderr
        )
        assert os.listdir(run) == ["filler"]
        assert not daemon.socket.exists()
        (run / "filler").unlink()
        assert daemon.start("-p", "run/web.pid").returncode == 0
        daemon.end(int((run / "web.pid").read_text()))


@pytest.mark.parametrize(("flag", "name"), [("-p", "web.pid"), ("-s", "web.sock")])
def test_no_room_for_a_name(tmp_path: Path, run: Path, flag: str, name: str) -> None:
    fill(run)
    with Background(tmp_path) as daemon:
        done = daemon.start(flag, f"run/{name}")
        assert done.returncode == 1
        assert f"run/{name}" in done.stderr
        assert "No space left on device" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (run / name).exists()


def test_a_socket_that_cannot_be_made_again_is_when_there_is_room(tmp_path: Path, run: Path) -> None:
    with Taskmaster(tmp_path, "tasks: {}\n", "-n", "-s", "run/web.sock") as daemon:
        until((run / "web.sock").exists, "a socket")
        os.link(run / "web.sock", run / "second")  # a directory entry is an inode's worth of tmpfs as well
        fill(run)  # before it goes: it would be made again at once
        (run / "web.sock").rename(run / "away")
        os.kill(daemon.process.pid, 1)
        until(lambda: "No space left on device" in daemon.errors, "that it is told")
        (run / "filler0").unlink()
        until((run / "web.sock").exists, "a socket again")
        with Rpc(run / "web.sock") as rpc:
            assert rpc.call("version")["outcome"] == 0
        assert daemon.errors.count("No space left on device") == 1
