"""Log files that give their descriptors back: of many only some have one at a time, and nobody can tell."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.place import Place, launch_of
from tm.core.demand import OPEN_LOGS
from tm.core.launch import SpawnFailure
from tm.daemon.wiring import Key
from tm.edge.loop import SOON_S
from tm.edge.slots import Slots

SPEAKERS = OPEN_LOGS + 20
SAYS_TWICE = "echo one; read x < {fifo}; echo two"


@pytest.fixture
def place() -> Place:
    return Place()


def open_files(directory: Path) -> set[str]:
    """The names of those in a directory that this process has open."""
    links = [os.path.realpath(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")]
    return {os.path.basename(link) for link in links if os.path.dirname(link) == str(directory)}


def keys(count: int) -> list[Key]:
    return [("worker", n) for n in range(1, count + 1)]


@pytest.fixture
def speaker(place: Place, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """One that has said one line, into `log`, which has no descriptor now; what is given lets it say a second."""
    log, fifo = tmp_path / "log", tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = place.start(("worker", 1), launch_of(log), "sh", "-c", SAYS_TWICE.format(fifo=fifo))
    place.until(lambda: log.exists() and log.read_text() == "one\n", "its first line")
    assert open_files(tmp_path) == {"log"}
    assert place.outputs.files.make_room()
    assert not open_files(tmp_path)

    def go_on() -> None:
        fifo.write_text("\n")
        place.ended(("worker", 1), writer)

    yield go_on
    if writer.poll() is None:
        writer.kill()


def test_of_many_log_files_only_some_are_open_and_each_gets_its_lines(place: Place, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "log").mkdir()
    wirings = {key: place.open(key, launch_of(tmp_path / "log" / str(key[1]))) for key in keys(SPEAKERS)}
    for key, wiring in wirings.items():
        place.outputs.attach(key, wiring)
    assert len(open_files(tmp_path / "log")) == OPEN_LOGS
    for turn in ("one", "two"):
        for key, wiring in wirings.items():
            os.write(wiring.stdio[0], f"{turn} {key[1]}\n".encode())
        place.until(lambda turn=turn: all(said(tmp_path, key, turn) for key in wirings), "a line of each")  # type: ignore[misc]
    assert len(open_files(tmp_path / "log")) == OPEN_LOGS
    for key, wiring in wirings.items():
        wiring.close_childs_ends()
        place.outputs.process_ended(key)
        assert (tmp_path / "log" / str(key[1])).read_text() == f"one {key[1]}\ntwo {key[1]}\n"
    place.later(2 * SOON_S)
    assert not open_files(tmp_path / "log")


def test_who_is_started_again_at_once_finds_his_log_open(place: Place, tmp_path: Path) -> None:
    log, key = tmp_path / "log", ("worker", 1)
    writer = place.start(key, launch_of(log, merges=True), "echo", "one")
    place.until(lambda: writer.poll() is not None, "its end")
    (before,) = place.outputs.wiring(key).files.values()
    place.outputs.process_ended(key)
    assert open_files(tmp_path) == {"log"}
    writer = place.start(key, launch_of(log, merges=True), "echo", "two")
    assert list(place.outputs.wiring(key).files.values()) == [before]
    place.ended(key, writer)
    assert log.read_text() == "one\ntwo\n"
    assert not open_files(tmp_path)


def said(place: Path, key: Key, turn: str) -> bool:
    return f"{turn} {key[1]}\n" in (place / "log" / str(key[1])).read_text()


def test_it_goes_on_at_the_end(speaker: Callable[[], None], place: Place, tmp_path: Path) -> None:
    speaker()
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    assert not place.told


def test_a_rename_meanwhile_is_noticed(speaker: Callable[[], None], place: Place, tmp_path: Path) -> None:
    (tmp_path / "log").rename(tmp_path / "log.1")
    speaker()
    assert (tmp_path / "log.1").read_text() == "one\n"
    assert (tmp_path / "log").read_text() == "two\n"


def test_an_inode_that_is_given_out_again_is_another_file(
    speaker: Callable[[], None], place: Place, tmp_path: Path
) -> None:
    """As ext4 does at once: who gets it must not write for the one that had it."""
    log, other = tmp_path / "log", tmp_path / "other"
    inode = log.stat().st_ino
    log.unlink()
    taken = [tmp_path / f"taken{n}" for n in range(50)]
    for path in taken:
        path.touch()
        if path.stat().st_ino == inode:
            path.rename(other)
            break
    else:
        pytest.skip("this file system gives out other inodes")
    key: Key = ("worker", 2)
    place.ended(key, place.start(key, launch_of(other), "echo", "other's"))
    speaker()
    assert (log.read_text(), other.read_text()) == ("two\n", "other's\n")


def test_a_truncation_meanwhile_makes_no_hole(speaker: Callable[[], None], tmp_path: Path) -> None:
    os.truncate(tmp_path / "log", 0)
    speaker()
    assert (tmp_path / "log").read_text() == "two\n"


def test_another_writer_meanwhile_is_told_and_loses_nothing(
    speaker: Callable[[], None], place: Place, tmp_path: Path
) -> None:
    with open(tmp_path / "log", "ab") as file:
        file.write(b"stranger\n")
    speaker()
    assert (tmp_path / "log").read_text() == "one\nstranger\ntwo\n"
    assert [each.partition(": ")[0] for each in place.told] == [f"log {tmp_path / 'log'} has another writer"]


def test_what_is_appended_to_stays_so(place: Place, tmp_path: Path) -> None:
    """The first line behind a stranger's is appended, and so is what comes after a rest."""
    log = tmp_path / "log"
    wiring = place.open(("worker", 1), launch_of(log))
    place.outputs.attach(("worker", 1), wiring)
    for turn in range(3):
        with open(log, "ab") as file:
            file.write(b"stranger %d\n" % turn)
        os.write(wiring.stdio[0], b"ours %d\n" % turn)
        place.until(lambda turn=turn: f"ours {turn}\n" in log.read_text(), "its line")  # type: ignore[misc]
        place.outputs.files.make_room()
    wiring.close_childs_ends()
    place.outputs.process_ended(("worker", 1))
    assert log.read_text() == "".join(f"stranger {turn}\nours {turn}\n" for turn in range(3))
    assert len(place.told) == 1


def test_a_file_that_cannot_be_opened_again_makes_its_writer_wait(
    speaker: Callable[[], None], place: Place, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.rename(tmp_path / "old")
    log.mkdir()
    (tmp_path / "fifo").write_text("\n")
    place.until(lambda: place.told, "that the log takes nothing")
    assert "takes no output" in place.told[0] or "Is a directory" in place.told[0]
    log.rmdir()
    place.later(1.1)
    place.until(lambda: log.exists() and log.read_text() == "two\n", "the line that had to wait")


def test_where_descriptors_are_short_logs_give_theirs_back(place: Place, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened: list[Key] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, hard))
    try:
        for key in keys(60):
            wiring = place.outputs.open(key, launch_of(tmp_path / str(key[1]), merges=True))
            if isinstance(wiring, SpawnFailure):
                assert wiring.shortage, wiring
                break
            wiring.close_childs_ends()
            place.outputs.attach(key, wiring)
            opened.append(key)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(opened) > 30, "more than with a descriptor for each log"
    for key in opened:
        place.outputs.process_ended(key)


def test_a_log_that_is_cleared_while_it_lingers_is_closed_once(place: Place, tmp_path: Path) -> None:
    """Else what it had noted its lines in would be given to two others."""
    files, key = place.outputs.files, ("worker", 1)
    with closing(Slots(str(tmp_path / "turns"))) as files.slots:
        writer = place.start(key, launch_of(tmp_path / "log", merges=True), "echo", "one")
        place.until(lambda: writer.poll() is not None, "its end")
        place.outputs.process_ended(key)
        files.clear(str(tmp_path / "log"))
        place.later(2 * SOON_S)
        others = [files.file(str(tmp_path / name)) for name in ("a", "b")]
        assert others[0].turns.slot != others[1].turns.slot
        for each in others:
            files.close_unused(each)
