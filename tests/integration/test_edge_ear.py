"""The ear alone: real sockets, real senders."""

from __future__ import annotations

import array
import errno
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tm.edge.ear import Ear, Heard, fresh_name, notes, sweep


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    ear = Ear(str(tmp_path / "notify"), fresh_name())
    yield ear
    ear.close()
    assert not (tmp_path / "notify").exists(), "nothing is left"


def tell(ear: Ear, data: bytes, *fds: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        mouth.connect(ear.path)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        mouth.sendmsg([data], rights)


def test_it_hears_what_was_said_and_by_whom(ear: Ear) -> None:
    assert ear.hear() is None
    tell(ear, b"READY=1")
    tell(ear, b"")
    assert ear.hear() == Heard(os.getpid(), os.getuid(), b"READY=1")
    assert ear.hear() == Heard(os.getpid(), os.getuid(), b"")
    assert ear.hear() is None
    says = f"import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'STATUS=x', {ear.path!r})"
    child = subprocess.Popen([sys.executable, "-c", says])
    assert child.wait() == 0
    assert ear.hear() == Heard(child.pid, os.getuid(), b"STATUS=x"), "also when he is gone"


def test_one_that_is_too_long_is_empty(ear: Ear) -> None:
    tell(ear, b"STATUS=" + b"x" * 4089)
    tell(ear, b"READY=1\nSTATUS=" + b"x" * 4089)
    tell(ear, b"READY=1")
    heard = [ear.hear() for _ in range(3)]
    assert [each and len(each.data) for each in heard] == [4096, 0, 7]


@pytest.mark.parametrize("count", [1, 2, 253])
def test_descriptors_that_come_along_are_closed(ear: Ear, count: int) -> None:
    ours, theirs = os.pipe()
    before = set(os.listdir("/proc/self/fd"))
    tell(ear, b"BARRIER=1", *[theirs] * count)
    os.close(theirs)
    assert select.select([ours], [], [], 0)[0] == [], "the sender waits"
    assert ear.hear() == Heard(os.getpid(), os.getuid(), b"BARRIER=1")
    assert select.select([ours], [], [], 0)[0] == [ours] and os.read(ours, 1) == b"", "and goes on"
    os.close(ours)
    assert set(os.listdir("/proc/self/fd")) < before


def test_who_was_not_told_its_name_does_not_find_it(ear: Ear) -> None:
    directory = os.path.dirname(ear.path)
    assert os.stat(directory).st_mode & 0o777 == 0o711
    assert os.stat(ear.path).st_mode & 0o777 == 0o666
    assert len({fresh_name() for _ in range(100)}) == 100


def test_a_directory_that_is_somebody_elses_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "notify").symlink_to("elsewhere")
    with pytest.raises(OSError) as refused:
        Ear(str(tmp_path / "notify"), "a")
    assert refused.value.errno == errno.EPERM
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_path_that_no_address_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError) as refused:
        Ear(str(tmp_path / ("d" * 100)), "a")
    assert refused.value.errno == errno.ENAMETOOLONG


def test_notes_are_read_again_and_what_makes_no_sense_is_left_out(tmp_path: Path) -> None:
    directory = tmp_path / "notify"
    ear = Ear(str(directory), "a1")
    ear.note({"status": "one"})
    ear.note({"status": "two"})
    (directory / "b2.json").write_text("[]")
    (directory / "c3.json").write_bytes(b"\xff{")
    (directory / "d4.new").write_text("")
    assert notes(str(directory)) == [("a1", {"status": "two"})]
    sweep(str(directory), {"a1"})
    assert sorted(os.listdir(directory)) == ["a1", "a1.json"]
    os.unlink(directory / "a1")
    again = Ear(str(directory), "a1")
    again.close()
    ear.close()
    assert notes(str(directory)) == []
