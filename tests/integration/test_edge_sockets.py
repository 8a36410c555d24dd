"""The socket's file, its clients and their bounds, on real sockets and the real loop."""

from __future__ import annotations

import json
import os
import resource
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tm.core.ports import LINE_BYTES
from tm.edge.connection import NOTICE_BYTES, OWED_BYTES, Calls, Connection, Room
from tm.edge.door import Door, Peer, peer
from tm.edge.loop import Loop
from tm.edge.presence import Presence
from tm.edge.sockets import Held, Listener, Unusable

NOT_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.sock"


@contextmanager
def listening(path: Path, listener: Listener | None = None) -> Iterator[Listener]:
    listener = listener or Listener(str(path))
    try:
        yield listener
    finally:
        listener.close()


@contextmanager
def door(listener: Listener) -> Iterator[Door]:
    made = Door(listener.accept)
    try:
        yield made
    finally:
        made.close()


def handed_over(path: Path, owned: bool) -> Listener:
    """A listener around a socket that somebody else has made: another process, which is gone by now."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    if (child := os.fork()) == 0:
        made.listen()
        os._exit(0)
    os.waitpid(child, 0)
    made.set_inheritable(True)
    return Listener.over(made.detach(), str(path), None, owned)


def knocks(path: Path, listener: Listener) -> bool:
    """Whether who connects to `path` reaches this listener."""
    with suppress(BlockingIOError):
        while True:
            listener.accept().close()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        try:
            listener.accept().close()
        except BlockingIOError:
            return False
    return True


def dead(path: Path) -> None:
    """The file of a socket that nobody listens on."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


# ---- the file


def test_file_and_directory_are_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.sock"
    before = os.umask(0)
    try:
        with listening(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert not path.exists()


def test_a_path_of_107_bytes_is_taken_and_one_more_is_an_error(tmp_path: Path) -> None:
    room = 107 - len(os.fsencode(tmp_path)) - 1
    if room < 1:
        pytest.skip("the temporary directory's own path is too long")
    with listening(tmp_path / ("s" * room)) as listener:
        assert len(os.fsencode(listener.path)) == 107
    with pytest.raises(Unusable, match="has 108 bytes, at most 107 are possible"):
        Listener(str(tmp_path / ("s" * (room + 1))))


def test_a_dead_socket_is_replaced_and_a_living_one_is_held(path: Path) -> None:
    dead(path)
    with listening(path):
        inode = path.stat().st_ino
        with pytest.raises(Held) as held:
            Listener(str(path))
        assert held.value.pid == os.getpid()
        assert str(path) in str(held.value)
        assert path.stat().st_ino == inode


def test_a_living_socket_with_a_full_queue_is_held(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as first:
        other.bind(str(path))
        other.listen(0)
        first.connect(str(path))
        with pytest.raises(Held):
            Listener(str(path))


def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(Unusable, match="is no socket"):
        Listener(str(path))
    assert path.read_text() == "precious"


def test_a_datagram_socket_in_its_place_is_held(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(Held):
            Listener(str(path))


@NOT_ROOT
def test_a_directory_that_cannot_be_written_is_an_error_with_advice(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Unusable, match=r"cannot be made: Permission denied. Name another with --socket."):
        Listener(str(tmp_path / "x.sock"))


def test_a_file_in_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match="cannot be made"):
        Listener(str(tmp_path / "file" / "x.sock"))


def test_at_its_close_a_file_that_is_anothers_by_now_stays(path: Path) -> None:
    with listening(path):
        path.unlink()
        dead(path)
    assert path.exists()


def test_a_lock_that_a_stranger_holds_does_not_stop_it(path: Path) -> None:
    import fcntl

    fd = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with listening(path):
            assert path.exists()
    finally:
        os.close(fd)


@pytest.mark.parametrize("how", ["unlink", "rename", "replace", "directory"])
def test_a_file_that_goes_is_heard_of_and_made_again(tmp_path: Path, how: str) -> None:
    path = tmp_path / "run" / "x.sock"
    presence = Presence()
    if presence.fd is None:
        pytest.skip("no inotify here")
    with listening(path) as listener:
        presence.look_at(str(path))
        ready = Loop(pytest.fail)
        stirred: list[int] = []
        ready.watch(presence.fd, lambda: stirred.append(1))
        (path.parent / "another").write_text("")
        (path.parent / "another").unlink()
        ready.turn(0)
        assert stirred == []
        match how:
            case "unlink":
                path.unlink()
            case "rename":
                path.rename(tmp_path / "y.sock")
            case "replace":
                dead(tmp_path / "dead")
                (tmp_path / "dead").rename(path)
            case _:
                path.parent.rename(tmp_path / "elsewhere")
        ready.turn(5)
        assert stirred == [1]
        presence.drain()
        assert not listener.named
        assert listener.renew()
        assert listener.named
        assert not listener.renew()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            listener.accept().close()
        ready.close()
    presence.close()


def test_closing_twice_closes_nothing_of_anybody_else(path: Path) -> None:
    with listening(path) as listener:
        ours = set(listener.descriptors())
        listener.close()
        with listening(path) as other:
            assert ours & set(other.descriptors())
            listener.close()
            assert other.named
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))


BEGINS = """
import sys
from tm.edge.sockets import Held, Listener
sys.stdin.readline()
try:
    listener = Listener(sys.argv[1])
    print("has it", flush=True)
except Held:
    print("held", flush=True)
sys.stdin.readline()
"""


def test_of_many_that_begin_at_once_over_a_dead_one_only_one_has_it(path: Path) -> None:
    for _ in range(5):
        dead(path)
        begun = [
            subprocess.Popen(
                [sys.executable, "-c", BEGINS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(6)
        ]
        outcomes = []
        for each in begun:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        for each in begun:
            assert each.stdout is not None
            outcomes.append(each.stdout.readline().strip())
        for each in begun:
            each.communicate("end\n", timeout=20)
        assert sorted(outcomes) == ["has it", *5 * ["held"]]
        path.unlink()


def test_it_is_not_made_again_over_a_living_one(path: Path) -> None:
    with listening(path) as listener:
        path.unlink()
        with listening(path), pytest.raises(Held):
            listener.renew()
        assert listener.renew()


def test_the_kernel_says_who_the_peer_is(path: Path) -> None:
    with listening(path) as listener, door(listener) as entry, socket.socket(socket.AF_UNIX) as client:
        assert entry.let_in(b"") is None
        client.connect(str(path))
        let_in = entry.let_in(b"")
        assert let_in is not None
        with let_in[0]:
            assert let_in[1] == (os.getpid(), os.geteuid(), frozenset((os.getegid(), *os.getgroups())))
            assert peer(client).pid == os.getpid()
            assert not let_in[0].getblocking()


def test_without_descriptors_a_client_is_told_and_hung_up_on(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening(path) as listener, door(listener) as entry:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(7)]
        for client in clients:
            client.settimeout(20)
            client.connect(str(path))
        let_in: list[tuple[socket.socket, Peer]] = []
        highest = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        filling = []
        try:
            with pytest.raises(OSError, match="Too many open files"):
                while True:
                    filling.append(os.open(os.devnull, os.O_RDONLY))
            for _ in clients[:4]:
                known = entry.let_in(b"busy\n")
                assert known is not None, "the reserve is theirs"
                let_in.append(known)
            for _ in clients[4:]:
                assert entry.let_in(b"busy\n") is None
        finally:
            for fd in filling:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for client in clients[4:]:
            assert client.recv(100) == b"busy\n"
            assert client.recv(100) == b""
        for each in [*clients, *(ours for ours, _ in let_in)]:
            each.close()
        with socket.socket(socket.AF_UNIX) as late:
            late.connect(str(path))
            again = entry.let_in(b"busy\n")
            assert again is not None
            again[0].close()


# ---- a socket that was handed over


def test_a_socket_of_an_earlier_daemon_is_served_with_its_file(path: Path) -> None:
    with listening(path, handed_over(path, owned=True)) as listener:
        assert listener.named
        assert knocks(path, listener)
        assert not os.get_inheritable(listener.fileno())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert peer(client).pid == os.getpid()
        path.unlink()
        assert listener.renew()
        assert knocks(path, listener)
    assert not path.exists()


@pytest.mark.parametrize("by", ["nobody", "a dead socket", "a living one"])
def test_of_an_earlier_daemon_whose_file_is_anothers_by_now_only_the_socket_is_taken(path: Path, by: str) -> None:
    given = handed_over(path, owned=True)
    fd = os.dup(given.fileno())
    given.close()
    assert not path.exists()
    match by:
        case "a dead socket":
            dead(path)
        case "a living one":
            other = subprocess.Popen(
                [sys.executable, "-c", BEGINS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert other.stdin is not None
            assert other.stdout is not None
            print("go", file=other.stdin, flush=True)
            assert other.stdout.readline() == "has it\n"
    with listening(path, Listener.over(fd, str(path), None, owned=True)) as listener:
        assert not listener.named
        if by == "a living one":
            with pytest.raises(Held):
                listener.renew()
            assert not listener.named
            other.communicate("", timeout=20)
        assert listener.renew()
        assert knocks(path, listener)
    assert not path.exists()


def test_one_that_is_too_busy_to_be_asked_is_taken_for_the_one(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen(1 << 20)
        with suppress(BlockingIOError):
            while True:
                with socket.socket(socket.AF_UNIX) as client:
                    client.setblocking(False)
                    client.connect(str(path))
        fd = made.detach()
        with listening(path, Listener.over(fd, str(path), None, owned=True)) as listener:
            assert listener.named


def test_the_file_of_a_service_manager_is_left_as_it_is(path: Path) -> None:
    listener = handed_over(path, owned=False)
    path.chmod(0o640)
    before = path.stat()
    listener.give_to(os.geteuid(), os.getegid())
    assert knocks(path, listener)
    assert not listener.renew()
    listener.close()
    assert path.stat() == before


def test_that_its_file_is_gone_is_the_service_managers_affair(path: Path) -> None:
    with listening(path, handed_over(path, owned=False)) as listener:
        path.unlink()
        assert listener.named
        assert not listener.renew()
        assert not path.exists()


def test_what_cannot_listen_is_refused_and_left_open(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(OSError, match="Invalid argument"):
        Listener.over(ours.fileno(), str(tmp_path / "x.sock"), None, owned=True)
    with (tmp_path / "file").open("wb") as file:
        with pytest.raises(OSError, match=r"(?i)socket operation on non-socket"):
            Listener.over(file.fileno(), str(tmp_path / "x.sock"), None, owned=True)
        file.write(b"still open")


# ---- a client


class Ends:
    """A connection and its client's end, turned by hand."""

    def __init__(self, on_line: Callable[[Ends, bytes | None], None], room_bytes: int = 1 << 30) -> None:
        self.errors: list[BaseException] = []
        self.loop = Loop(self.errors.append)
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.theirs.settimeout(20)
        self.lines: list[bytes | None] = []
        self.ended = self.closed = 0
        self.room = Room(room_bytes)
        self.connection = Connection(self.loop, ours, self.room)
        self.held = False
        asks = lambda: False, lambda: self.held
        self.connection.open(Calls(self._line, self._end, *asks, self._close, lambda: False, _lost))
        self._on_line = on_line

    def _line(self, line: bytes | None) -> None:
        self.lines.append(line)
        self._on_line(self, line)

    def _end(self, gone: bool) -> None:
        self.ended += gone

    def _close(self) -> None:
        self.closed += 1

    def turns(self, until: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not until():
            assert time.monotonic() < deadline
            self.loop.turn(0.1)

    def quiet(self) -> None:
        """Turn until nothing is ready."""
        for _ in range(20):
            self.loop.turn(0)

    def read_all(self) -> bytes:
        """Everything that was sent, until the connection has nothing left."""
        self.theirs.setblocking(False)
        data, empty = bytearray(), 0
        while empty < 3:
            self.loop.turn(0)
            try:
                piece = self.theirs.recv(1 << 20)
                data += piece
                empty = 0 if piece else 3
            except BlockingIOError:
                empty += 1
        return bytes(data)


def _lost(count: int, lines: int) -> bytes:
    return b"lost %d %d\n" % (count, lines)


@pytest.fixture
def echo() -> Iterator[Ends]:
    """Answers each line with itself."""
    ends = Ends(lambda self, line: self.connection.answer((line or b"too long") + b"\n"))
    yield ends
    ends.connection.close()
    ends.theirs.close()
    ends.loop.close()
    assert ends.errors == []


def test_lines_are_answered_in_order(echo: Ends) -> None:
    echo.theirs.sendall(b"one\ntwo\nthr")
    echo.turns(lambda: len(echo.lines) == 2)
    echo.theirs.sendall(b"ee\n")
    echo.turns(lambda: len(echo.lines) == 3)
    assert echo.theirs.recv(100) == b"one\ntwo\nthree\n"


def test_no_line_is_handed_over_before_the_answer_that_it_has_to_wait_for(echo: Ends) -> None:
    """The end of the input is heard of all the same."""
    echo.held = True
    echo.theirs.sendall(b"one\ntwo\n")
    echo.quiet()
    assert echo.lines == []
    echo.held = False
    echo.connection.go_on()
    echo.turns(lambda: len(echo.lines) == 2)
    echo.held = True
    echo.theirs.shutdown(socket.SHUT_WR)
    echo.turns(lambda: echo.closed)


def test_that_nobody_is_left_is_told_before_what_he_has_asked_for(echo: Ends) -> None:
    ended: list[int] = []
    echo._on_line = lambda self, _line: ended.append(self.ended)
    echo.theirs.sendall(b"one\ntwo\n")
    echo.theirs.close()
    echo.turns(lambda: echo.closed)
    assert (echo.lines, ended) == ([b"one", b"two"], [1, 1])


def test_a_long_line_is_told_and_skipped(echo: Ends) -> None:
    echo.theirs.sendall(b"x" * (LINE_BYTES + 1) + b"yyy\nnext\n")
    echo.turns(lambda: len(echo.lines) == 2)
    assert echo.lines == [None, b"next"]


def test_what_was_asked_before_the_end_is_answered_to_who_still_reads(echo: Ends) -> None:
    echo.theirs.sendall(b"one\ntwo\nhalf")
    echo.theirs.shutdown(socket.SHUT_WR)
    echo.turns(lambda: echo.closed)
    assert (echo.lines, echo.ended, echo.closed) == ([b"one", b"two"], 1, 1)
    assert echo.theirs.recv(100) == b"one\ntwo\n"
    assert echo.theirs.recv(100) == b""


def test_what_was_asked_by_one_who_is_gone_is_carried_out(echo: Ends) -> None:
    echo.theirs.sendall(b"".join(b"%d\n" % n for n in range(2000)))
    echo.theirs.close()
    echo.turns(lambda: echo.closed)
    assert len(echo.lines) == 2000
    assert (echo.ended, echo.closed, echo.room.held) == (1, 1, 0)


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    ends = Ends(lambda self, line: self.connection.answer(b"a" * 1000 + b"\n"))
    ends.theirs.setblocking(False)
    sent = 0
    for _ in range(200):
        ends.quiet()
        try:
            sent += ends.theirs.send((b"a" * 63 + b"\n") * 1024)
        except BlockingIOError:
            break
    else:
        pytest.fail("it takes for ever")
    assert ends.connection.backlog < OWED_BYTES + 2000
    assert ends.room.held == ends.connection.backlog
    taken = len(ends.lines)
    ends.quiet()
    assert len(ends.lines) == taken
    answers = ends.read_all().count(b"\n")
    assert answers == sent // 64
    assert len(ends.lines) == sent // 64
    ends.connection.close()
    ends.theirs.close()
    ends.loop.close()


def test_a_slow_subscriber_loses_notices_and_is_told_how_many_in_their_place() -> None:
    ends = Ends(lambda self, line: self.connection.answer(b"answer\n"))
    told = 6000
    for number in range(told):
        ends.connection.notify(b"notice %d %s\n" % (number, b"x" * 990), lines=3)
    assert ends.connection.backlog <= NOTICE_BYTES
    ends.theirs.sendall(b"ask\n")
    ends.turns(lambda: ends.lines)
    lines = ends.read_all().splitlines()
    lost = [int(line.split()[1]) for line in lines if line.startswith(b"lost")]
    assert b"lost %d %d" % (lost[0], 3 * lost[0]) in lines
    seen = [int(line.split()[1]) for line in lines if line.startswith(b"notice")]
    assert len(lost) == 1
    assert len(seen) + lost[0] == told
    assert seen == list(range(len(seen)))
    assert b"answer" in lines
    ends.connection.notify(b"notice again\n")
    assert ends.read_all() == b"notice again\n"
    ends.connection.close()
    ends.theirs.close()
    ends.loop.close()


def test_where_all_together_have_left_too_much_a_slow_one_loses() -> None:
    ends = Ends(lambda self, line: None, room_bytes=1000)
    for _ in range(3000):
        ends.connection.notify(b"n" * 999 + b"\n")
    assert ends.connection.backlog < 3000
    lines = ends.read_all().splitlines()
    lost = sum(int(line.split()[1]) for line in lines if line.startswith(b"lost"))
    assert len([line for line in lines if line.startswith(b"n")]) + lost == 3000
    assert ends.room.held == 0
    ends.connection.close()
    ends.theirs.close()
    ends.loop.close()


def test_a_subscriber_that_is_flooded_is_still_heard() -> None:
    ends = Ends(lambda self, line: self.connection.answer(b"answer\n"))
    for _ in range(3000):
        ends.connection.notify(b"n" * 999 + b"\n")
    ends.theirs.sendall(b"stop\n")
    ends.turns(lambda: ends.lines)
    assert ends.lines == [b"stop"]
    ends.connection.close()
    ends.theirs.close()
    ends.loop.close()


def test_at_the_end_what_waits_is_written_and_nobody_is_waited_for_long() -> None:
    ends = Ends(lambda self, line: None)
    ends.connection.answer(b"x" * 3_000_000)
    ends.connection.finish(time.monotonic() + 0.2)
    assert ends.room.held == 0
    assert len(ends.theirs.recv(4_000_000)) > 0
    ends.connection.answer(b"late")
    ends.connection.notify(b"late")
    ends.theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        while ends.theirs.recv(4_000_000).strip(b"x") == b"":
            pass
    assert ends.closed == 0
    ends.connection.close()
    ends.connection.close()
    assert ends.closed == 1
    ends.theirs.close()
    ends.loop.close()


def test_the_end_is_told_after_the_last_line_has_been_carried_out() -> None:
    ended: list[int] = []

    def fill(self: Ends, line: bytes | None) -> None:
        self.connection.notify(b"x" * 900_000)
        ended.append(self.ended)

    ends = Ends(fill)
    ends.theirs.sendall(b"one\n")
    ends.theirs.shutdown(socket.SHUT_WR)
    ends.quiet()
    ends.read_all()
    assert (ended, ends.ended, ends.closed) == ([0], 1, 1)
    ends.theirs.close()
    ends.loop.close()


def test_a_bug_while_a_line_is_carried_out_does_not_end_the_conversation() -> None:
    def fail(self: Ends, line: bytes | None) -> None:
        raise RuntimeError(json.dumps(str(line)))

    ends = Ends(fail)
    ends.theirs.sendall(b"one\ntwo\n")
    ends.turns(lambda: len(ends.lines) == 2)
    assert len(ends.errors) == 2
    ends.connection.close()
    ends.theirs.close()
    ends.loop.close()
