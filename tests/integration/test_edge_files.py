"""The files that the daemon keeps and reads: logs from their end, its event log, the wishes, /proc, its descriptors."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mounts import tmpfs
from tests.waiting import until
from tm.core.records import Level
from tm.core.scale import Scale
from tm.edge import files, logfile, procfs, wishes
from tm.edge.eventlog import EventLog, LogFile
from tm.edge.wishes import Wishes

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    with tmpfs(tmp_path / "disk", "size=64k") as disk:
        yield disk


def fill(filler: Path) -> None:
    """Take the last byte of the disk."""
    with open(filler, "ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


# ---- logs from their end


def whole(log: logfile.Log) -> bytes:
    """All that is in it."""
    return log.read(1 << 40, 0)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(0, 900), st.integers(0, 900))
@settings(max_examples=200)
def test_a_log_and_what_was_rotated_are_one(pieces: list[bytes], far: int, near: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        for number, piece in enumerate(reversed(pieces)):
            Path(home, f"log.{number}" if number else "log").write_bytes(piece)
        content = b"".join(pieces)
        with closing(logfile.Log(f"{home}/log")) as log:
            assert log.read(far, near) == content[max(0, len(content) - far) : max(0, len(content) - near)]
            assert whole(log) == content


def test_a_log_is_what_it_was_when_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "log"
    (tmp_path / "log.1").write_bytes(b"older\n")
    path.write_bytes(b"newer\n")
    with closing(logfile.Log(str(path))) as log:
        with open(path, "ab") as file:
            file.write(b"newest\n")
        assert whole(log) == b"older\nnewer\n"
        (tmp_path / "log.1").rename(tmp_path / "log.2")
        path.rename(tmp_path / "log.1")
        path.write_bytes(b"another\n")
        assert whole(log) == b"older\nnewer\n"
        (tmp_path / "log.2").unlink()
        assert whole(log) == b"newer\n"


def test_a_log_rotated_before_it_is_read_further_back(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n")
    with closing(logfile.Log(str(path))) as log:
        path.rename(tmp_path / "log.1")
        path.write_bytes(b"second\n")
        assert whole(log) == b"first\n"


def test_a_log_that_is_truncated_while_it_is_read_ends_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    (tmp_path / "log.1").write_bytes(b"older\n")
    path.write_bytes(b"one\ntwo\nthree\n")
    with closing(logfile.Log(str(path))) as log:
        assert log.read(6, 0) == b"three\n"
        os.truncate(path, 6)
        assert log.read(14, 6) == b"", "'tw' does not stand before 'three'"
        assert log.read(20, 6) == b""


def test_a_mark_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    with closing(logfile.Log(str(path))) as log:
        file = log.mark.rpartition(":")[0]
        for size in ("", "x", "-1", "\u00b2", "5", "9" * 5000):
            assert log.behind(f"{file}:{size}") is None


def test_a_mark_is_found_again_also_when_its_file_was_rotated(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n")
    with closing(logfile.Log(str(path))) as log:
        mark = log.mark
        assert log.behind(mark) == 0
    with open(path, "ab") as file:
        file.write(b"second\n")
    path.rename(tmp_path / "log.1")
    path.write_bytes(b"third\n")
    with closing(logfile.Log(str(path))) as log:
        assert log.behind(mark) == len(b"second\nthird\n")
        for wrong in ("", "x", f"{mark}9999", "1:2:3", mark.rpartition(":")[0] + ":-1"):
            assert log.behind(wrong) is None


def test_the_end_of_a_sparse_file_of_2_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with open(path, "wb") as file:
        file.truncate(2 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b"".join(b"line %d\n" % n for n in range(100)))
    with closing(logfile.Log(str(path))) as log:
        assert log.read(16, 0) == b"line 98\nline 99\n"


def test_what_is_no_file_is_empty_or_an_error_and_never_a_wait(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        logfile.Log(str(tmp_path / "none"))
    os.mkfifo(tmp_path / "fifo")
    for nothing in (tmp_path / "fifo", tmp_path):
        with closing(logfile.Log(str(nothing))) as log:
            assert whole(log) == b""


# ---- the event log


def test_a_record_is_one_line_whatever_it_says(tmp_path: Path) -> None:
    texts = ["plain", "two\nlines", "cr\rlf\r\n", "\x1b[2Jclear", "\u2028\x85\x0b\x0c", "\0", "ü €", "\udcff", ""]
    for as_json in (False, True):
        path = tmp_path / f"log{as_json}"
        log = EventLog(LogFile(str(path)), Level.INFO, as_json)
        for text in texts:
            log.write(Level.INFO, "wor\nker", "state", text)
        log.write(Level.DEBUG, "worker", "state", "below the level")
        log.close()
        assert log.trouble is None
        lines = path.read_bytes().splitlines()
        assert path.read_bytes().count(b"\n") == len(lines) == len(texts)
        if as_json:
            assert [json.loads(line)["text"] for line in lines] == texts
        else:
            assert all(b"\x1b" not in line and b" INFO wor ker state: " in line for line in lines)
            assert lines[1].endswith(b"two\\nlines")
        assert [record.text for record in log.records] == texts


def test_the_time_of_a_record_has_milliseconds_and_a_zone(tmp_path: Path) -> None:
    log = EventLog(LogFile(str(tmp_path / "log")), Level.INFO, False)
    log.write(Level.INFO, "taskmaster", "start", "x")
    log.close()
    when = (tmp_path / "log").read_text().split()[0]
    assert len(when) == len("2026-01-31T12:00:00.123+01:00")
    assert when[19] == "."


def test_a_full_disk_is_remembered_and_tears_no_later_record(small_disk: Path) -> None:
    path, filler = small_disk / "log", small_disk / "filler"
    log = EventLog(LogFile(str(path)), Level.INFO, True)
    heard: list[str] = []
    log.listen(lambda record: heard.append(record.text))
    log.write(Level.INFO, "worker", "state", "before")
    fill(filler)
    for n in range(100):
        log.write(Level.INFO, "worker", "state", f"{n} " + "x" * 100)
    assert log.trouble is not None
    assert log.trouble.errno == errno.ENOSPC
    assert len(heard) == len(log.records) == 101
    filler.unlink()
    log.write(Level.INFO, "worker", "state", "after")
    assert log.trouble is None
    log.close()
    lines = path.read_text().splitlines()
    assert json.loads(lines[-1])["text"] == "after"
    assert all(json.loads(line) for line in lines[:-2])


def test_the_event_log_goes_on_in_a_new_file_after_a_rename(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = EventLog(LogFile(str(path)), Level.INFO, False)
    log.write(Level.INFO, "a", "b", "one")
    path.rename(tmp_path / "old")
    log.write(Level.INFO, "a", "b", "two")
    log.reopen()
    log.write(Level.INFO, "a", "b", "three")
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        log.reopen()
    log.write(Level.INFO, "a", "b", "four")
    assert log.trouble is None
    log.close()
    assert [line.split()[-1] for line in (tmp_path / "old").read_text().splitlines()] == ["one", "two"]


def test_the_event_log_is_for_owner_and_group_and_not_reached_by_a_strangers_link(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        EventLog(LogFile(str(tmp_path / "log")), Level.INFO, False).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o640
    (tmp_path / "link").symlink_to(tmp_path / "log")
    EventLog(LogFile(str(tmp_path / "link")), Level.INFO, False).close()  # the owner's own link, as /dev/stdout is one
    tmp_path.chmod(0o1777)
    with pytest.raises(OSError, match="symbolic links"):
        EventLog(LogFile(str(tmp_path / "link")), Level.INFO, False)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="No such device"):
        EventLog(LogFile(str(tmp_path / "fifo")), Level.INFO, False)


def test_the_event_log_is_rotated_and_loses_no_record(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = EventLog(LogFile(str(path), 2000, lambda path, fd: files.open_next(path, 3, fd)), Level.INFO, False)
    path.chmod(0o600)
    for number in range(300):
        log.write(Level.INFO, "web", "state", f"record {number}")
    parts = [tmp_path / name for name in ("log.3", "log.2", "log.1", "log")]
    assert sorted(tmp_path.iterdir()) == sorted(parts)
    assert all(2000 <= each.stat().st_size < 2200 for each in parts[:-1])
    assert {stat.S_IMODE(each.stat().st_mode) for each in parts} == {0o600}
    found = [int(line.rsplit(" ", 1)[1]) for each in parts for line in each.read_text().splitlines()]
    assert found == list(range(found[0], 300))
    assert log.trouble is None
    (tmp_path / "log.1").unlink()
    (tmp_path / "log.1").mkdir()
    for number in range(100):
        log.write(Level.INFO, "web", "state", f"record {number}")
    assert path.read_text().splitlines()[-1].endswith("record 99"), "it grows on"
    log.close()


def test_a_listener_is_heard_until_it_ends(tmp_path: Path) -> None:
    log = EventLog(LogFile(str(tmp_path / "log")), Level.WARNING, False)
    heard: list[str] = []
    end = log.listen(lambda record: heard.append(record.text))
    log.write(Level.WARNING, "a", "b", "one")
    log.write(Level.INFO, "a", "b", "too quiet")
    end()
    log.write(Level.ERROR, "a", "b", "two")
    log.close()
    assert heard == ["one"]


# ---- wishes

WISHES = Wishes(
    {("web", 1): True, ("web", 12): False, ("worker.a-b_c", 3): True},
    {"web": Scale(2, 12), "worker.a-b_c": Scale(0, 3)},
)


def test_wishes_come_back(tmp_path: Path) -> None:
    path = str(tmp_path / "state" / "wishes")
    assert wishes.load(path, "/etc/a.yaml") == Wishes()
    for some in (WISHES, Wishes(), WISHES):
        wishes.save(path, "/etc/ä\udcff.yaml", some)
        assert wishes.load(path, "/etc/ä\udcff.yaml") == some
    assert wishes.load(path, "/etc/b.yaml") == Wishes()
    assert os.listdir(tmp_path / "state") == ["wishes"]
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_wishes_cut_anywhere_are_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "wishes"
    wishes.save(str(path), "/etc/a.yaml", WISHES)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"wishes in .* cannot be read"):
            wishes.load(str(path), "/etc/a.yaml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["configuration", "wishes", "web", "1", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"configuration": "c", "wishes": value}).encode())
    | JSON.map(lambda value: json.dumps({"configuration": "c", "wishes": {}, "scales": value}).encode())
)
@settings(max_examples=500)
def test_garbage_for_wishes_is_a_value_error_and_nothing_else(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            found = wishes.load(file.name, "c")
        except ValueError:
            return
        assert all(isinstance(n, int) and isinstance(up, bool) for (_, n), up in found.up.items())
        assert all(0 <= each.wished <= 10_000 for each in found.scales.values())


def test_wishes_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    (tmp_path / "wishes").write_text('{"configuration": "c", "wishes": {"web": {"2": false}}}')
    assert wishes.load(str(tmp_path / "wishes"), "c") == Wishes({("web", 2): False})


def test_wishes_are_not_read_or_written_through_a_link_nor_waited_for(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "wishes"
    wishes.save(str(target), "c", WISHES)
    content = target.read_bytes()
    path.symlink_to(target)
    with pytest.raises(ValueError, match="symbolic links"):
        wishes.load(str(path), "c")
    wishes.save(str(path), "c", Wishes())
    assert not path.is_symlink()
    (tmp_path / "wishes.new").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        wishes.save(str(path), "c", Wishes())
    assert target.read_bytes() == content
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="cannot be read"):
        wishes.load(str(tmp_path / "fifo"), "c")
    with pytest.raises(ValueError, match="cannot be read"):
        wishes.load(str(tmp_path), "c")
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="cannot be read"):
        wishes.load(str(path), "c")


@as_root
def test_wishes_that_cannot_be_written_are_an_os_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    os.seteuid(1)
    try:
        with pytest.raises(PermissionError):
            wishes.save(str(tmp_path / "wishes"), "c", WISHES)
        with pytest.raises(PermissionError):
            wishes.save(str(tmp_path / "state" / "wishes"), "c", WISHES)
    finally:
        os.seteuid(0)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        wishes.save(str(tmp_path / "file" / "wishes"), "c", WISHES)


def test_a_full_disk_leaves_the_old_wishes(small_disk: Path) -> None:
    path = small_disk / "wishes"
    wishes.save(str(path), "c", WISHES)
    fill(small_disk / "filler")
    with pytest.raises(OSError, match="No space left"):
        wishes.save(str(path), "c", Wishes({("web", n): True for n in range(10_000)}))
    assert wishes.load(str(path), "c") == WISHES


# ---- /proc


def test_proc_tells_about_ourselves() -> None:
    found = procfs.stat(os.getpid())
    assert found is not None
    assert (found.pid, found.parent, found.group) == (os.getpid(), os.getppid(), os.getpgid(0))
    assert found.session == os.getsid(0)
    assert found.state == "R"
    assert found.rss_bytes > 1 << 20
    assert found.cpu_s > 0
    assert "python" in procfs.command(found)
    assert os.getpid() in [each.pid for each in procfs.sessions()[os.getsid(0)]]
    assert procfs.oom_kills() >= 0


def test_a_process_that_is_gone_is_none_and_a_zombie_has_its_name() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    until(lambda: (found := procfs.stat(child)) and found.state == "Z", "a zombie")
    found = procfs.stat(child)
    assert found is not None
    assert found.parent == os.getpid()
    assert procfs.command(found).startswith("[")
    os.waitpid(child, 0)
    assert procfs.stat(child) is None


@pytest.mark.parametrize("name", ["a) (b", ") S 1 1", "((", "))", "a b", "new\nline", ") R 0 0 0 (", "\udcff"])
def test_a_name_made_to_mislead_does_not(name: str) -> None:
    """The second field of /proc/PID/stat is whatever a process calls itself."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        with open("/proc/self/comm", "wb") as file:
            file.write(os.fsencode(name))
        os.write(told, b"x")
        os._exit(0)
    os.read(ready, 1)
    until(lambda: (found := procfs.stat(child)) and found.state == "Z", "a zombie with a name")
    found = procfs.stat(child)
    assert found is not None
    assert (found.parent, found.group, found.session) == (os.getpid(), os.getpgid(0), os.getsid(0))
    assert procfs.command(found) == f"[{os.fsencode(name).decode('utf-8', 'replace')}]"
    os.waitpid(child, 0)
    os.close(ready)
    os.close(told)


def test_the_members_of_a_session_are_found() -> None:
    leader = subprocess.Popen(["sh", "-c", "sleep 1000 & wait"], start_new_session=True)
    try:
        commands = ["sh -c sleep 1000 & wait", "sleep 1000"]
        until(
            lambda: sorted(map(procfs.command, procfs.sessions().get(leader.pid, []))) == commands,
            "the leader and its child, each with its program",
        )
    finally:
        os.killpg(leader.pid, 9)
        leader.wait()


# ---- the descriptors at the start

TIDIED = """
import os
from tm.edge.descriptors import tidy
tidy()
tidy()
before = sorted(os.listdir("/proc/self/fd"), key=int)
flags = {name: os.get_inheritable(int(name)) for name in before if os.path.exists(f"/proc/self/fd/{name}")}
where = {name: os.readlink(f"/proc/self/fd/{name}") for name in flags}
file = os.open(os.environ["RESULT"], os.O_WRONLY | os.O_CREAT)
os.write(file, repr((flags, where)).encode())
"""


def tidied(tmp_path: Path, redirections: str) -> tuple[dict[str, bool], dict[str, str]]:
    """What is open after `tidy` in a program started by a shell with these redirections."""
    root = Path(__file__).resolve().parents[2]
    result = tmp_path / "result"
    result.unlink(missing_ok=True)
    subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirections}', sys.executable, TIDIED],
        env={"RESULT": str(result), "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )
    flags, where = eval(result.read_text())
    return flags, where


def test_closed_descriptors_are_taken_by_dev_null_and_inherited_ones_go_no_further(tmp_path: Path) -> None:
    for closed in ("<&- >&- 2>&-", "<&-", ">&-", "2>&-", "<&- 2>&-"):
        flags, where = tidied(tmp_path, closed)
        assert set(flags) == {"0", "1", "2"}, closed
        assert all(flags.values())
        for name, sign in (("0", "<&-"), ("1", " >&-"), ("2", "2>&-")):
            if sign in f" {closed}" if name == "1" else sign in closed:
                assert where[name] == "/dev/null"
    flags, where = tidied(tmp_path, f"3>{tmp_path}/three 7<&0 9>{tmp_path}/nine >{tmp_path}/out")
    assert {name for name, inherited in flags.items() if inherited} == {"0", "1", "2"}
    assert where["1"] == f"{tmp_path}/out"
    assert {"3", "7", "9"} <= set(flags)
