"""Output and events to syslog, at real receivers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.background import Background
from tests.integration.driver import Taskmaster, run
from tests.integration.place import Place, launch_of
from tests.integration.receivers import Receiver, Rsyslogd, needs_rsyslogd
from tests.waiting import until
from tm.core.launch import Launch, SpawnFailure
from tm.core.log_policy import Form, LogPolicy
from tm.daemon.outputs import Listener
from tm.daemon.wiring import Key

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
WORKER: Key = ("worker", 1)
OTHER: Key = ("worker", 2)
BOTH = frozenset({"stdout", "stderr"})


def to_syslog(streams: frozenset[str] = BOTH, **policy: object) -> Launch:
    """A start whose streams go to syslog."""
    return launch_of(None, None, logs=LogPolicy(**policy), sent=streams)  # type: ignore[arg-type]


@pytest.fixture
def receiver(place: Place, tmp_path: Path) -> Iterator[Receiver]:
    place.outputs.files.move_syslog(str(tmp_path / "log.sock"))
    with Receiver(tmp_path / "log.sock") as receiver:
        yield receiver


def numbered(name: str, count: int) -> list[str]:
    return [sys.executable, str(PROGRAMS / "numbered_lines.py"), name, str(count)]


def numbers(texts: list[bytes], name: str) -> list[int]:
    """The numbers of the lines of one writer, each of which must be whole."""
    found = []
    for text in texts:
        who, number, length, rest = text.split(b" ")
        assert rest == b"x" * int(length)
        if who == name.encode():
            found.append(int(number))
    return found


# ---- exact bytes


def test_every_line_is_a_message_byte_for_byte(place: Place, receiver: Receiver) -> None:
    script = r"printf 'one\n\n\000 \377 \303\244\r\n'; printf 'last' ; printf 'wrong\n' >&2"
    place.ended(WORKER, place.start(WORKER, to_syslog(), "sh", "-c", script))
    assert [each for each in receiver.read() if each.kind == "stdout"] == [
        (30, "worker", 0, "stdout", b"one"),
        (30, "worker", 0, "stdout", b"\0 \xff \xc3\xa4\r"),
        (30, "worker", 0, "stdout", b"last"),
    ]
    assert [each for each in receiver.messages if each.kind == "stderr"] == [(27, "worker", 0, "stderr", b"wrong")]
    assert place.outputs.memory.read(WORKER, "stdout").data == b"one\n\n\0 \xff \xc3\xa4\r\nlast"
    assert place.outputs.memory.read(WORKER, "stderr").data == b"wrong\n"


def test_a_long_line_is_several_messages_and_nothing_is_lost(place: Place, receiver: Receiver) -> None:
    """The last one is longer than a pipe, and has no end."""
    program = "import sys; sys.stdout.write('a' * 20000 + '\\n' + 'b' * 8000 + '\\n' + 'c' * 300000)"
    writer = place.start(WORKER, to_syslog(), sys.executable, "-c", program)
    place.until(lambda: receiver.read() and writer.poll() is not None, "the end of the writer")
    place.outputs.process_ended(WORKER)
    place.until(lambda: len(b"".join(receiver.texts())) == 328000, "all of it")
    texts = receiver.texts()
    assert [len(text) for text in texts[:4]] == [8000, 8000, 4000, 8000]
    assert max(map(len, texts)) == 8000
    assert b"".join(texts) == b"a" * 20000 + b"b" * 8000 + b"c" * 300000


def test_objects_are_the_texts_and_a_reload_changes_that_for_what_runs(
    place: Place, receiver: Receiver, tmp_path: Path
) -> None:
    writer = waiting(place, WORKER, tmp_path, "echo one; wait_for_go; echo two", form=Form.JSON)
    go(tmp_path, WORKER)
    place.until(receiver.read, "the first line")
    place.outputs.adopt({"worker": LogPolicy(form=Form.STAMPED)}.get)
    go(tmp_path, WORKER)
    place.ended(WORKER, writer)
    first, second = receiver.texts()
    assert {**json.loads(first), "time": ""} == {
        "time": "",
        "task": "worker",
        "instance": "worker",
        "pid": 0,
        "stream": "stdout",
        "text": "one",
    }
    assert second == b"two"
    assert place.outputs.memory.read(WORKER, "stdout").data == b"one\ntwo\n"


def test_one_stream_to_a_file_and_one_to_syslog(place: Place, receiver: Receiver, tmp_path: Path) -> None:
    start = replace(launch_of(tmp_path / "log"), sent=frozenset({"stderr"}))
    place.ended(WORKER, place.start(WORKER, start, "sh", "-c", "echo out; echo err >&2"))
    assert (tmp_path / "log").read_text() == "out\n"
    assert [(each.kind, each.text) for each in receiver.read()] == [("stderr", b"err")]


def test_followers_hear_the_lines_as_they_were_written(place: Place, receiver: Receiver) -> None:
    heard: list[tuple[str, bytes]] = []
    place.outputs.listeners.append(Listener(lambda _key, stream, data: heard.append((stream, data))))
    start = to_syslog(frozenset({"stdout"}), form=Form.JSON)
    place.ended(WORKER, place.start(WORKER, start, "echo", "out"))
    assert ("stdout", b"out\n") in heard


def test_instances_share_one_socket_which_is_closed_with_the_last(
    place: Place, receiver: Receiver, tmp_path: Path
) -> None:
    writers = {key: waiting(place, key, tmp_path, "echo done") for key in (WORKER, OTHER)}
    assert len(list(place.outputs.files)) == 1
    for key, writer in writers.items():
        go(tmp_path, key)
        place.ended(key, writer)
    assert receiver.texts() == [b"done", b"done"]
    assert list(place.outputs.files) == []


def waiting(place: Place, key: Key, home: Path, script: str, **policy: object) -> subprocess.Popen[bytes]:
    """A writer that goes on with `script` at `go`, each time that it is called there."""
    way = home / f"go{key[1]}"
    os.mkfifo(way)
    functions = f"exec 3<> {way}; wait_for_go() {{ read x <&3; }}; wait_for_go; "
    return place.start(key, to_syslog(**policy), "sh", "-c", functions + script)


def go(home: Path, key: Key) -> None:
    """Let a writer go on."""
    (home / f"go{key[1]}").write_text("\n")


# ---- a receiver that is slow


def test_a_slow_receiver_makes_writers_wait_and_nobody_is_told(place: Place, receiver: Receiver) -> None:
    """The clock stands still: nothing is tried at an hour. While nobody reads the loop has nothing to do."""
    keys = (WORKER, OTHER)
    writers = {key: place.start(key, to_syslog(), *numbered(f"w{key[1]}", 1500)) for key in keys}
    place.until(lambda: len(place.outputs._refused) == 2, "a receiver that is full for both")
    served: list[str] = []
    place.outputs.listeners.append(Listener(lambda *_: served.append("output")))
    for _ in range(20):
        place.turn(0)
    assert served == []
    read_to_the_end(place, receiver, writers)
    assert place.told == place.outputs.troubles() == []
    texts = receiver.texts()
    for name in ("w1", "w2"):
        assert numbers(texts, name) == list(range(1500))


def test_at_a_slow_receiver_everybody_gets_a_turn(place: Place, receiver: Receiver) -> None:
    """Both have more to say than is read here."""
    keys = (WORKER, OTHER)
    script = "yes w{} | head -n 3000"
    writers = {key: place.start(key, to_syslog(), "sh", "-c", script.format(key[1])) for key in keys}
    place.until(lambda: len(place.outputs._refused) == 2, "a receiver that is full for both")
    receiver.read()
    receiver.messages.clear()
    place.until(lambda: len(receiver.read()) > 1000, "1000 messages")
    shares = [sum(text == name for text in receiver.texts()) for name in (b"w1", b"w2")]
    assert min(shares) > sum(shares) // 4
    read_to_the_end(place, receiver, writers)


def read_to_the_end(place: Place, receiver: Receiver, writers: Mapping[Key, subprocess.Popen[bytes]]) -> None:
    """Let the writers end, and everything of theirs arrive."""

    def read() -> None:
        """More than once a look: some machines let no more than ten messages wait."""
        for _ in range(50):
            receiver.read()
            place.turn(0)

    def ended() -> bool:
        read()
        return all(writer.poll() is not None for writer in writers.values())

    def arrived() -> bool:
        read()
        return not place.outputs._held

    until(ended, "the ends of the writers")
    for key in writers:
        place.outputs.process_ended(key)
    until(arrived, "their last words")
    receiver.read()


# ---- a receiver that goes away


@pytest.mark.parametrize("unlink", [True, False])
def test_a_receiver_that_went_away_is_told_once_a_minute_and_found_again(
    place: Place, tmp_path: Path, unlink: bool
) -> None:
    path = tmp_path / "log.sock"
    place.outputs.files.move_syslog(str(path))
    receiver = Receiver(path)
    writers = {key: place.start(key, to_syslog(), *numbered(f"w{key[1]}", 3000)) for key in (WORKER, OTHER)}
    place.until(receiver.read, "the first lines")
    before = receiver.texts()
    receiver.close(unlink)
    place.until(lambda: len(place.outputs._refused) == 2, "both waiting")
    why = "No such file or directory" if unlink else "Connection refused"
    told = f"log {path} takes nothing ({why}): its writers wait"
    assert place.outputs.troubles() == [told]
    for _ in range(50):
        place.later(1)
    assert place.told == [told]
    for _ in range(15):
        place.later(1)
    assert place.told == [told, told]
    path.unlink(missing_ok=True)
    with Receiver(path) as receiver:
        place.later(1)
        read_to_the_end(place, receiver, writers)
        assert place.outputs.troubles() == []
        texts = before + receiver.texts()
    for name in ("w1", "w2"):
        found = numbers(texts, name)
        assert found == sorted(set(found)), "no line twice, and in order"
        assert len(found) >= 3000 - 2 * queue_length(), "but what the receiver had not read when it went"
        assert found[-1] == 2999


def queue_length() -> int:
    """How many datagrams wait for a receiver at most."""
    path = Path("/proc/sys/net/unix/max_dgram_qlen")
    return int(path.read_text()) + 1 if path.exists() else 512


def test_a_receiver_that_was_started_anew_between_two_lines_is_not_missed(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    place.outputs.files.move_syslog(str(path))
    with Receiver(path) as receiver:
        writer = waiting(place, WORKER, tmp_path, "echo one; wait_for_go; echo two")
        go(tmp_path, WORKER)
        place.until(receiver.read, "the first line")
    with Receiver(path) as receiver:
        go(tmp_path, WORKER)
        place.ended(WORKER, writer)
        assert receiver.texts() == [b"two"]
    assert place.told == []


def test_last_words_wait_for_the_receiver_and_arrive_in_the_order_of_the_ends(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    place.outputs.files.move_syslog(str(path))
    with Receiver(path):
        first = waiting(place, WORKER, tmp_path, "echo one; echo two")
        second = waiting(place, OTHER, tmp_path, "echo three")
    for key, writer in ((WORKER, first), (OTHER, second)):
        go(tmp_path, key)
        assert not place.ended(key, writer)
    with Receiver(path) as receiver:
        place.later(1)
        place.until(lambda: not place.outputs._held, "the end of all streams")
        assert receiver.texts() == [b"one", b"two", b"three"]


def test_with_discard_what_is_not_taken_is_lost_and_told_and_others_still_wait(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    place.outputs.files.move_syslog(str(path))
    with Receiver(path):
        careless = waiting(place, WORKER, tmp_path, "echo lost; wait_for_go; echo kept", discards=True)
        careful = waiting(place, OTHER, tmp_path, "echo waits")
    go(tmp_path, WORKER)
    place.until(lambda: place.told, "what is lost")
    go(tmp_path, OTHER)
    place.until(lambda: len(place.told) == 2, "what waits")
    takes_nothing = f"log {path} takes nothing (No such file or directory): "
    assert place.told == [takes_nothing + "5 bytes are lost", takes_nothing + "its writers wait"]
    with Receiver(path) as receiver:
        place.later(1)
        place.ended(OTHER, careful)
        assert receiver.texts() == [b"waits"]
        assert place.told[2:] == [f"5 bytes of log {path} were lost"]
        go(tmp_path, WORKER)
        place.ended(WORKER, careless)
        assert receiver.texts() == [b"waits", b"kept"]


def test_with_discard_a_receiver_that_is_only_slow_loses_nothing(place: Place, receiver: Receiver) -> None:
    """The clock goes on, but never a second without a message."""
    writer = place.start(WORKER, to_syslog(discards=True), *numbered("w", 1500))

    def read() -> bool:
        place.time += 0.5
        return bool(receiver.read()) and writer.poll() is not None

    place.until(read, "the end of the writer")
    place.outputs.process_ended(WORKER)
    place.until(lambda: receiver.read() and not place.outputs._held, "its last words")
    assert numbers(receiver.texts(), "w") == list(range(1500))
    assert place.told == []


def test_with_discard_a_receiver_that_hangs_keeps_nobody_for_more_than_a_second(
    place: Place, receiver: Receiver
) -> None:
    """Once it goes on, no line is torn, and who waits beside one that does not gets every line to it."""
    careless = place.start(WORKER, to_syslog(discards=True), *numbered("careless", 20000))
    careful = place.start(OTHER, to_syslog(), *numbered("careful", 1500))
    place.until(lambda: len(place.outputs._refused) == 2, "a receiver that is full for both")
    assert place.told == []
    place.later(1)
    place.until(lambda: careless.poll() is not None, "the end of the one that does not wait")
    place.outputs.process_ended(WORKER)
    (told,) = place.told
    pattern = rf"log {receiver.path} takes nothing \(Resource temporarily unavailable\): \d+ bytes are lost"
    assert re.fullmatch(pattern, told)
    read_to_the_end(place, receiver, {OTHER: careful})
    assert numbers(receiver.texts(), "careful") == list(range(1500))
    assert re.fullmatch(rf"\d+ bytes of log {receiver.path} were lost", place.told[1])
    assert len(place.told) == 2


# ---- no receiver at all, and another one


def failed(place: Place) -> SpawnFailure:
    """The words for a start to syslog that fails; nothing stays open."""
    before = os.listdir("/proc/self/fd")
    outcome = place.outputs.open(WORKER, to_syslog())
    assert isinstance(outcome, SpawnFailure)
    assert os.listdir("/proc/self/fd") == before
    return outcome


def test_without_a_receiver_a_start_fails_with_the_reason_and_what_to_do(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    place.outputs.files.move_syslog(str(path))
    why = f"stdout cannot be sent to syslog at '{path}': "
    name_it = "name its socket with 'syslogSocket' of 'taskmaster'"
    start_one = f"nobody listens there: start a syslog daemon, or {name_it}"
    assert failed(place) == SpawnFailure("stdout", why + "No such file or directory", start_one)
    Receiver(path).close(unlink=False)
    assert failed(place) == SpawnFailure("stdout", why + "Connection refused", start_one)
    path.unlink()
    with closing(socket.socket(socket.AF_UNIX)) as stream:
        stream.bind(str(path))
        stream.listen()
        refusal = failed(place)
    assert refusal.reason == why + "Protocol wrong type for socket"
    assert refusal.hint == f"it is a socket for streams, and syslog is spoken in datagrams: {name_it}"
    place.outputs.files.move_syslog("/" + "x" * 200)
    assert failed(place).reason.endswith(": File name too long")


def test_a_start_beside_one_whose_receiver_went_away_fails_too(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    place.outputs.files.move_syslog(str(path))
    with Receiver(path):
        writer = waiting(place, OTHER, tmp_path, ":")
    assert failed(place).reason.endswith(": No such file or directory")
    go(tmp_path, OTHER)
    place.ended(OTHER, writer)


def test_reopen_connects_to_who_listens_now_and_another_path_too(place: Place, tmp_path: Path) -> None:
    path, other = tmp_path / "log.sock", tmp_path / "other.sock"
    place.outputs.files.move_syslog(str(path))
    script = "echo one; wait_for_go; echo two; wait_for_go; echo three; wait_for_go; echo four"
    with Receiver(path) as old:
        writer = waiting(place, WORKER, tmp_path, script)
        go(tmp_path, WORKER)
        place.until(old.read, "the first line")
        path.unlink()
        assert place.outputs.reopen() == [f"log {path} cannot be opened anew: No such file or directory"]
        with Receiver(path) as new:
            assert place.outputs.reopen() == []
            go(tmp_path, WORKER)
            place.until(new.read, "the second line")
            place.outputs.files.move_syslog(str(other))
            missing = f"syslog {other} cannot be reached (No such file or directory): output goes on to where it went"
            assert place.told == [missing]
            go(tmp_path, WORKER)
            place.until(lambda: len(new.read()) == 2, "the third line")
        assert (old.texts(), [each.text for each in new.messages]) == ([b"one"], [b"two", b"three"])
    with Receiver(other) as moved:
        go(tmp_path, WORKER)
        place.ended(WORKER, writer)
        assert moved.texts() == [b"four"]


# ---- the whole program, and rsyslogd


@needs_rsyslogd
def test_output_arrives_in_the_files_of_rsyslogd_though_it_is_started_anew(tmp_path: Path) -> None:
    """It is told to end while output flows; what had reached it by then it writes itself."""
    config = f"""
        taskmaster: {{syslogSocket: rsyslog.sock}}
        tasks:
          flood:
            command: [{sys.executable}, {PROGRAMS / "numbered_lines.py"}, "{{instance}}", "20000"]
            instances: 2
            stdout: syslog
            successfulStartTimeout: 0
          both: {{command: "echo to stdout; echo to stderr >&2; echo", stdout: syslog, stderr: syslog, logFormat: json}}
    """
    with Rsyslogd(tmp_path) as rsyslogd, Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.ask("start both")
        taskmaster.ask("start flood")
        told = r"flood_\d' started with PID (\d+)"
        until(lambda: len(re.findall(told, taskmaster.output)) == 2, "both are told")
        pids = [int(pid) for pid in re.findall(told, taskmaster.output)]
        until(lambda: len(rsyslogd.messages()) > 1000, "1000 messages")
        rsyslogd.stop()
        rsyslogd.start()
        until(lambda: all(row["status"] == "EXITED" for row in taskmaster.status().values()), "their ends", 60)
        until(lambda: sum(text.startswith(b"flood_2 19999") for text in rsyslogd.texts()), "the last line", 60)
        until(lambda: sum(text.startswith(b"flood_1 19999") for text in rsyslogd.texts()), "the last line", 60)
        rsyslogd.stop()
        messages = rsyslogd.messages()
    objects = [each for each in messages if each.name == "both"]
    assert {(each.priority, each.kind, json.loads(each.text)["text"]) for each in objects} == {
        (30, "stdout", "to stdout"),
        (27, "stderr", "to stderr"),
    }
    for n in (1, 2):
        mine = [each for each in messages if each.name == f"flood_{n}"]
        assert {(each.priority, each.pid, each.kind) for each in mine} == {(30, pids[n - 1], "stdout")}
        found = numbers([each.text for each in mine], f"flood_{n}")
        assert found == sorted(set(found))
        assert len(found) >= 20_000 - 2 * queue_length()


def test_commands_of_a_task_whose_output_goes_to_syslog(tmp_path: Path) -> None:
    config = """
        taskmaster: {syslogSocket: log.sock}
        tasks:
          web: {command: "echo ready; read x < go; echo bye >&2; exit 3", stdout: syslog, stderr: syslog,
                successfulStartTimeout: 0}
    """
    os.mkfifo(tmp_path / "go")
    with Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.ask("start web")
        taskmaster.wait_for(web="FATAL")
        answer = taskmaster.ask("status")
        assert f"stdout cannot be sent to syslog at '{tmp_path}/log.sock': No such file or directory" in answer
        assert "nobody listens there: start a syslog daemon, or name its socket" in answer
        with Receiver(tmp_path / "log.sock") as receiver:
            taskmaster.ask("start web")
            until(receiver.read, "the first line")
            assert receiver.messages == [(30, "web", taskmaster.pid("web"), "stdout", b"ready")]
            assert "ready\n" in taskmaster.ask("logs web")
            taskmaster.ask("clear-logs web")
            assert "ready\n" not in taskmaster.ask("logs web")
            assert "cannot" not in taskmaster.ask("reopen-logs")
        (tmp_path / "go").write_text("\n")
        waits = f"log {tmp_path}/log.sock takes nothing (No such file or directory): its writers wait"
        until(lambda: waits in taskmaster.ask("status"), "the trouble in status")
        with Receiver(tmp_path / "log.sock") as receiver:
            until(receiver.read, "the last line")
            assert [(each.kind, each.text) for each in receiver.messages] == [("stderr", b"bye")]
            until(lambda: waits not in taskmaster.ask("status"), "the end of the trouble")
        assert "bye" in taskmaster.ask("status")


# ---- the event log


@needs_rsyslogd
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_event_log_arrives_in_the_files_of_rsyslogd(tmp_path: Path, form: str) -> None:
    config = """
        taskmaster: {syslogSocket: rsyslog.sock, logfile: syslog}
        tasks: {web: {command: exit 3, successfulStartTimeout: 0, autoLaunch: true}}
    """
    with Rsyslogd(tmp_path) as rsyslogd:
        with Taskmaster(tmp_path, config, "--log-format", form, "--log-level", "debug") as taskmaster:
            taskmaster.wait_for(web="FATAL")
            pid = taskmaster.process.pid
        rsyslogd.stop()
        messages = rsyslogd.messages()
    assert {(each.name, each.pid) for each in messages} == {("taskmaster", pid)}
    assert {each.kind for each in messages} >= {"start", "state", "command", "shutdown", "end"}
    assert {each.priority for each in messages} >= {30, 31}
    assert {each.priority for each in messages if b"FATAL" in each.text} <= {27, 28}
    if form == "text":
        assert messages[0].text == f"taskmaster: {tmp_path}/web.yaml, pid {pid}".encode()
    else:
        assert {each.kind for each in messages} == {json.loads(each.text)["event"] for each in messages}
    assert not (tmp_path / "syslog").exists()
    assert not (tmp_path / "taskmaster.log").exists()


def test_an_event_log_whose_receiver_goes_away_stops_nothing_and_heals(tmp_path: Path) -> None:
    config = "taskmaster: {syslogSocket: log.sock}\ntasks: {web: {command: sleep 1000, successfulStartTimeout: 0}}"
    receiver = Receiver(tmp_path / "log.sock")
    with Taskmaster(tmp_path, config, "--logfile", "syslog") as taskmaster:
        until(receiver.read, "the first record")
        receiver.close()
        taskmaster.ask("start web")
        taskmaster.wait_for(web="RUNNING")
        assert "The event log cannot be written: No such file or directory" in taskmaster.ask("status")
        with Receiver(tmp_path / "log.sock") as receiver:
            taskmaster.ask("stop web")
            until(lambda: [each for each in receiver.read() if each.kind == "state"], "a record")
            assert "cannot be written" not in taskmaster.ask("status")
            taskmaster.leave()
            assert receiver.read()[-1].text == b"taskmaster: leaving"


@pytest.mark.parametrize("flags", [("-n",), ("-d", "-p", "pid"), ()])
def test_an_event_log_to_a_syslog_that_is_not_there_is_an_error(tmp_path: Path, flags: tuple[str, ...]) -> None:
    (tmp_path / "web.yaml").write_text("taskmaster: {syslogSocket: log.sock, logfile: syslog}\ntasks: {}\n")
    done = run(tmp_path, *flags, "web.yaml")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"taskmaster: the event log cannot be sent to syslog at {tmp_path}/log.sock: No such file or directory. "
        "Start a syslog daemon, or name its socket with 'syslogSocket' of 'taskmaster', or name a file with --logfile."
    )


def test_a_daemon_in_the_background_keeps_its_way_to_syslog(tmp_path: Path) -> None:
    config = "taskmaster: {syslogSocket: log.sock}\ntasks: {web: {command: sleep 1000, autoLaunch: true}}\n"
    with Receiver(tmp_path / "log.sock") as receiver, Background(tmp_path, config) as daemon:
        done = daemon.start("-l", "syslog")
        assert (done.returncode, done.stderr) == (0, "")
        until(lambda: [each for each in receiver.read() if each.kind == "state"], "a record")
        assert {each.name for each in receiver.messages} == {"taskmaster"}
        daemon.end(daemon.pid)
        assert receiver.read()[-1].kind == "end"
    assert not (tmp_path / "syslog").exists()


def test_a_file_that_is_called_syslog_is_a_file(tmp_path: Path) -> None:
    config = "tasks: {web: {command: echo hello, stdout: ./syslog, autoLaunch: true}}"
    with Taskmaster(tmp_path, config, "--logfile", "./events") as taskmaster:
        taskmaster.wait_for(web="EXITED")
    assert (tmp_path / "syslog").read_text() == "hello\n"
