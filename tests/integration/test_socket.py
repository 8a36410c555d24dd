"""The control socket of the real program, by clients that are well behaved, slow, broken, dead or hostile."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fault.kernel import descriptors, number
from tests.integration.driver import Taskmaster, alive, run
from tests.rpc import Rpc, request
from tests.waiting import until
from tm.core.verbs import Takes
from tm.faces.methods import METHODS

CONFIG = """
    defaults: {successfulStartTimeout: 0, gracefulStopTimeout: 5}
    tasks:
      web: {command: sleep 1000, autoLaunch: true}
      worker: {command: sleep 1001, autoLaunch: true, instances: 3}
      off: {command: sleep 1002}
"""
FLOOD = json.dumps(
    {
        "tasks": {
            "flood": {"command": [sys.executable, "-c", "import os\nwhile True: os.write(1, b'x' * 999 + b'\\n')"]},
            "quiet": {"command": "sleep 1000", "successfulStartTimeout": 0},
        }
    }
)

needs_socat = pytest.mark.skipif(shutil.which("socat") is None, reason="there is no socat here")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Taskmaster]:
    with Taskmaster(tmp_path, CONFIG, "-n") as daemon:
        listens(daemon)
        yield daemon


def listens(daemon: Taskmaster) -> Path:
    """Its socket, once somebody answers there."""
    path = daemon.home / "control.sock"

    def connects() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    until(connects, f"a socket; {daemon.errors}")
    return path


def client(daemon: Taskmaster) -> Rpc:
    return Rpc(daemon.home / "control.sock")


def rows(rpc: Rpc) -> dict[str, Any]:
    return {row["name"]: row for row in rpc.call("status")["data"]}


def running(daemon: Taskmaster, *names: str) -> dict[str, Any]:
    """The rows, once these are up."""
    with client(daemon) as rpc:
        return until(
            lambda: found if all((found := rows(rpc))[name]["status"] == "RUNNING" for name in names) else None,
            f"{names} running",
        )


def answers(daemon: Taskmaster) -> None:
    """It answers somebody new."""
    with client(daemon) as rpc:
        assert rpc.call("version")["outcome"] == 0


# ---- what it says


@needs_socat
def test_socat_is_a_client(daemon: Taskmaster) -> None:
    lines = request(1, "status") + request("two", "pid", words=["web"]) + b"\nnonsense\n"
    done = subprocess.run(
        ["socat", "-t", "20", "-", "UNIX-CONNECT:control.sock"],
        input=lines,
        capture_output=True,
        cwd=daemon.home,
        timeout=30,
        check=True,
    )
    status, pid, error = map(json.loads, done.stdout.splitlines())
    assert (status["id"], status["result"]["outcome"]) == (1, 0)
    assert status["result"]["lines"][0].split() == ["Task", "Status", "PID", "Uptime", "Restarts", "Command"]
    assert pid == {"jsonrpc": "2.0", "id": "two", "result": pid["result"]}
    assert alive(pid["result"]["data"]["web"])
    assert error["error"]["code"] == -32700


def test_every_described_method_answers(daemon: Taskmaster) -> None:
    with client(daemon) as rpc:
        described = {each["method"]: each for each in rpc.call("system.describe")["data"]}
        assert {"status", "logs.follow", "events.subscribe"} <= set(described)
        for name, method in described.items():
            if name != "shutdown":
                words = {"words": ["web"]} if any(each["name"] == "words" for each in method["params"]) else {}
                rpc.ask(name, **words)
                answer = rpc.answer()
                assert ("result" in answer) != ("error" in answer), (name, answer)
                assert answer.get("error", {}).get("code", -32602) == -32602, (name, answer)


def test_commands_are_carried_out_and_logged_with_the_peer(daemon: Taskmaster) -> None:
    with client(daemon) as rpc:
        before = running(daemon, "web")["web"]["pid"]
        assert rpc.call("stop", words=["web"])["outcome"] == 0
        until(lambda: rows(rpc)["web"]["status"] == "STOPPED", "stopped")
        assert not alive(before)
        assert rpc.call("stop", words=["nobody"])["outcome"] == 6
        by = rf"by uid {os.getuid()} \(pid {os.getpid()}\)"
        assert re.search(rf"command: stop web, {by}", daemon.errors)
        assert re.search(rf"web state: RUNNING -> STOPPING .*{by}", daemon.errors)


def test_a_subscriber_hears_events_and_changes_in_order(daemon: Taskmaster) -> None:
    with client(daemon) as hears, client(daemon) as asks:
        number_ = hears.call("events.subscribe", names=["off"])["subscription"]
        asks.call("start", words=["off"])
        asks.call("start", words=["web"])
        changes = []
        while not changes or changes[-1]["state"] != "RUNNING":
            message = hears.next()
            assert message["params"]["subscription"] == number_
            if message["method"] == "change":
                changes.append(message["params"])
            else:
                assert message["params"]["who"] == "off"
        assert [each["name"] for each in changes] == ["off"] * len(changes)
        assert (changes[0]["before"], changes[0]["event"]) == ("STOPPED", "start")
        told = [each["told"] for each in changes if each["told"]]
        assert told == [f"Process 'off' started with PID {changes[-1]['pid']}"]
        assert hears.call("unsubscribe", subscription=number_)["outcome"] == 0
        asks.call("stop", words=["off"])
        assert hears.call("version")["outcome"] == 0
        assert [each for each in hears.heard if each["method"] == "change"] == []


def test_logs_follow_leaves_no_gap_to_what_was_answered(tmp_path: Path) -> None:
    program = "import itertools, os\nfor n in itertools.count(): os.write(1, b'%d\\n' % n)"
    config = json.dumps({"tasks": {"count": {"command": [sys.executable, "-c", program], "autoLaunch": True}}})
    with Taskmaster(tmp_path, config, "-n") as daemon:
        listens(daemon)
        with client(daemon) as rpc:
            until(lambda: len(rpc.call("logs", words=["count"])["lines"]) == 10, "some output")
            answer = rpc.call("logs.follow", words=["count"], lines=5)
            seen = [int(line) for line in answer["lines"]]
            while len(seen) < 2000:
                message = rpc.next()
                assert message["method"] == "log", message
                seen += map(int, message["params"]["text"].splitlines())
            assert seen == list(range(seen[0], seen[0] + len(seen)))
            rpc.socket.close()


def test_shutdown_is_answered_before_the_end(daemon: Taskmaster) -> None:
    with client(daemon) as rpc:
        assert rpc.call("shutdown")["outcome"] == 0
        assert rpc.ends()
    assert daemon.process.wait(20) == 0
    assert not (daemon.home / "control.sock").exists()


# ---- hostile and unlucky clients


def test_hundreds_at_once_and_the_silent_harm_nobody(daemon: Taskmaster) -> None:
    clients = [client(daemon) for _ in range(200)]
    try:
        talking = clients[::2]
        for rpc in talking:
            rpc.ask("status")
        assert {rpc.answer()["result"]["outcome"] for rpc in talking} == {0}
        for rpc in talking:
            rpc.ask("restart", words=["worker"])
        assert {rpc.answer()["result"]["outcome"] for rpc in talking} == {0}
        answers(daemon)
    finally:
        for rpc in clients:
            rpc.socket.close()
    found = running(daemon, "web", "worker_1", "worker_2", "worker_3")
    children = Path(f"/proc/{daemon.daemon}/task/{daemon.daemon}/children")
    if children.exists():
        ours = {row["pid"] for row in found.values() if row["pid"]}
        until(lambda: set(map(int, children.read_text().split())) == ours, "no second copy")


def test_one_too_many_is_told_so(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG, "-n") as daemon:
        listens(daemon)
        clients = []
        try:
            refused = None
            while refused is None:
                assert len(clients) <= 1000
                rpc = client(daemon)
                clients.append(rpc)
                rpc.ask("version")
                answer = rpc.answer()
                refused = answer.get("error")
            assert refused["code"] == -32000
            assert clients[-1].ends()
            clients[0].ask("version")
            assert "result" in clients[0].answer()
            clients.pop(0).socket.close()
            until(lambda: fits(daemon), "room for another")
        finally:
            for rpc in clients:
                rpc.socket.close()


def fits(daemon: Taskmaster) -> bool:
    with client(daemon) as rpc:
        rpc.ask("version")
        return "result" in rpc.answer()


@pytest.mark.parametrize(
    ("junk", "code"),
    [
        (b"\xff\xfe\n", -32700),
        (b"[" * 10_000 + b"\n", -32700),
        (b'{"a":' * 10_000 + b"\n", -32700),
        (b"9" * 60_000 + b"\n", -32700),
        (b"x" * 1_000_000 + b"\n", -32000),
        (b"\0" * 1000 + b"\n", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"check","params":{"words":["a\\u0000b"]}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"check","params":{"words":["\\ud800"]}}\n', -32602),
    ],
)
def test_junk_gets_one_error_and_the_next_line_its_answer(daemon: Taskmaster, junk: bytes, code: int) -> None:
    with client(daemon) as rpc:
        rpc.send(junk)
        assert rpc.answer()["error"]["code"] == code
        assert rpc.call("version")["outcome"] == 0
    answers(daemon)


def test_a_megabyte_of_chance_harms_nobody(daemon: Taskmaster) -> None:
    with client(daemon) as rpc, client(daemon) as other:
        junk = os.urandom(1_000_000)
        rpc.socket.settimeout(0.2)
        with suppress(TimeoutError):  # it waits until we read what it says of it
            rpc.socket.sendall(junk)
        assert other.call("version")["outcome"] == 0
    answers(daemon)


def test_half_a_line_and_death(daemon: Taskmaster) -> None:
    for _ in range(50):
        with client(daemon) as rpc:
            rpc.send(request(1, "stop", words=["web"])[:-5])
    answers(daemon)
    assert running(daemon, "web")["web"]["restarts"] == 0
    assert "command: stop" not in daemon.errors


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"shutdown", "upgrade"}))
def test_killed_in_the_middle_of_a_request(daemon: Taskmaster, method: str) -> None:
    """Every kind of request there is."""
    verb = METHODS[method].verb
    takes_names = verb is not None and verb.takes in (Takes.SELECTION, Takes.SIGNAL, Takes.LOG)
    params: dict[str, object] = {"words": ["web", "worker"]} if takes_names else {}
    params |= {"signal": "CONT"} if method == "signal" else {}
    running(daemon, "web", "worker_1", "worker_2", "worker_3")
    before = descriptors(daemon.daemon)
    program = (
        "import signal, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('control.sock')\n"
        "data = sys.stdin.buffer.read()\n"
        "print(flush=True)\n"
        "for _ in range(60): s.sendall(data)\n"  # nobody's answers, which are worked out all the same
        "signal.pause()\n"
    )
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=daemon.home
        ) as killed:
            assert killed.stdin is not None
            assert killed.stdout is not None
            killed.stdin.write(request(1, method, **params))
            killed.stdin.close()
            killed.stdout.readline()
            answers(daemon)
            killed.kill()

    def started(rpc: Rpc) -> bool:
        """What the killed ones had asked for is still being carried out."""
        rpc.call("start", words=["web", "worker"])
        return {row["status"] for name, row in rows(rpc).items() if name != "off"} == {"RUNNING"}

    with client(daemon) as rpc:
        until(lambda: started(rpc), "all of them up", 60)
    assert "bug" not in daemon.errors
    until(lambda: descriptors(daemon.daemon) <= before, "no descriptor more than before", 60)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_many_thousands_of_requests_without_reading_keep_memory_flat_and_others_answered(daemon: Taskmaster) -> None:
    """By order: of what the greedy one sends, not all has been taken when others have had their answers."""
    running(daemon, "web")
    lines = request(1, "status") * 20_000
    with client(daemon) as greedy, client(daemon) as other:
        for _ in range(20):
            other.call("status")
        before = number(daemon.daemon, "VmRSS")
        greedy.socket.setblocking(False)
        sent = 0
        for _ in range(200):
            with suppress(BlockingIOError):
                sent += greedy.socket.send(lines[sent % len(lines) :])
            assert other.call("version")["outcome"] == 0
        assert sent < len(lines)
        with pytest.raises(BlockingIOError):
            greedy.socket.send(lines)
        assert number(daemon.daemon, "VmRSS") - before < 4096
        greedy.socket.settimeout(30)
        whole = sent // len(request(1, "status"))
        assert {json.loads(greedy.line())["result"]["outcome"] for _ in range(whole)} == {0}
        answers(daemon)
        assert number(daemon.daemon, "VmRSS") - before < 8192


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_stopped_follower_of_a_flood_is_told_how_much_it_lost_and_costs_no_memory(tmp_path: Path) -> None:
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('control.sock')\n"
        f"s.sendall({request(1, 'logs.follow', words=['flood'])!r})\n"
        "for line in s.makefile('rb'):\n"
        "    if b'lost' in line or b'id' in line: print(line[:200].decode(), flush=True)\n"
    )
    out = tmp_path / "heard.txt"
    with Taskmaster(tmp_path, FLOOD, "-n") as daemon:
        listens(daemon)
        with out.open("w") as file, client(daemon) as other:
            follower = subprocess.Popen([sys.executable, "-c", program], stdout=file, cwd=tmp_path)
            try:
                until(lambda: '"subscription":1' in out.read_text(), "the subscription")
                follower.send_signal(signal.SIGSTOP)
                other.call("logs.follow", words=["flood"])
                other.call("start", words=["flood"])
                read(other, 10_000_000)
                before = number(daemon.daemon, "VmRSS")
                read(other, 50_000_000)
                assert number(daemon.daemon, "VmRSS") - before < 4096
                answers(daemon)
                follower.send_signal(signal.SIGCONT)
                lost = until(
                    lambda: re.search(r'"lost","params":{"count":(\d+),"lines":(\d+)}', out.read_text()),
                    "told what it lost",
                )
                assert int(lost[2]) > int(lost[1]) > 100
                other.call("stop", words=["flood"])
            finally:
                follower.kill()
                follower.wait()


def read(rpc: Rpc, amount: int) -> None:
    """Read so much of what is followed."""
    while amount > 0:
        amount -= len(rpc.line())


# ---- the file


def test_a_socket_file_that_is_deleted_is_made_again_and_connections_live_on(daemon: Taskmaster) -> None:
    path = daemon.home / "control.sock"
    with client(daemon) as rpc:
        for _ in range(3):
            path.unlink()
            until(path.exists, "the file")
            answers(daemon)
            assert rpc.call("version")["outcome"] == 0
    assert (path.stat().st_mode & 0o777) == 0o600
    assert "made again" in daemon.errors


def test_a_directory_that_is_deleted_is_made_again(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG, "-n", "--socket", str(tmp_path / "run" / "x.sock")) as daemon:
        path = tmp_path / "run" / "x.sock"
        until(path.exists, "the file")
        path.unlink()
        until(path.exists, "the file again")
        path.parent.rename(tmp_path / "elsewhere")
        until(path.exists, "the directory and the file again")
        with Rpc(path) as rpc:
            assert rpc.call("version")["outcome"] == 0
        assert daemon.process.poll() is None


def test_what_lies_in_its_place_is_told_once_and_a_signal_makes_it_look_again(daemon: Taskmaster) -> None:
    path = daemon.home / "control.sock"
    (daemon.home / "precious").write_text("x")
    os.replace(daemon.home / "precious", path)
    until(lambda: "is no socket" in daemon.errors, "told")
    path.unlink()
    daemon.signal(signal.SIGUSR2)
    until(lambda: path.is_socket(), "made again")
    answers(daemon)
    assert daemon.errors.count("is no socket") == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("x" * 200, "at most 107 are possible"),
        ("/proc/none/x.sock", "cannot be made"),
        ("web.yaml/x.sock", "cannot be made"),
        ("web.yaml", "is no socket"),
    ],
)
def test_a_named_socket_that_cannot_be_had_is_an_error(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / "web.yaml").write_text("tasks: {web: {command: sleep 1000, autoLaunch: true}}\n")
    done = run(tmp_path, "-n", "--socket", path, "web.yaml")
    assert done.returncode == 1
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "RUNNING" not in done.stderr


def test_a_second_daemon_on_the_same_socket_is_refused_and_harms_nothing(daemon: Taskmaster) -> None:
    (daemon.home / "other.yaml").write_text("tasks: {}\n")
    done = run(daemon.home, "-n", "--state-dir", "other-state", "--socket", "control.sock", "other.yaml")
    assert done.returncode == 3
    assert f"pid {daemon.daemon}" in done.stderr
    answers(daemon)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_although_the_file_would_let_him(daemon: Taskmaster) -> None:
    path = daemon.home / "control.sock"
    path.chmod(0o666)
    daemon.home.chmod(0o711)
    program = (
        "import os, socket\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(0, 65534, 0)\n"
        "s.connect('control.sock')\n"
        "print(s.makefile().read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=daemon.home, capture_output=True, text=True, check=True, timeout=30
    )
    refused = json.loads(done.stdout)
    assert refused["error"]["code"] == -32001
    assert "uid 65534" in refused["error"]["message"]
    until(lambda: "uid 65534 (pid" in daemon.errors, "a line in the log")
    answers(daemon)


def test_questions_of_who_is_gone_are_left_and_what_else_he_has_asked_for_is_carried_out(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG, "-n", "-l", "taskmaster.log", "--log-level", "debug") as daemon:
        path = listens(daemon)
        with Rpc(path) as client, Rpc(path) as other:
            client.call("version")
            other.call("version")
            os.kill(daemon.daemon, signal.SIGSTOP)
            client.send(
                b"".join(request(n, "show", words=["all"]) for n in range(50)) + request(51, "stop", words=["web"])
            )
            client.socket.close()
            os.kill(daemon.daemon, signal.SIGCONT)
            until(lambda: other.call("status", words=["web"])["data"][0]["status"] == "STOPPED", "web is stopped")
        assert "command: stop web, by" in daemon.log
        assert "command: show" not in daemon.log
