"""Log files that are complete, and what happens to them from outside: real writers, real files."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.place import Place, launch_of
from tests.mounts import tmpfs
from tests.waiting import until
from tm.core.log_policy import Form, LogPolicy
from tm.daemon.wiring import Key
from tm.edge.pipes import pipe

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
NUMBERED = [sys.executable, str(PROGRAMS / "numbered_lines.py")]
WORKER: Key = ("worker", 1)


def parts(log: Path) -> list[Path]:
    """The files of a log, the oldest first."""
    numbered = sorted(log.parent.glob(f"{log.name}.*"), key=lambda each: -int(each.suffix[1:]))
    return [*numbered, log]


def whole_lines(text: str, name: str, count: int) -> None:
    lines = [line.split(" ") for line in text.splitlines() if line.startswith(f"{name} ")]
    assert [int(line[1]) for line in lines] == list(range(count))
    assert all(line[3] == "x" * int(line[2]) for line in lines)


def test_rotation_loses_and_tears_nothing(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    writer = place.start(WORKER, launch_of(log, logs=LogPolicy(100_000, 1000)), *NUMBERED, "w", "20000")
    place.ended(WORKER, writer)
    found = parts(log)
    assert len(found) > 10
    assert all(90_000 < each.stat().st_size <= 100_000 for each in found[:-1])
    assert all(each.read_bytes().endswith(b"\n") for each in found)
    whole_lines("".join(each.read_text() for each in found), "w", 20_000)
    assert not place.told


def test_rotation_of_a_shared_file(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    keys: list[Key] = [("worker", n) for n in range(1, 9)]
    policy = LogPolicy(50_000, 1000)
    writers = {key: place.start(key, launch_of(log, logs=policy), *NUMBERED, f"w{key[1]}", "2000") for key in keys}
    place.until(lambda: all(writer.poll() is not None for writer in writers.values()), "the end of all writers")
    for key in keys:
        place.outputs.process_ended(key)
    found = parts(log)
    assert all(each.stat().st_size <= 50_000 for each in found)
    assert all(each.read_bytes().endswith(b"\n") for each in found)
    text = "".join(each.read_text() for each in found)
    for n in range(1, 9):
        whole_lines(text, f"w{n}", 2000)
    assert text.count("\n") == 16_000


def test_so_many_are_kept_with_owner_and_mode(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    log.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(log, 65534, 65534)
    owner = log.stat().st_uid
    policy = LogPolicy(10_000, 2)
    place.ended(WORKER, place.start(WORKER, launch_of(log, logs=policy), *NUMBERED, "w", "1000"))
    assert [each.name for each in parts(log)] == ["log.2", "log.1", "log"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in parts(log)} == {0o600}
    assert {each.stat().st_uid for each in parts(log)} == {owner}
    tail = "".join(each.read_text() for each in parts(log))
    assert tail.endswith(f"w 999 {999 * 7 % 211} {'x' * (999 * 7 % 211)}\n")


def test_none_is_kept(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    place.ended(WORKER, place.start(WORKER, launch_of(log, logs=LogPolicy(10_000, 0)), *NUMBERED, "w", "1000"))
    assert [each.name for each in parts(log)] == ["log"]
    assert log.stat().st_size <= 10_000


def test_a_line_without_end_is_cut_at_last(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = [sys.executable, "-c", "import os\nfor _ in range(100): os.write(1, b'x' * 10_000)"]
    place.ended(WORKER, place.start(WORKER, launch_of(log, logs=LogPolicy(10_000, 1000)), *program))
    assert sum(each.stat().st_size for each in parts(log)) == 1_000_000
    assert max(each.stat().st_size for each in parts(log)) < 10_000 + 3 * 64 * 1024


def test_where_no_file_can_be_made_it_grows_on_and_that_is_told(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "log.1").mkdir()
    place.ended(WORKER, place.start(WORKER, launch_of(log, logs=LogPolicy(10_000, 1)), *NUMBERED, "w", "1000"))
    whole_lines(log.read_text(), "w", 1000)
    assert place.told
    assert re.fullmatch(rf"log {log} cannot be rotated \(.*\): it grows on", place.told[0])


def test_a_reload_changes_the_limit_of_what_runs(place: Place, tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    os.mkfifo(go)
    script = f"seq 1000; read x < {go}; seq 1000"
    writer = place.start(WORKER, launch_of(log), "sh", "-c", script)
    place.until(lambda: log.exists() and log.stat().st_size > 3000, "the first half")
    place.outputs.adopt({"worker": LogPolicy(2000, 100, Form.STAMPED)}.get)
    go.write_text("\n")
    place.ended(WORKER, writer)
    assert len(parts(log)) > 10
    last = log.read_text().splitlines()[-1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d 1000", last)


# ---- from outside


def flooding(tmp_path: Path) -> list[str]:
    return [sys.executable, str(PROGRAMS / "flood_until.py"), "w", str(tmp_path / "told")]


def numbers(text: str) -> list[int]:
    return [int(line.split(" ")[1]) for line in text.splitlines()]


@pytest.mark.parametrize("shared", [False, True])
def test_a_rename_is_noticed_by_itself(place: Place, tmp_path: Path, shared: bool) -> None:
    log = tmp_path / "log"
    writer = place.start(WORKER, launch_of(log), *flooding(tmp_path))
    if shared:
        place.ended(("worker", 2), place.start(("worker", 2), launch_of(log), "true"))
    for turn in range(3):
        place.until(lambda: log.exists() and log.stat().st_size > 50_000, "some output")
        log.rename(tmp_path / f"old{turn}")
    place.until(log.exists, "a new file")
    (tmp_path / "told").touch()
    place.ended(WORKER, writer)
    text = "".join((tmp_path / name).read_text() for name in ("old0", "old1", "old2", "log"))
    found = numbers(text)
    assert found == list(range(len(found)))
    assert not place.told


def test_a_removal_is_noticed_by_itself(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    writer = place.start(WORKER, launch_of(log), *flooding(tmp_path))
    place.until(lambda: log.exists() and log.stat().st_size > 50_000, "some output")
    log.unlink()
    place.until(log.exists, "a new file")
    (tmp_path / "told").touch()
    place.ended(WORKER, writer)
    assert log.read_text().splitlines()[-1].endswith(" end")


def test_a_truncation_makes_no_hole(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    writer = place.start(WORKER, launch_of(log), *flooding(tmp_path))
    place.until(lambda: log.exists() and log.stat().st_size > 50_000, "some output")
    os.truncate(log, 0)
    place.until(lambda: log.stat().st_size > 50_000, "more output")
    (tmp_path / "told").touch()
    place.ended(WORKER, writer)
    data = log.read_bytes()
    assert b"\0" not in data
    found = numbers(data.decode().partition("\n")[2])
    assert found == list(range(found[0], found[0] + len(found)))


def test_another_writer_is_told_once_and_loses_nothing(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    writer = place.start(WORKER, launch_of(log), *flooding(tmp_path))
    place.until(lambda: log.exists() and log.stat().st_size > 50_000, "some output")
    for number in range(20):
        with open(log, "ab") as file:
            file.write(b"stranger %d\n" % number)
        place.turn()
    (tmp_path / "told").touch()
    place.ended(WORKER, writer)
    text = log.read_text()
    assert place.told == [f"log {log} has another writer: it is appended to by read and write from now on"]
    assert re.findall(r"stranger (\d+)\n", text) == [str(number) for number in range(20)]
    found = numbers(re.sub(r"stranger \d+\n", "", text))
    assert found == list(range(len(found)))


# ---- killed in the middle

TRANSFER = """
import sys
sys.path.insert(0, sys.argv[1])
from tm.core.log_policy import LogPolicy
from tm.edge import files
from tm.edge.pipes import Pipe
from tm.edge.sinks import LogFile
from tm.edge.streams import Stream
file = LogFile(files.OpenLog(sys.argv[3], print))
file.policy = LogPolicy(1_000_000, 1000)
file.shared = sys.argv[4] == "shared"
file.join()
stream = Stream(Pipe(int(sys.argv[2])), file)
print(flush=True)
while not stream.ended:
    stream.transfer()
"""


@pytest.mark.parametrize("shared", ["alone", "shared"])
def test_twenty_kills_in_the_middle_of_transfers_lose_tear_and_double_nothing(tmp_path: Path, shared: str) -> None:
    """The test holds the ends of the pipe, as whatever outlives a daemon does."""
    log = tmp_path / "log"
    ours, theirs = pipe()
    os.set_inheritable(ours, True)
    flood = [sys.executable, str(PROGRAMS / "flood_until.py"), "w", str(tmp_path / "told")]
    root = str(PROGRAMS.parents[1])
    with subprocess.Popen(flood, stdout=theirs) as writer:
        os.close(theirs)
        command = [sys.executable, "-c", TRANSFER, root, str(ours), str(log), shared]
        for _ in range(20):
            before = sum(each.stat().st_size for each in parts(log) if each.exists())
            with subprocess.Popen(command, pass_fds=(ours,), stdout=subprocess.PIPE) as daemon:
                assert daemon.stdout is not None
                daemon.stdout.readline()
                until(lambda before=before: size_of(log) > before + 200_000, "some transfers")
                daemon.send_signal(signal.SIGKILL)
        (tmp_path / "told").touch()
        subprocess.run(command, pass_fds=(ours,), stdout=subprocess.DEVNULL, check=True, timeout=60)
        writer.wait()
    os.close(ours)
    found = [line.split(" ") for each in parts(log) for line in each.read_text().splitlines()]
    assert [int(line[1]) for line in found] == list(range(len(found)))
    assert all(line[3] == "x" * int(line[2]) for line in found[:-1])
    assert found[-1][2] == "end"


def size_of(log: Path) -> int:
    total = 0
    for each in parts(log):
        try:
            total += each.stat().st_size
        except FileNotFoundError:
            continue  # it is being renamed
    return total


@pytest.mark.parametrize("shared", [False, True])
def test_a_child_that_reads_its_own_output_harms_nobody(place: Place, tmp_path: Path, shared: bool) -> None:
    """Its end of the pipe can be read: what was seen in it may be gone."""
    log = tmp_path / "log"
    program = (
        "import os\n"
        "os.set_blocking(1, False)\n"
        "for n in range(30000):\n"
        "    try:\n"
        "        os.write(1, b'line %d\\n' % n)\n"
        "        os.read(1, 1000)\n"
        "    except BlockingIOError:\n"
        "        pass\n"
    )
    form = Form.RAW if shared else Form.STAMPED
    writer = place.start(WORKER, launch_of(log, logs=LogPolicy(form=form)), sys.executable, "-c", program)
    if shared:
        place.ended(("worker", 2), place.start(("worker", 2), launch_of(log), "echo", "whole"))
    place.ended(WORKER, writer)
    quiet = place.start(("quiet", 1), launch_of(tmp_path / "quiet"), "echo", "heard")
    place.ended(("quiet", 1), quiet)
    assert (tmp_path / "quiet").read_text() == "heard\n"


# ---- forms


def test_json_has_one_object_a_line_whatever_the_bytes(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = r"printf 'plain\n\377\376 \"quoted\"\n\n\033[31mred\n'; printf unfinished >&2"
    launch = launch_of(log, log, logs=LogPolicy(form=Form.JSON))
    writer = place.start(WORKER, launch, "bash", "-c", script)
    place.ended(WORKER, writer)
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(each["text"] for each in found) == sorted(
        ["plain", '\\xff\\xfe "quoted"', "", "\x1b[31mred", "unfinished"]
    )
    assert {(each["task"], each["instance"], each["pid"]) for each in found} == {("worker", "worker", 0)}
    assert {each["stream"] for each in found if each["text"] == "unfinished"} == {"stderr"}
    assert all(list(each) == ["time", "task", "instance", "pid", "stream", "text"] for each in found)


# ---- what a full disk means


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    with tmpfs(tmp_path / "disk", "size=256k") as disk:
        yield disk


@pytest.mark.parametrize("form", [Form.RAW, Form.STAMPED])
def test_what_is_to_be_discarded_is_counted_and_told_and_nobody_waits(place: Place, disk: Path, form: Form) -> None:
    log, filler = disk / "log", disk / "filler"
    filler.write_bytes(bytes(200 * 1024))
    policy = LogPolicy(form=form, discards=True)
    writer = place.start(WORKER, launch_of(log, logs=policy), *NUMBERED, "w", "5000")
    place.until(place.outputs.troubles, "that status says so")
    place.until(lambda: writer.poll() is not None, "a writer that does not wait")
    place.turn()
    assert re.fullmatch(rf"log {log} takes nothing \(No space left on device\): [1-9]\d* bytes are lost", place.told[0])
    assert len([told for told in place.told if "takes nothing" in told]) == 1, "once a minute, however many bytes"
    kept = log.stat().st_size
    filler.unlink()
    place.ended(WORKER, writer)
    place.ended(WORKER, place.start(WORKER, launch_of(log, logs=policy), "echo", "more"))
    found = re.fullmatch(rf"(\d+) bytes of log {log} were lost", place.told[-1])
    assert found
    text = log.read_text()
    assert text.endswith("more\n")
    if form is Form.RAW:
        lost, whole = int(found[1]), sum(len(f"w {n} {n * 7 % 211} \n") + n * 7 % 211 for n in range(5000))
        assert log.stat().st_size + lost == whole + len("more\n")
    assert log.stat().st_size > kept


def test_a_log_that_loses_more_and_more_is_told_once_a_minute(place: Place, disk: Path) -> None:
    """How much is lost is in the sentence: it was told anew with every loss."""
    changes: list[tuple[str, bool]] = []
    place.outputs.reports.on_change = lambda path, _sentence, refuses: changes.append((path, refuses))
    log, filler = disk / "log", disk / "filler"
    filler.write_bytes(bytes(250 * 1024))
    flood = "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done"
    place.start(WORKER, launch_of(log, logs=LogPolicy(discards=True)), "sh", "-c", flood)
    place.until(lambda: place.told, "a full disk")
    file = next(iter(place.outputs.files))
    lost = file.lost
    place.until(lambda: file.lost > lost + 100_000, "more that is lost")
    assert len(place.told) == 1
    place.later(61)
    place.until(lambda: len(place.told) == 2, "the next minute")
    assert changes == [(str(log), True)] * 2
    filler.unlink()
    place.until(lambda: changes[2:], "room again")
    assert changes[2] == (str(log), False)


def test_a_log_takes_output_again_when_nobody_waits_for_it_any_more(place: Place, disk: Path) -> None:
    changes: list[bool] = []
    place.outputs.reports.on_change = lambda _path, _sentence, refuses: changes.append(refuses)
    log, filler = disk / "log", disk / "filler"
    filler.write_bytes(bytes(252 * 1024))
    keys: list[Key] = [("worker", n) for n in (1, 2)]
    writers = {key: place.start(key, launch_of(log), *NUMBERED, f"w{key[1]}", "300") for key in keys}
    place.until(lambda: len(place.outputs._refused) == 2, "two that wait")
    assert changes == [True]
    filler.unlink()
    place.later(1.1)
    place.until(lambda: len(changes) > 1, "that it is over")
    assert place.outputs.troubles() == []
    for key, writer in writers.items():
        place.ended(key, writer)
    assert changes == [True, False]
    assert len(log.read_text().splitlines()) == 600


def filled(disk: Path) -> Path:
    """Take the last byte of the disk; what takes it."""
    (disk / "log").touch()
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    return filler


def test_who_waits_goes_on_once_a_reload_lets_it_lose_lines(place: Place, disk: Path) -> None:
    """A bug: it was neither tried again nor watched any more."""
    log, _ = disk / "log", filled(disk)
    writer = place.start(WORKER, launch_of(log), *NUMBERED, "w", "5000")
    place.until(place.outputs.troubles, "a disk that is full")
    place.outputs.adopt({"worker": LogPolicy(discards=True)}.get)
    place.later(1.1)
    place.ended(WORKER, writer)
    assert len(place.told) in (2, 3), "that it waits, perhaps that something is lost, and at the end how much"
    assert place.told[0].endswith(": its writers wait")
    assert re.search(r": \d+ bytes are lost$|^\d+ bytes of log .* were lost$", place.told[-1]), place.told


def test_what_was_lost_at_the_end_of_a_process_is_in_nobodys_way(place: Place, disk: Path) -> None:
    """A bug: as long as a descendant held the pipe, nobody else was let into the log, though there was room again."""
    log, filler = disk / "log", filled(disk)
    os.mkfifo(disk / "fifo")
    launch = launch_of(log, logs=LogPolicy(discards=True))
    writer = place.start(WORKER, launch, "sh", "-c", f"(read x < {disk}/fifo) & echo lost")
    writer.wait()
    assert place.outputs.process_ended(WORKER), "a descendant holds its pipe"
    filler.unlink()
    place.ended(WORKER, place.start(WORKER, launch, "echo", "kept"))
    assert log.read_text() == "kept\n"
    (disk / "fifo").write_text("\n")


def test_lines_with_a_time_wait_for_room_and_none_is_lost_or_torn(place: Place, disk: Path) -> None:
    log, filler = disk / "log", disk / "filler"
    # More than what is free and what a pipe holds, and still less than the disk.
    filler.write_bytes(bytes(200 * 1024))
    writer = place.start(WORKER, launch_of(log, logs=LogPolicy(form=Form.STAMPED)), *NUMBERED, "w", "1650")
    place.until(lambda: place.outputs.troubles(), "a disk that is full")
    assert writer.poll() is None
    filler.unlink()
    place.later(1.1)
    place.ended(WORKER, writer)
    lines = log.read_text().splitlines()
    assert [int(line.split(" ")[2]) for line in lines] == list(range(1650))
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d w ", line) for line in lines)
