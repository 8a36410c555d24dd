"""`logs` with a span of time, an expression, raw bytes; over several logs; through a restart of the daemon."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.driver import Taskmaster, environment
from tests.integration.test_ctl import Daemon
from tests.rpc import Rpc
from tests.terminal import Terminal
from tests.waiting import until

CONFIG = """
    defaults: {successfulStartTimeout: 0}
    tasks:
      web: {command: sleep 1000, stdout: web.log, stderr: web.err}
      db: {command: sleep 1000, stdout: db.log}
      plain: {command: sleep 1000, stdout: plain.log}
      big: {command: sleep 1000, stdout: big.log, logMaxSize: 0}
      bad: {command: "sed -n 's/^/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab/p' lines", stdout: bad.log, restart: never}
      memory: {command: "echo kept; echo other; exec sleep 1000"}
      count: {command: ["PYTHON", "-c", "PROGRAM"], stdout: "{instance}.log", instances: 2, autoLaunch: true,
              logMaxSize: 1500, logKeep: 1000}
"""
PROGRAM = (
    "import itertools, select; [print(n, flush=True) or select.select([], [], [], 0.001) for n in itertools.count()]"
)
HOUR = 1_700_000_000 // 3600 * 3600


def stamped(second: int, text: str) -> str:
    return f"{datetime.fromtimestamp(HOUR + second, UTC).isoformat(timespec='milliseconds')} {text}\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, CONFIG.replace("PYTHON", sys.executable).replace("PROGRAM", PROGRAM)) as running:
        running.ctl("stop", "count")
        yield running


def test_a_span_of_time_over_rotated_files(daemon: Daemon) -> None:
    lines = [stamped(second, f"line {second}") for second in range(3000)]
    (daemon.home / "web.log.1").write_text("".join(lines[:2000]))
    (daemon.home / "web.log").write_text("".join(lines[2000:]))
    since, until_ = stamped(1995, "").split()[0], stamped(2004, "").split()[0]
    assert daemon.ctl("logs", "web", "--since", since, "--until", until_).stdout == "".join(lines[1995:2005])
    assert daemon.ctl("logs", "web", "3", f"--since={since}").stdout == "".join(lines[-3:])
    assert daemon.ctl("logs", "web", f"--until={until_}").stdout == "".join(lines[1995:2005])
    assert daemon.ctl("logs", "web", "--since", "1m").stderr == "No line of the log matches.\n"
    assert daemon.ctl("logs", "web", "--since", "1m").returncode == 0


def test_a_log_without_times_hides_nothing_of_the_others(daemon: Daemon) -> None:
    (daemon.home / "plain.log").write_text("no time here\n")
    (daemon.home / "web.log").write_text(stamped(1, "web"))
    done = daemon.ctl("logs", "all", "--since", stamped(0, "").strip())
    assert (done.returncode, done.stdout) == (0, f"web | {stamped(1, 'web')}")
    assert done.stderr.startswith("Left out, since their lines have no times: plain")


def test_what_a_span_of_time_cannot_be_asked_of(daemon: Daemon) -> None:
    (daemon.home / "plain.log").write_text("no time here\n")
    done = daemon.ctl("logs", "plain", "--since", "10m")
    assert done.returncode == 1
    assert done.stderr.startswith("The log of 'plain' has no times, which --since and --until need")
    for wrong in (["--since", "soon"], ["--since", "1m", "--until", "2m"], ["--grep", "("], ["--since"]):
        done = daemon.ctl("logs", "plain", *wrong)
        assert (done.returncode, done.stdout) == (2, ""), done
    assert daemon.ctl("logs", "-f", "plain", "--until", "now").returncode == 2


def test_lines_in_which_something_is_found(daemon: Daemon) -> None:
    (daemon.home / "plain.log").write_text("".join(f"line {n} {'error' * (n % 100 == 0)}\n" for n in range(100_000)))
    assert daemon.ctl("logs", "plain", "2", "--grep", "error").stdout == "line 99800 error\nline 99900 error\n"
    assert daemon.ctl("logs", "plain", "1", "--grep", r"^line (\d)\1\1 ").stdout == "line 999 \n"
    assert daemon.ctl("logs", "plain", "--grep=nowhere").stderr == "No line of the log matches.\n"
    daemon.ctl("start", "memory")
    until(lambda: daemon.ctl("logs", "memory", "--grep", "kept").stdout == "kept\n", "a line in memory")


def test_several_logs_are_one_in_the_order_of_time(daemon: Daemon) -> None:
    web = [stamped(second, f"web {second}") for second in (1, 3, 5)]
    db = [stamped(second, f"db {second}") for second in (2, 4, 6)]
    (daemon.home / "web.log").write_text(f"{web[0]}Traceback\n{web[1]}{web[2]}")
    (daemon.home / "db.log").write_text("".join(db))
    (daemon.home / "web.err").write_text(stamped(4, "failed"))
    found = daemon.ctl("logs", "[wd]*b", "--all").stdout.splitlines()
    assert [line.split(" | ")[1].removeprefix("! ").split(" ", 1)[-1] for line in found] == [
        "web 1", "Traceback", "db 2", "web 3", "failed", "db 4", "web 5", "db 6",
    ]  # fmt: skip
    data = json.loads(daemon.ctl("--json", "logs", "web", "1").stdout)
    assert data == [{"name": "web", "stream": "stdout", "time": web[2].split()[0], "line": web[2].rstrip()}]


RAW = b"\x1b]0;title\x07\x1b[31mred\x1b[0m\r\n\xff\x00\xfe\n\nlast without an end"


def test_raw_bytes_are_those_of_the_file(daemon: Daemon) -> None:
    (daemon.home / "plain.log").write_bytes(RAW)
    command = daemon.command("logs", "plain", "--raw")
    assert subprocess.run(command, cwd=daemon.home, capture_output=True, check=True).stdout == RAW
    with Rpc(daemon.home / "control.sock") as rpc:
        found = rpc.call("logs", words=["plain"], options=["--raw"], lines=3)
    assert b64decode(found["data"]["base64"]) == RAW.split(b"\n", 1)[1]
    shown = subprocess.run([*command[:-1]], cwd=daemon.home, capture_output=True, check=True).stdout
    assert shown == b"\x1b[31mred\x1b[0m\n\\xff\\x00\\xfe\n\nlast without an end\n"


SAYS = f"""
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: os.write(1, bytes.fromhex("{RAW.hex()}")))
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""


def test_raw_bytes_that_come(tmp_path: Path) -> None:
    task = {"command": [sys.executable, "-c", SAYS], "stdout": "web.log", "successfulStartTimeout": 0}
    with Daemon(tmp_path, json.dumps({"tasks": {"web": task}})) as daemon:
        daemon.ctl("start", "web")
        until(lambda: (tmp_path / "web.log").exists() and (tmp_path / "web.log").read_bytes(), "a line")
        follow = daemon.command("logs", "web", "-f", "--raw")
        with subprocess.Popen(follow, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            assert follower.stdout.readline() == b"ready\n"
            daemon.ctl("signal", "USR1", "web")
            whole, _, rest = RAW.rpartition(b"\n")
            assert follower.stdout.read(len(whole) + 1) == whole + b"\n"
            daemon.ctl("stop", "web")
            assert follower.stdout.read(len(rest)) == rest
            follower.send_signal(signal.SIGINT)
            follower.communicate()


def test_an_expression_that_takes_for_ever_is_given_up(daemon: Daemon) -> None:
    (daemon.home / "plain.log").write_text("a" * 40 + "b\n")
    done = daemon.ctl("logs", "plain", "--grep", "(a+)+$")
    assert done.returncode == 1
    assert "--grep takes too long on a line of the log of 'plain'" in done.stderr
    assert daemon.ctl("logs", "plain", "--grep", "a+b").stdout == "a" * 40 + "b\n"
    assert daemon.ctl("pid").returncode == 0


def test_a_follower_of_lines_that_take_for_ever_is_told_once_and_holds_up_nobody(daemon: Daemon) -> None:
    """The limit was one of each line."""
    with Rpc(daemon.home / "control.sock") as rpc:
        (daemon.home / "lines").write_text("line\n" * 300)
        rpc.call("logs.follow", words=["bad"], options=["--grep=(a+)+$"])
        rpc.call("start", words=["bad"])
        until(lambda: rpc.call("status", words=["bad"])["data"][0]["status"] == "EXITED", "the end of 300 lines", 10)
        told = [each["params"]["text"] for each in rpc.heard if each["method"] == "log"]
    assert told == ["[--grep takes too long on these lines: no more of them is shown. Simplify the expression.]"]


@pytest.mark.parametrize("pattern", ["(x|y)*z", "[^z]*z", "(?i)" + "[ -\U0010ffff]" * 150])
def test_no_expression_holds_up_others_for_long(daemon: Daemon, pattern: str) -> None:
    """On a line of a megabyte the first took 11 s."""
    (daemon.home / "plain.log").write_text("x" * 1_000_000)
    with Rpc(daemon.home / "control.sock", 2) as searching, Rpc(daemon.home / "control.sock", 2) as other:
        searching.ask("logs", words=["plain"], options=[f"--grep={pattern}"])
        assert other.call("pid")["outcome"] == 0
        assert "takes too long" in searching.answer()["result"]["lines"][0]


def fill(path: Path) -> Path:
    """Make a log that takes a while to be searched."""
    block = b"".join(b"line %07d of a log that is rather long\n" % n for n in range(20_000))
    with open(path, "wb") as file:
        file.write(b"the needle\n")
        for _ in range(400):
            file.write(block)
    return path


@pytest.fixture
def big(daemon: Daemon) -> Path:
    return fill(daemon.home / "big.log")


def test_a_long_search_leaves_others_their_turns_and_can_be_given_up(daemon: Daemon, big: Path) -> None:
    with Rpc(daemon.home / "control.sock") as searching, Rpc(daemon.home / "control.sock") as other:
        searching.ask("logs", words=["big"], options=["--grep=needl[e]"])
        for _ in range(5):
            assert other.call("pid")["outcome"] == 0
        assert searching.answer()["result"]["lines"] == ["the needle"]
    with ExitStack() as stack:
        clients = [stack.enter_context(Rpc(daemon.home / "control.sock")) for _ in range(9)]
        for client in clients:
            client.ask("logs", words=["big"], options=["--grep=nowher[e]"])
        assert "8 searches are going on already" in clients[8].answer()["result"]["lines"][0]
    with Rpc(daemon.home / "control.sock") as rpc:
        asked = lambda: rpc.call("logs", words=["big"], options=["--grep=nowher[e]"]).get("note")  # noqa: E731
        until(lambda: asked() == "No line of the log matches.", "room for a search")


def test_a_client_that_has_said_all_still_hears_what_was_found(daemon: Daemon, big: Path) -> None:
    """As `printf ... | socat - UNIX-CONNECT:control.sock` does."""
    with Rpc(daemon.home / "control.sock") as rpc:
        rpc.ask("logs", words=["big"], options=["--grep=needl[e]"])
        rpc.socket.shutdown(socket.SHUT_WR)
        assert rpc.answer()["result"]["lines"] == ["the needle"]
        assert rpc.ends()


def test_a_long_search_at_the_clients_prompt(daemon: Daemon, big: Path) -> None:
    terminal = Terminal(daemon.command(), daemon.home, environment(daemon.home) | {"TERM": "xterm"})
    try:
        terminal.until_shown("^Taskmaster>")
        terminal.type("logs big --grep needl[e]\r")
        terminal.until_shown("^the needle$")
    finally:
        terminal.close()


def test_a_long_search_at_the_daemons_own_prompt(tmp_path: Path) -> None:
    fill(tmp_path / "big.log")
    with Taskmaster(tmp_path, "tasks: {big: {command: sleep 1000, stdout: big.log}}") as taskmaster:
        assert taskmaster.ask("logs big --grep needl[e]") == "the needle\n"
        assert taskmaster.ask("logs big --grep=needle -f") == "the needle\n"
        assert taskmaster.ask("logs big --since 1m").startswith("The log of 'big' has no times")


def test_a_search_that_is_followed_misses_nothing(daemon: Daemon, big: Path) -> None:
    with Rpc(daemon.home / "control.sock") as rpc:
        number = rpc.ask("logs.follow", words=["big"], options=["--grep=needl[e]", "-f"])
        with open(big, "ab") as file:
            file.write(b"another needle\n")
        answer = rpc.answer()
        assert answer["id"] == number
        assert answer["result"]["lines"] == ["the needle", "another needle"]


def test_a_follower_of_a_log_that_was_long_searched_hears_of_events(daemon: Daemon, big: Path) -> None:
    """The answer to its other request came first, and was waited for in vain."""
    with daemon.begin("logs", "big", "-f", "--grep=needl[e]") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "the needle\n"
        daemon.ctl("start", "big")
        assert follower.stdout.readline().startswith("\u25c6 big STOPPED -> ")
        follower.send_signal(signal.SIGINT)
        follower.communicate()


def test_what_is_followed_may_go_while_it_is_searched(daemon: Daemon, big: Path) -> None:
    config = daemon.path
    written = config.read_text()
    with Rpc(daemon.home / "control.sock") as rpc, Rpc(daemon.home / "control.sock") as other:
        rpc.ask("logs.follow", words=["big"], options=["--grep=needl[e]"])
        config.write_text(written.replace("big:", "# big:"))
        other.call("reload")
        assert rpc.answer()["result"]["lines"] == ["the needle"]
    assert "Traceback" not in daemon.errors


def test_several_logs_share_the_room_of_an_answer(daemon: Daemon) -> None:
    for name in ("web", "db", "plain"):
        (daemon.home / f"{name}.log").write_text("x" * 79 + "\n" if name == "web" else ("x" * 79 + "\n") * 20_000)
    with Rpc(daemon.home / "control.sock") as rpc:
        found = rpc.call("logs", words=["web"], lines=30_000)
        assert len(found["lines"]) == 1
        found = rpc.call("logs", words=["[wdp]*[bn]"], lines=30_000)
    assert found["note"].startswith("Earlier lines are left out")
    assert 1_000_000 < sum(len(each["line"]) + 1 for each in found["data"]) <= 1024 * 1024
    assert {each["name"] for each in found["data"]} == {"web", "db", "plain"}


def test_too_much_is_told(daemon: Daemon) -> None:
    (daemon.home / "plain.log").write_text("".join(f"line {n}\n" for n in range(300_000)))
    done = daemon.ctl("logs", "plain", "300000")
    assert done.stderr == "Earlier lines are left out: an answer has room for 1 MiB. Ask for less of it.\n"
    assert done.stdout.endswith("line 299999\n")
    assert 1024 * 1024 - 100 < len(done.stdout) <= 1024 * 1024


def test_a_follower_goes_on_after_a_restart_of_the_daemon(tmp_path: Path) -> None:
    config = CONFIG.replace("PYTHON", sys.executable).replace("PROGRAM", PROGRAM)
    shown = tmp_path / "shown"
    with ExitStack() as stack:
        first = stack.enter_context(Daemon(tmp_path, config))
        output = stack.enter_context(shown.open("wb"))
        follower = stack.enter_context(
            subprocess.Popen(
                first.command("logs", "count_1", "-f", "1000000"), cwd=tmp_path, stdout=output, stderr=subprocess.PIPE
            )
        )
        until(lambda: shown.stat().st_size > 1000, "lines")
        for _ in range(2):
            first.ctl("shutdown")
            first.process.wait(20)
            before = shown.stat().st_size
            with open(tmp_path / "count_1.log", "ab") as file:
                file.write(b"written meanwhile\n")
            first = stack.enter_context(Daemon(tmp_path, config))
            until(lambda: shown.stat().st_size > before + 1000, "more lines")  # noqa: B023
        first.ctl("stop", "count")
        logs = sorted(
            tmp_path.glob("count_1.log*"), key=lambda each: -int(each.suffix[1:]) if each.suffix != ".log" else 0
        )
        written = b"".join(each.read_bytes() for each in logs)
        until(lambda: lines_of(shown) == written.splitlines(), "every line, once, in its order")
        follower.send_signal(signal.SIGINT)
        told = follower.communicate()[1].decode()
        assert told.count("has gone away; waiting for it.") == told.count("it is back.") == 2
    assert len(logs) > 1, "it was rotated"


def lines_of(shown: Path) -> list[bytes]:
    """What a follower has shown, without events."""
    return [line for line in shown.read_bytes().splitlines() if not line.startswith("\u25c6".encode())]


def test_both_streams_by_their_names(daemon: Daemon) -> None:
    (daemon.home / "web.log").write_text("out\n")
    (daemon.home / "web.err").write_text("err\n")
    assert daemon.ctl("logs", "web", "--stdout").stdout == "out\n"
    assert daemon.ctl("logs", "web", "--stderr", "--stdout").stdout == "out\n! err\n"
    os.unlink(daemon.home / "web.log")
    assert daemon.ctl("logs", "web", "--raw").stdout == ""
