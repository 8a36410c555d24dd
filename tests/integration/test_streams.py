"""Pipes, streams and sinks with real writers, real files and a real full disk."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.place import Place, launch_of
from tests.mounts import tmpfs
from tests.waiting import until
from tm.core import flow
from tm.core.flow import Found, Taken
from tm.core.launch import Launch, SpawnFailure
from tm.core.lines import whole
from tm.daemon.outputs import HELD_PIPES, Listener
from tm.daemon.wiring import Key
from tm.edge import files
from tm.edge.loop import SOON_S
from tm.edge.pipes import Pipe, pipe
from tm.edge.sinks import LogFile
from tm.edge.streams import Stream

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
WORKER: Key = ("worker", 1)


def failed(place: Place, launch: Launch) -> SpawnFailure:
    """The words for logs that cannot be opened; nothing stays open."""
    before = os.listdir("/proc/self/fd")
    outcome = place.outputs.open(WORKER, launch)
    assert isinstance(outcome, SpawnFailure)
    assert os.listdir("/proc/self/fd") == before
    return outcome


# ---- pipes


def test_a_writer_without_a_reader_waits_and_is_not_killed() -> None:
    ours, theirs = pipe()
    program = "import os, signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nwhile True: os.write(1, bytes(65536))"
    writer = subprocess.Popen([sys.executable, "-c", program], stdout=theirs)
    os.close(theirs)
    assert until_readable(ours)
    os.close(ours)
    until(lambda: state(writer.pid) == "S" and waits_in(writer.pid, "pipe_write"), "a writer that waits")
    assert writer.poll() is None
    writer.kill()
    assert writer.wait() == -signal.SIGKILL


def until_readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 20)[0])


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def waits_in(pid: int, function: str) -> bool:
    """Where the kernel tells it; elsewhere its sleeping has to do."""
    try:
        where = Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return True
    return where in ("0", "") or function in where


def test_the_end_of_the_last_writer_is_heard_though_its_end_can_be_read(tmp_path: Path) -> None:
    ours, theirs = pipe()
    writer = subprocess.Popen(["sh", "-c", "echo one; (echo two) & wait"], stdout=theirs)
    os.close(theirs)
    stream = Stream(Pipe(ours), LogFile(files.OpenLog(str(tmp_path / "log"), print)))
    until(lambda: not stream.transfer() and stream.ended, "the end of the stream")
    assert sorted((tmp_path / "log").read_text().split()) == ["one", "two"]
    stream.close()
    assert writer.wait() == 0


def capacity(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)


def found_full(stream: Stream, theirs: int, times: int) -> None:
    os.set_blocking(theirs, False)
    for _ in range(times):
        with suppress(BlockingIOError):
            os.write(theirs, bytes(1 << 20))
        room = capacity(stream.fd)
        assert stream.transfer() == room


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs F_SETPIPE_SZ")
def test_a_pipe_that_is_found_full_again_and_again_is_widened_once(tmp_path: Path) -> None:
    ours, theirs = pipe()
    stream = Stream(Pipe(ours), LogFile(files.OpenLog(str(tmp_path / "log"), print)))
    narrow = capacity(ours)
    found_full(stream, theirs, 3)
    os.write(theirs, b"x")
    stream.transfer()
    found_full(stream, theirs, 3)
    assert capacity(ours) == narrow
    found_full(stream, theirs, 1)
    assert capacity(ours) == 4 * narrow
    found_full(stream, theirs, 10)
    assert capacity(ours) == 4 * narrow
    assert (tmp_path / "log").stat().st_size == (7 + 10 * 4) * narrow + 1
    os.close(theirs)
    stream.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs F_SETPIPE_SZ")
def test_only_so_many_pipes_are_widened(tmp_path: Path) -> None:
    file = LogFile(files.OpenLog(str(tmp_path / "log"), print))
    made = [pipe() for _ in range(65)]
    streams = [Stream(Pipe(ours), file) for ours, _ in made]
    for stream, (_, theirs) in zip(streams, made, strict=True):
        found_full(stream, theirs, 4)
    assert [capacity(ours) > 65536 for ours, _ in made] == [True] * 64 + [False]
    streams[0].close()
    found_full(streams[-1], made[-1][1], 1)
    assert capacity(made[-1][0]) > 65536
    for stream, (_, theirs) in zip(streams, made, strict=True):
        os.close(theirs)
        if stream is not streams[0]:
            stream.close()


def test_the_childs_end_can_be_opened_again_for_reading() -> None:
    ours, theirs = pipe()
    again = os.open(f"/proc/self/fd/{theirs}", os.O_RDWR | os.O_NONBLOCK)
    assert os.read(again, 0) == b""
    assert not os.get_inheritable(ours)
    assert not os.get_inheritable(theirs)
    assert not os.get_blocking(ours)
    assert os.get_blocking(theirs)
    for fd in (ours, theirs, again):
        os.close(fd)


# ---- streams


class Reluctant:
    """A sink that takes as much as a plan says, and sometimes nothing."""

    def __init__(self, shared: bool, plan: list[int]) -> None:
        self.shared = shared
        self.plan = plan
        self.taken: list[bytes] = []

    def take(self, source: flow.Pipe, _writer: object, _wanted: bool, ending: bool, /) -> Taken:
        data = source.peek()
        if not data:
            return flow.nothing(data)
        size = whole(data, source.line_bytes) if self.shared and not ending else len(data)
        if not size:
            return Taken(Found.UNFINISHED)
        size = min(size, self.planned(size))
        self.taken.append(data[:size])
        source.drop(size)
        return Taken(Found.SOME, size, data[:size])

    def end_line(self, _writer: object, /) -> None:
        if self.shared and self.taken and not self.taken[-1].endswith(b"\n"):
            self.planned(1)
            self.taken.append(b"\n")

    def planned(self, otherwise: int) -> int:
        size = self.plan.pop() if self.plan else otherwise
        if size == 0:
            raise OSError(errno.ENOSPC, "full")
        return size


CHUNKS = st.lists(st.binary(max_size=300) | st.sampled_from([b"\n", b"a\n", b"a\nb", b"\n\n\n"]), max_size=30)
PLAN = st.lists(st.integers(0, 200), max_size=60)


@given(CHUNKS, PLAN, st.booleans())
@settings(max_examples=200)
def test_every_byte_is_written_once_and_in_order(chunks: list[bytes], plan: list[int], shared: bool) -> None:
    ours, theirs = pipe()
    sink = Reluctant(shared, plan)
    stream = Stream(Pipe(ours), sink)
    for chunk in chunks:
        os.write(theirs, chunk)
        stream.transfer()
    os.close(theirs)
    while not stream.ended:
        stream.transfer()
    stream.close()
    sent = b"".join(chunks)
    unfinished = shared and sent and not sent.endswith(b"\n")
    assert b"".join(sink.taken) == sent + (b"\n" if unfinished else b"")
    assert stream.trouble is None


@given(CHUNKS, PLAN, CHUNKS)
@settings(max_examples=200)
def test_the_end_of_a_process_ends_its_line_behind_all_that_it_wrote(
    chunks: list[bytes], plan: list[int], more: list[bytes]
) -> None:
    """Also while the sink refuses: the newline does not get between what was read and what is still in the pipe."""
    ours, theirs = pipe()
    sink = Reluctant(True, plan)
    stream = Stream(Pipe(ours), sink)
    for chunk in chunks:
        os.write(theirs, chunk)
    stream.process_ended()
    while stream.transfer() or stream.trouble is not None:
        pass
    sent = b"".join(chunks)
    expected = sent + (b"\n" if sent and not sent.endswith(b"\n") else b"")
    assert b"".join(sink.taken) == expected
    for chunk in more:  # a descendant goes on
        os.write(theirs, chunk)
    os.close(theirs)
    while not stream.ended:
        stream.transfer()
    stream.close()
    rest = b"".join(more)
    assert b"".join(sink.taken) == expected + rest + (b"\n" if rest and not rest.endswith(b"\n") else b"")


# ---- who shares a file


def lines_of(path: Path) -> list[list[str]]:
    """The words of the lines, each checked to be whole."""
    lines = [line.split(" ") for line in path.read_text().splitlines()]
    torn = [line for line in lines if len(line) != 4 or line[3] != "x" * int(line[2])]
    assert not torn, torn[:3]
    return lines


def test_eight_writers_of_one_file_write_whole_lines(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    keys: list[Key] = [("worker", n) for n in range(1, 9)]
    program = [sys.executable, str(PROGRAMS / "numbered_lines.py")]
    writers = {key: place.start(key, launch_of(log), *program, f"w{key[1]}", "2000") for key in keys}
    place.until(lambda: all(writer.poll() is not None for writer in writers.values()), "the end of all writers")
    for key in keys:
        assert not place.outputs.process_ended(key)
    lines = lines_of(log)
    for n in range(1, 9):
        assert [int(line[1]) for line in lines if line[0] == f"w{n}"] == list(range(2000))
    assert len(lines) == 16_000


def test_stdout_and_stderr_on_one_path_are_two_writers(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    writer = place.start(WORKER, launch_of(log, log), "sh", "-c", "printf out; printf err >&2; printf ' more' >&2")
    place.ended(WORKER, writer)
    assert sorted(log.read_text().splitlines()) == ["err more", "out"]


def test_merged_output_keeps_its_order_in_one_pipe(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done; printf end"
    place.ended(WORKER, place.start(WORKER, launch_of(log, None, True), "sh", "-c", script))
    assert log.read_text() == "".join(f"out {i}\nerr {i}\n" for i in range(1, 6)) + "end"


def test_a_second_writer_does_not_get_into_the_line_that_the_first_has_begun(place: Place, tmp_path: Path) -> None:
    """As long as it was alone its bytes went in raw, also half a line."""
    log = tmp_path / "log"
    first = place.start(WORKER, launch_of(log), "sh", "-c", f"printf half; read x < {fifo(tmp_path)}; echo more")
    place.until(lambda: log.read_text() == "half", "half a line")
    second = place.start(("worker", 2), launch_of(log), "echo", "whole")
    place.ended(("worker", 2), second)
    (tmp_path / "fifo").write_text("\n")
    place.ended(WORKER, first)
    assert log.read_text() == "half\nwhole\nmore\n"


def fifo(folder: Path, name: str = "fifo") -> str:
    """A FIFO, to let one writer wait once: a second reading of it could find the end of the first."""
    os.mkfifo(folder / name)
    return str(folder / name)


def test_a_file_that_was_shared_gets_whole_lines_though_one_writer_is_left(place: Place, tmp_path: Path) -> None:
    """The other one may come back in the middle of a line."""
    log = tmp_path / "log"
    script = f"read x < {fifo(tmp_path)}; printf ha; read x < {fifo(tmp_path, 'second')}; echo lf"
    first = place.start(WORKER, launch_of(log), "sh", "-c", script)
    place.ended(("worker", 2), place.start(("worker", 2), launch_of(log), "echo", "one"))
    place.turn()
    (tmp_path / "fifo").write_text("\n")
    place.ended(("worker", 2), place.start(("worker", 2), launch_of(log), "echo", "two"))
    (tmp_path / "second").write_text("\n")
    place.ended(WORKER, first)
    assert log.read_text() == "one\ntwo\nhalf\n"


def test_an_unfinished_line_in_a_file_of_its_own_stays_as_it_is(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    place.ended(WORKER, place.start(WORKER, launch_of(log), "printf", "no end"))
    assert log.read_bytes() == b"no end"


def test_the_last_words_are_heard_by_who_follows(place: Place, tmp_path: Path) -> None:
    """More than one transfer, all of it after the last turn before the death; and with the place where it is kept."""
    heard: list[bytes] = []
    places: set[str] = set()

    def hear(key: Key, name: str, data: bytes) -> None:
        heard.append(data)
        if data:
            places.add(place.outputs.wiring(key).files[name].path)

    place.outputs.listeners.append(Listener(hear))
    writer = place.start(WORKER, launch_of(tmp_path / "log"), "sh", "-c", "echo first; echo last")
    writer.wait()
    place.outputs.process_ended(WORKER)
    assert b"".join(heard) == b"first\nlast\n"
    assert places == {str(tmp_path / "log")}
    assert not place.outputs.wiring(WORKER).files


def test_what_nobody_wants_to_hear_goes_into_its_log_unseen(place: Place, tmp_path: Path) -> None:
    heard: list[tuple[str, bytes]] = []
    listener = Listener(lambda _key, name, data: heard.append((name, data)), lambda _key, name: name == "stderr")
    place.outputs.listeners.append(listener)
    launch = launch_of(tmp_path / "out", stderr=str(tmp_path / "err"))
    place.ended(WORKER, place.start(WORKER, launch, "sh", "-c", "echo said; echo wrong >&2"))
    assert (tmp_path / "out").read_text() == "said\n"
    assert {name for name, _ in heard} == {"stderr"}
    assert b"".join(data for _, data in heard) == b"wrong\n"


def test_a_process_that_closes_its_output_long_before_it_ends(place: Place, tmp_path: Path) -> None:
    """The number of the closed descriptor may be another's by then."""
    script = f"echo said; exec >&- 2>&-; read x < {fifo(tmp_path)}"
    writer = place.start(WORKER, launch_of(tmp_path / "log"), "sh", "-c", script)
    streams = list(place.outputs._current[WORKER].streams.values())
    place.until(lambda: all(stream.closed for stream in streams), "the end of its output")
    ours, theirs = os.pipe2(os.O_NONBLOCK)
    os.write(theirs, b"another's\n")
    assert {stream.fd for stream in streams} & {ours, theirs}
    release(str(tmp_path / "fifo"))
    assert not place.ended(WORKER, writer)
    assert os.read(ours, 100) == b"another's\n"
    os.close(ours)
    os.close(theirs)
    assert (tmp_path / "log").read_text() == "said\n"


def test_without_a_file_the_tail_is_kept_over_restarts(place: Place) -> None:
    for word in ("one", "two"):
        place.ended(WORKER, place.start(WORKER, launch_of(None), "echo", word))
    assert place.outputs.memory.read(WORKER, "stdout").data == b"one\ntwo\n"
    assert place.outputs.memory.read(WORKER, "stderr").data == b""
    place.outputs.forget(WORKER)
    assert place.outputs.memory.read(WORKER, "stdout").data == b""


# ---- descendants


def test_a_pipe_that_a_grandchild_holds_stays_watched(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"(read x < {fifo(tmp_path)}; echo from the grandchild) & echo parent"
    writer = place.start(WORKER, launch_of(log, None, True), "sh", "-c", script)
    assert place.ended(WORKER, writer)
    assert place.outputs.held(WORKER) == 1
    assert log.read_text() == "parent\n"
    (tmp_path / "fifo").write_text("\n")
    place.until(lambda: not place.outputs.held(WORKER), "the grandchild's end")
    assert log.read_text() == "parent\nfrom the grandchild\n"
    turns = place.turns
    place.turn(0)
    assert place.turns == turns + 1


def test_at_most_so_many_pipes_are_held(place: Place, tmp_path: Path) -> None:
    way = fifo(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for n in range(1, 5):
        script = f"(read x < {way}) & echo {n}"
        assert place.ended(WORKER, place.start(WORKER, launch_of(tmp_path / "log", None, True), "sh", "-c", script))
        assert place.outputs.held(WORKER) == min(n, HELD_PIPES)
    assert len(os.listdir("/proc/self/fd")) <= before + HELD_PIPES + 1
    assert (tmp_path / "log").read_text() == "1\n2\n3\n4\n"
    place.outputs.forget(WORKER)
    assert place.outputs.held(WORKER) == 0
    place.later(2 * SOON_S)
    assert len(os.listdir("/proc/self/fd")) == before
    release(way)


def release(way: str) -> None:
    """Let everybody go who waits to open the FIFO for reading, or to read from it."""
    os.close(os.open(way, os.O_RDWR))


def test_before_the_daemon_leaves_it_takes_what_held_pipes_hold(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"(read x < {fifo(tmp_path)}; echo late; read x < {fifo(tmp_path, 'second')}) & echo parent"
    writer = place.start(WORKER, launch_of(log, None, True), "sh", "-c", script)
    assert place.ended(WORKER, writer)
    held = place.outputs._held[WORKER][0]
    (tmp_path / "fifo").write_text("\n")
    assert until_readable(held.fd)
    place.outputs.settle()
    assert log.read_text() == "parent\nlate\n"
    release(str(tmp_path / "second"))


# ---- logs that refuse


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    with tmpfs(tmp_path / "disk", "size=256k") as disk:
        yield disk


def test_a_full_disk_makes_writers_wait_and_loses_nothing(place: Place, tmp_path: Path, small_disk: Path) -> None:
    log, filler = small_disk / "log", small_disk / "filler"
    filler.write_bytes(bytes(200 * 1024))
    keys: list[Key] = [("worker", n) for n in range(1, 4)]
    program = [sys.executable, str(PROGRAMS / "numbered_lines.py")]
    writers = {key: place.start(key, launch_of(log), *program, f"w{key[1]}", "1500") for key in keys}
    place.until(lambda: len(place.outputs._refused) == 3, "a disk that is full for all of them")
    sentence = f"log {log} takes nothing (No space left on device): its writers wait"
    assert place.outputs.troubles() == [sentence]
    assert place.told == [sentence]
    turns = place.turns
    for _ in range(30):  # half a minute
        place.later(1)
    place.loop.turn(0.2)
    assert place.turns == turns + 30
    assert place.told == [sentence]
    assert all(writer.poll() is None for writer in writers.values())
    for _ in range(31):
        place.later(1)
    assert place.told == [sentence] * 2
    filler.unlink()
    copied = b""
    while not all(writer.poll() is not None for writer in writers.values()) or place.outputs._refused:
        place.later(1)
        place.turn()
        copied += moved(log)
    for key in keys:
        place.outputs.process_ended(key)
    copied += moved(log)
    assert place.outputs.troubles() == []
    (tmp_path / "whole").write_bytes(copied)
    lines = lines_of(tmp_path / "whole")
    for n in range(1, 4):
        assert [int(line[1]) for line in lines if line[0] == f"w{n}"] == list(range(1500))


def moved(log: Path) -> bytes:
    """Make room: take away what the log holds."""
    data = log.read_bytes()
    os.truncate(log, 0)
    return data


def test_a_full_disk_does_not_keep_the_loop_busy(place: Place, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(250 * 1024))
    served: list[str] = []
    place.start(WORKER, launch_of(small_disk / "log"), "sh", "-c", "while :; do echo yyyyyyyyyyyyyyyyyyyyy; done")
    place.until(lambda: place.outputs._refused, "a full disk")
    place.outputs.listeners.append(Listener(lambda *_: served.append("output")))
    for _ in range(100):
        place.turn(0)
    assert served == []


def test_a_process_that_ended_on_a_full_disk_did_not_put_itself_in_the_background(
    place: Place, small_disk: Path
) -> None:
    filler, log = small_disk / "filler", small_disk / "log"
    log.touch()
    fill(filler)
    writer = place.start(WORKER, launch_of(log, None, True), "sh", "-c", "echo last words")
    assert not place.ended(WORKER, writer)
    assert place.outputs.held(WORKER) == 1
    assert place.outputs.troubles()
    filler.unlink()
    place.later(1)
    place.until(lambda: not place.outputs.held(WORKER), "the end of the stream")
    assert log.read_text() == "last words\n"


def fill(filler: Path) -> None:
    """Take the last byte of the disk."""
    with open(filler, "ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


def test_on_a_full_disk_a_task_that_crashes_again_and_again_loses_no_line(place: Place, small_disk: Path) -> None:
    """More of them than pipes may be held; the disk gets room while one lives."""
    filler, log = small_disk / "filler", small_disk / "log"
    log.touch()
    fill(filler)
    for n in range(1, 7):
        script = f"echo {n} of stdout; echo {n} of stderr >&2; exit 1"
        place.ended(WORKER, place.start(WORKER, launch_of(log, None, True), "sh", "-c", script))
    way = fifo(small_disk)
    writer = place.start(WORKER, launch_of(log, None, True), "sh", "-c", f"echo 7; read x < {way}; echo 8")
    place.until(lambda: len(place.outputs._refused) == 7, "all of them waiting")
    filler.unlink()
    release_when_opened(way, place)
    place.ended(WORKER, writer)
    place.later(1)
    place.until(lambda: not place.outputs.held(WORKER), "the end of all streams")
    expected = "".join(f"{n} of stdout\n{n} of stderr\n" for n in range(1, 7)) + "7\n8\n"
    assert log.read_text() == expected
    assert place.outputs.troubles() == []


def release_when_opened(way: str, place: Place) -> None:
    """Let the one writer go on that reads the FIFO."""
    Path(way).write_text("\n")
    place.turn(0)


def test_a_full_fifo_is_written_to_as_soon_as_it_is_read_and_nobody_is_told(place: Place, tmp_path: Path) -> None:
    """The clock stands still: nothing is tried at an hour. Two streams wait for one FIFO."""
    way = fifo(tmp_path)
    reader = os.open(way, os.O_RDONLY | os.O_NONBLOCK)
    program = [sys.executable, str(PROGRAMS / "numbered_lines.py")]
    keys: list[Key] = [("worker", 1), ("worker", 2)]
    writers = [place.start(key, launch_of(way), *program, f"w{key[1]}", "1500") for key in keys]
    place.until(lambda: len(place.outputs._refused) == 2, "a FIFO that is full for both")
    served: list[str] = []
    place.outputs.listeners.append(Listener(lambda *_: served.append("output")))
    for _ in range(20):
        place.turn(0)
    assert served == []
    assert place.told == place.outputs.troubles() == []
    copied = b""

    def read_all() -> bool:
        nonlocal copied
        if select.select([reader], [], [], 0)[0]:
            copied += os.read(reader, 65536)
        return all(writer.poll() is not None for writer in writers) and not place.outputs._refused

    place.until(read_all, "all writers' ends")
    for key in keys:
        place.outputs.process_ended(key)
    place.until(lambda: read_all() and not place.outputs._refused, "the last words")
    while select.select([reader], [], [], 0)[0] and (data := os.read(reader, 65536)):
        copied += data
    os.close(reader)
    assert place.told == []
    (tmp_path / "whole").write_bytes(copied)
    lines = lines_of(tmp_path / "whole")
    for n in (1, 2):
        assert [int(line[1]) for line in lines if line[0] == f"w{n}"] == list(range(1500))


def test_two_spellings_of_one_file_share_it(place: Place, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "logs")
    way = fifo(tmp_path)
    script = f"printf half; read x < {way}; echo more"
    first = place.start(WORKER, launch_of(tmp_path / "logs" / "log"), "sh", "-c", script)
    log = tmp_path / "logs" / "log"
    place.until(lambda: log.read_text() == "half", "half a line")
    other: Key = ("worker", 2)
    place.ended(other, place.start(other, launch_of(tmp_path / "link" / "log"), "echo", "whole"))
    Path(way).write_text("\n")
    place.ended(WORKER, first)
    assert log.read_text() == "half\nwhole\nmore\n"
    assert list(place.outputs.files) == []


def test_a_log_that_cannot_be_opened_is_a_failed_start_with_the_reason(place: Place, tmp_path: Path) -> None:
    missing = tmp_path / "no" / "log"
    reason = f"stdout log '{missing}' cannot be opened: No such file or directory"
    assert failed(place, launch_of(missing)) == SpawnFailure("stdout", reason, f"mkdir -p {tmp_path}/no")
    reason = f"stderr log '{tmp_path}' cannot be opened: Is a directory"
    hint = "it is a directory: name a file in it"
    assert failed(place, launch_of(tmp_path / "log", tmp_path)) == SpawnFailure("stderr", reason, hint)
    assert failed(place, launch_of(None, tmp_path)) == SpawnFailure("stderr", reason, hint)
    way = fifo(tmp_path)
    reason = f"stdout log '{way}' cannot be opened: No such device or address"
    assert failed(place, launch_of(way)) == SpawnFailure("stdout", reason, "nobody reads this FIFO")


@as_root
def test_a_log_that_its_owner_may_not_write(place: Place, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "log").touch()
    os.seteuid(1)
    try:
        own, new = (place.outputs.open(WORKER, launch_of(tmp_path / name)) for name in ("log", "new"))
    finally:
        os.seteuid(0)
    assert isinstance(own, SpawnFailure)
    assert isinstance(new, SpawnFailure)
    assert own.reason.endswith(": Permission denied")
    assert (own.hint == f"uid 1 may not write to {tmp_path}/log") or own.hint == f"uid 1 may not write to {tmp_path}"
    assert new.hint == f"uid 1 may not write to {tmp_path}"


def test_a_fifo_with_a_reader_is_written_to(place: Place, tmp_path: Path) -> None:
    reader = os.open(fifo(tmp_path), os.O_RDONLY | os.O_NONBLOCK)
    place.ended(WORKER, place.start(WORKER, launch_of(tmp_path / "fifo"), "echo", "through"))
    assert os.read(reader, 100) == b"through\n"
    os.close(reader)


def test_a_link_in_a_directory_that_others_can_write_is_not_followed(place: Place, tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.mkdir()
    (public / "log").symlink_to(tmp_path / "target")
    place.ended(WORKER, place.start(WORKER, launch_of(public / "log"), "echo", "trusted"))
    assert (tmp_path / "target").read_text() == "trusted\n"
    public.chmod(0o1777)
    refusal = failed(place, launch_of(public / "log"))
    assert refusal.reason == f"stdout log '{public}/log' cannot be opened: Too many levels of symbolic links"
    assert refusal.hint == f"it is a link, and others can write to {public}"
    assert (tmp_path / "target").read_text() == "trusted\n"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0])
def test_a_new_log_has_mode_644_less_the_umask_and_an_old_one_keeps_its_own(
    place: Place, tmp_path: Path, umask: int
) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(0o600)
    before = os.umask(umask)
    try:
        for name in ("new", "old"):
            place.ended(WORKER, place.start(WORKER, launch_of(tmp_path / name), "echo", "x"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644 & ~umask
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o600


def test_a_log_is_appended_to(place: Place, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    place.ended(WORKER, place.start(WORKER, launch_of(tmp_path / "log"), "echo", "after"))
    assert (tmp_path / "log").read_text() == "before\nafter\n"


def test_after_a_rename_reopen_goes_on_in_a_new_file(place: Place, tmp_path: Path) -> None:
    log, old = tmp_path / "log", tmp_path / "log.1"
    script = f"echo one; read x < {fifo(tmp_path)}; echo two; read x < {fifo(tmp_path, 'second')}; echo three"
    writer = place.start(WORKER, launch_of(log), "sh", "-c", script)
    place.until(lambda: log.exists() and log.read_text() == "one\n", "the first line")
    log.rename(old)
    (tmp_path / "fifo").write_text("\n")
    place.until(lambda: old.read_text() == "one\ntwo\n", "the second line in the renamed file")
    assert place.outputs.reopen() == []
    (tmp_path / "second").write_text("\n")
    place.ended(WORKER, writer)
    assert (old.read_text(), log.read_text()) == ("one\ntwo\n", "three\n")


def test_a_reopen_that_is_refused_goes_on_in_the_old_file(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    log = folder / "log"
    writer = place.start(WORKER, launch_of(log), "sh", "-c", f"read x < {fifo(tmp_path)}; echo kept")
    folder.rename(tmp_path / "elsewhere")
    assert place.outputs.reopen() == [f"log {log} cannot be opened anew: No such file or directory"]
    (tmp_path / "fifo").write_text("\n")
    place.ended(WORKER, writer)
    assert (tmp_path / "elsewhere" / "log").read_text() == "kept\n"
