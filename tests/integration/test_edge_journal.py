"""The journal's file: killed writers, full disks, garbage, links, and what is told of them."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.driver import ROOT
from tests.mounts import tmpfs
from tests.unit.build import row
from tests.waiting import until
from tm.core.journal import Head, Intent, Ledger, gone_line, head_line, intent_line, replay, row_line, stopping_line
from tm.core.lasting import saved
from tm.core.saved import Identity
from tm.core.transitions import State
from tm.edge.journal import Journal

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
HEAD = Head("boot", "pid:[1]", "/etc/web.yaml")
ROW = saved(row(State.RUNNING, pid=7, spawned_at=1.0), 3, Identity(55, 99), {"stdout": 4})
LINES = [
    head_line(HEAD),
    intent_line("web", 1, Intent(3, 9)),
    row_line(ROW),
    intent_line("web", 2, Intent(1, 9)),
    stopping_line("ada"),
]
LEDGER = Ledger(HEAD, {ROW.key: ROW}, {("web", 2): Intent(1, 9)}, stopping="ada")


def silent(sentence: str) -> None:
    raise AssertionError(sentence)


@contextmanager
def journal(path: Path, say: Callable[[str], None] = silent) -> Iterator[Journal]:
    with closing(Journal(str(path), say)) as opened:
        yield opened


def loaded(path: Path, say: Callable[[str], None] = silent) -> Ledger:
    with journal(path, say) as opened:
        return opened.load()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    with tmpfs(tmp_path / "disk", "size=64k") as disk:
        yield disk


def fill(disk: Path) -> None:
    """Take the last byte of the disk."""
    with open(disk / "filler", "ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


# ---- written and read


def test_what_was_appended_is_read_by_the_next_one(path: Path) -> None:
    with journal(path) as first:
        assert first.load() == Ledger()
        for line in LINES:
            first.append(line)
    assert path.read_bytes() == b"".join(LINES)
    with journal(path) as second:
        assert second.load() == LEDGER
        second.append(gone_line("web", 1))
    assert loaded(path) == Ledger(HEAD, {}, {("web", 2): Intent(1, 9)}, stopping="ada")


def test_it_is_for_nobody_else_and_closed_on_exec(path: Path) -> None:
    mask = os.umask(0)
    try:
        path.touch(0o666)
        with journal(path) as opened:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            opened.compact(LINES)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert not os.get_inheritable(opened._fd)
    finally:
        os.umask(mask)


@pytest.mark.parametrize("length", range(1, len(LINES[-1])))
def test_a_torn_last_line_is_cut_off_and_the_next_one_whole(path: Path, length: int) -> None:
    path.write_bytes(b"".join(LINES[:-1]) + LINES[-1][:length])
    with journal(path) as opened:
        assert opened.load().stopping == ""
        assert path.read_bytes() == b"".join(LINES[:-1])
        opened.append(LINES[-1])
    assert loaded(path) == LEDGER


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:15].decode())
def test_a_record_of_any_kind_torn_at_any_byte_leaves_what_was_before(path: Path, line: bytes) -> None:
    for length in range(1, len(line)):
        path.write_bytes(b"".join(LINES) + line[:length])
        assert loaded(path) == LEDGER
        assert path.read_bytes() == b"".join(LINES)


def test_a_journal_of_more_than_64_mib_is_read_in_pieces(path: Path) -> None:
    """Also where it is one line without an end, which is not held in memory."""
    with open(path, "wb") as file:
        file.writelines(LINES)
        file.truncate(70 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + gone_line("web", 2))
    script = (
        "import resource, sys\n"
        "from tm.edge.journal import Journal\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "ledger = Journal(sys.argv[1], print).load()\n"
        "print(ledger.stopping, ledger.intents, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told, found = done.stdout.splitlines()
    assert told.startswith(f"the journal {path} holds a line that makes no sense (6) and is read without; a copy")
    assert found.startswith("ada {} ")
    assert int(found.split()[-1]) < 20 << 10, "KiB"


# ---- killed in the middle


WRITER = """
import sys
from tm.core.journal import stopping_line
from tm.edge.journal import Journal

journal = Journal(sys.argv[1], print)
ledger = journal.load()
number = int(ledger.stopping.split()[0]) if ledger.stopping else 0
print(number, flush=True)
while True:
    number += 1
    journal.append(stopping_line(f"{number} " + "x" * int(sys.argv[2])))
    print(number, flush=True)
    if journal.wants_compaction:
        journal.compact([stopping_line(f"{number} ")])
"""


def killed_writer(path: Path, told: Path, length: int, most: int) -> list[int]:
    """Kill a writer that has told of more than `most` lines; the numbers that it told of as written."""
    with open(told, "wb") as output:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(length)], cwd=ROOT, stdout=output)
    until(lambda: told.read_bytes().count(b"\n") > most, "a writer that writes")
    writer.kill()
    assert writer.wait() == -signal.SIGKILL
    return [int(line) for line in told.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


@pytest.mark.parametrize("length", [10, 100_000])
def test_a_killed_writer_loses_no_line_that_it_had_written(path: Path, tmp_path: Path, length: int) -> None:
    last = 0
    for kill in range(15):
        numbers = killed_writer(path, tmp_path / "told", length, 20 + kill)
        assert numbers[0] in (last, last + 1)
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        last = numbers[-1]
        lines = path.read_bytes().splitlines(keepends=True)
        ledger, nonsense = replay(lines)
        assert nonsense in ([], [len(lines)]), "the last one may be torn"
        assert int(ledger.stopping.split()[0]) in (last, last + 1)
    assert loaded(path).stopping == ledger.stopping
    assert list(tmp_path.glob("journal.broken*")) == []


# ---- a disk that takes no more


def test_what_a_full_disk_does_not_take_leaves_no_half_line(small_disk: Path) -> None:
    path = small_disk / "journal"
    with journal(path) as opened:
        for line in LINES:
            opened.append(line)
        fill(small_disk)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                opened.append(stopping_line("x" * 5000))  # its page has room for a part of it
            assert path.read_bytes() == b"".join(LINES)
        opened.append(gone_line("web", 1))
        (small_disk / "filler").unlink()
        opened.append(stopping_line("bob"))
    assert loaded(path) == Ledger(HEAD, {}, {("web", 2): Intent(1, 9)}, stopping="bob")


def test_compaction_on_a_full_disk_keeps_the_old_one(small_disk: Path) -> None:
    path = small_disk / "journal"
    with journal(path) as opened:
        for line in LINES:
            opened.append(line)
        fill(small_disk)
        with pytest.raises(OSError, match="No space left"):
            opened.compact([stopping_line("x" * 10_000)])
        assert sorted(os.listdir(small_disk)) == ["filler", "journal"]
        assert path.read_bytes() == b"".join(LINES)
        opened.append(stopping_line("bob"))  # its page has room
    assert loaded(path).stopping == "bob"


def test_nonsense_on_a_full_disk_stays_and_is_read_without(small_disk: Path) -> None:
    path = small_disk / "journal"
    content = b"".join([b"nonsense\n", *LINES])
    path.write_bytes(content)
    fill(small_disk)
    said: list[str] = []
    assert loaded(path, said.append) == LEDGER
    assert said == [
        f"the journal {path} holds a line that makes no sense (1) and is read without; it stays as it is, "
        "since it could not be copied aside: No space left on device"
    ]
    assert path.read_bytes() == content
    assert sorted(os.listdir(small_disk)) == ["filler", "journal"]


def test_a_limit_of_size_leaves_no_half_line(path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        result = 1
        try:
            with journal(path) as opened:
                opened.append(LINES[0])
                resource.setrlimit(resource.RLIMIT_FSIZE, (len(LINES[0]) + 10,) * 2)
                with pytest.raises(OSError):
                    opened.append(LINES[1])
                result = 0
        finally:
            os._exit(result)
    assert os.waitpid(pid, 0)[1] == 0
    assert path.read_bytes() == LINES[0]


TAKEN_BACK_LATE = """
import resource, sys
from tm.core.journal import gone_line, stopping_line
from tm.edge.journal import Journal

def refused(line):
    try:
        journal.append(line)
    except OSError as error:
        return error.errno
    raise AssertionError

journal = Journal(sys.argv[1], print)
journal.append(gone_line("web", 1))
resource.setrlimit(resource.RLIMIT_FSIZE, (50, resource.RLIM_INFINITY))
print(refused(stopping_line("x" * 50)), refused(stopping_line("bob")))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(stopping_line("ada"))
"""
READ = """
import sys
from tm.edge.journal import Journal
try:
    Journal(sys.argv[1], print).load()
except OSError as error:
    print(error.errno)
"""


def on_a_bad_disk(script: str, path: Path, fault: str) -> list[int]:
    """Run a script whose system calls on `path` fail as strace is told; the numbers that it prints."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace here")
    strace = ["strace", "-qq", "-o", "/dev/null", "-P", str(path), "-e", f"inject={fault}"]
    command = [*strace, sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


def test_what_could_not_be_taken_back_goes_before_the_next_line_comes(path: Path) -> None:
    found = on_a_bad_disk(TAKEN_BACK_LATE, path, "ftruncate:error=EIO:when=1..2")
    assert found == [errno.ENOSPC, errno.EIO]
    assert path.read_bytes() == gone_line("web", 1) + stopping_line("ada")


def test_a_journal_that_cannot_be_read_is_left_as_it_is(path: Path) -> None:
    content = b"".join([*LINES, b"torn"])
    path.write_bytes(content)
    assert on_a_bad_disk(READ, path, "read:error=EIO") == [errno.EIO]
    assert path.read_bytes() == content


# ---- nonsense


def test_a_broken_journal_is_told_put_aside_and_mended(path: Path) -> None:
    broken = b"".join([b"\0\0\n", LINES[0], b"[" * 50_000 + b"\n", *LINES[1:], b'{"kind":"row"}\n', b"\xff\n", b"\n"])
    path.write_bytes(broken)
    said: list[str] = []
    assert loaded(path, said.append) == LEDGER
    assert said == [
        f"the journal {path} holds 5 lines that make no sense (1, 3, 8, ...) and is read without; "
        f"a copy of it is kept as {path}.broken-1"
    ]
    assert Path(f"{path}.broken-1").read_bytes() == broken
    assert stat.S_IMODE(Path(f"{path}.broken-1").stat().st_mode) == 0o600
    assert loaded(path) == LEDGER


def test_garbage_without_a_line_end_is_not_taken_for_a_torn_line(path: Path) -> None:
    path.write_bytes(b"".join(LINES) + bytes(100))
    said: list[str] = []
    assert loaded(path, said.append) == LEDGER
    assert len(said) == 1
    assert "(6)" in said[0]
    assert Path(f"{path}.broken-1").read_bytes().endswith(bytes(100))
    assert loaded(path) == LEDGER


BYTES = st.sampled_from([b"", b"\0", b"\n", b'"', b"{", b"}", b"9", b"99999", b"-1", b"\xff", b"null"]) | st.binary(
    max_size=30
)
EDITS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 80), BYTES), min_size=1, max_size=6)


@given(edits=EDITS, lines=st.lists(st.sampled_from(LINES), max_size=12))
@settings(max_examples=300)
def test_a_file_changed_anyhow_is_read_mended_and_goes_on(
    edits: list[tuple[int, int, bytes]], lines: list[bytes]
) -> None:
    """What makes sense is kept, what does not is told and put aside; the next one reads the same and says nothing."""
    content = b"".join(lines)
    for at, length, instead in edits:
        content = content[:at] + instead + content[at + length :]
    with tempfile.TemporaryDirectory() as directory:
        path, said = Path(directory, "journal"), list[str]()
        path.write_bytes(content)
        ledger = loaded(path, said.append)
        kept, nonsense = replay(each for each in content.splitlines(keepends=True) if each.endswith(b"\n"))
        assert ledger == kept
        assert len(said) == ledger.damaged >= bool(nonsense)
        copies = [each.read_bytes() for each in Path(directory).glob("journal.broken-*")]
        assert copies == [content] * len(said)
        with journal(path) as opened:
            assert opened.load() == ledger
            opened.append(LINES[-1])
        assert loaded(path).stopping == "ada"


def test_at_most_five_copies_are_kept(path: Path) -> None:
    said: list[str] = []
    for number in range(7):
        path.write_bytes(b"%d\n" % number + LINES[0])
        assert loaded(path, said.append) == Ledger(HEAD)
    copies = [Path(f"{path}.broken-{number}") for number in range(1, 6)]
    assert sorted(path.parent.iterdir()) == [path, *copies]
    assert [copy.read_bytes()[:1] for copy in copies] == [b"0", b"1", b"2", b"3", b"4"]
    assert said[5].endswith(f"; no copy of it is kept, since there are 5: look at {copies[0]} and remove them")


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: os.mkfifo(path), lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_file_is_refused(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    with pytest.raises(OSError, match="journal"):
        Journal(str(path), silent)


def test_no_link_is_followed(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious\n")
    path.symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        Journal(str(path), silent)
    path.unlink()
    os.link(other, path)
    with pytest.raises(OSError, match="second name"):
        Journal(str(path), silent)
    path.unlink()
    Path(f"{path}.new").symlink_to(other)
    with journal(path) as opened:
        opened.compact(LINES)
    assert not path.is_symlink()
    assert other.read_bytes() == b"precious\n"


@as_root
def test_the_file_of_a_stranger_is_not_believed(path: Path) -> None:
    path.write_bytes(b"".join(LINES))
    os.chown(path, 65534, 65534)
    with pytest.raises(OSError, match="belongs to uid 65534"):
        Journal(str(path), silent)


@as_root
def test_a_file_that_cannot_be_read_is_told_by_its_name(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"".join(LINES))
    pid = os.fork()
    if pid == 0:
        result = 1
        try:
            os.chdir(tmp_path)
            os.setuid(65534)
            with pytest.raises(PermissionError, match="journal"):
                Journal("journal", silent)
            result = 0
        finally:
            os._exit(result)
    assert os.waitpid(pid, 0)[1] == 0


# ---- compaction


def test_compaction_is_wanted_when_it_is_worth_it(path: Path) -> None:
    line = intent_line("web", 1, Intent(1, 9))
    with journal(path) as opened:
        written = 0
        while written + len(line) <= 64 * 1024:
            assert not opened.wants_compaction
            opened.append(line)
            written += len(line)
        opened.append(line)
        assert opened.wants_compaction
        opened.compact([line] * 1000)
        assert not opened.wants_compaction
        for _ in range(3000):
            opened.append(line)
        assert not opened.wants_compaction
        opened.append(line)
        assert opened.wants_compaction
    with journal(path) as opened:
        assert opened.wants_compaction


def test_a_compacted_journal_goes_on(path: Path) -> None:
    with journal(path) as opened:
        for _ in range(100):
            opened.append(row_line(ROW))
        opened.compact(LINES)
        opened.append(gone_line("web", 1))
    assert path.read_bytes() == b"".join([*LINES, gone_line("web", 1)])


def test_compaction_that_fails_loses_nothing(path: Path) -> None:
    draft = Path(f"{path}.new")
    with journal(path) as opened:
        opened.append(LINES[0])
        draft.mkdir()
        with pytest.raises(OSError, match=r"journal\.new"):
            opened.compact(LINES)
        draft.rmdir()
        opened.append(LINES[1])
        assert path.read_bytes() == LINES[0] + LINES[1]
        before = set(os.listdir("/proc/self/fd"))
        opened.compact(LINES)
        assert set(os.listdir("/proc/self/fd")) == before
    assert loaded(path) == LEDGER
