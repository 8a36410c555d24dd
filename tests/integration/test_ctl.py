"""taskmasterctl: the real client on a real daemon, as a script, a pipe and an operator at a terminal have it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tests.integration.client import CLIENT, Daemon
from tests.integration.driver import ROOT, SYSTEM_PYTHON, alive, environment, others_can_run
from tests.terminal import Terminal
from tests.waiting import until

OTHERS = pytest.mark.skipif(
    not others_can_run(), reason="needs root, to be somebody else, and a checkout and a Python that others can reach"
)
ALONE = """
import fcntl, signal, sys, time
lock = open("lock", "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    open("two-at-once", "w").close()
while True:
    signal.pause()
"""
CONFIG = """
    tasks:
      web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}
      worker: {command: sleep 1000, instances: 2, successfulStartTimeout: 0}
      slow: {command: sleep 1000, successfulStartTimeout: 600}
      bad: {command: "sh -c 'echo oops >&2; exit 3'"}
      again: {command: "sh -c 'exit 4'", restart: always, restartDelay: 600}
      short: {command: "true", restart: never}
      missing: {command: /no/such/program}
      stubborn: {command: "sh -c 'trap \\"\\" TERM; echo armed; while :; do sleep 1; done'", successfulStartTimeout: 0,
                 gracefulStopTimeout: 1}
      chat: {command: "sh -c 'while :; do echo line; sleep 0.1; done'", successfulStartTimeout: 0}
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, CONFIG) as running:
        yield running


@pytest.fixture
def terminal(daemon: Daemon) -> Iterator[Terminal]:
    session = Terminal(daemon.command(), daemon.home, environment(daemon.home) | {"TERM": "xterm"})
    yield session
    session.close()


def spawned(text: str) -> list[int]:
    return [int(pid) for pid in re.findall(r"started with PID (\d+)", text)]


# ---- outcomes


def test_a_table_in_a_pipe_is_plain(daemon: Daemon) -> None:
    done = daemon.ctl("status", "web")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "Task  Status   PID" + " " * (len(str(daemon.pid("web"))) - 1) + (
        "Uptime  Restarts  Command"
    )
    assert "\x1b" not in done.stdout
    assert "\x1b[32mRUNNING" in daemon.ctl("--color", "always", "status", "web").stdout


def test_start_returns_when_it_runs(daemon: Daemon) -> None:
    done = daemon.ctl("start", "worker")
    assert done.returncode == 0
    assert [alive(pid) for pid in spawned(done.stdout)] == [True, True]
    assert daemon.ctl("start", "web").stderr == "Process 'web' is already running\n"
    assert daemon.ctl("start", "web").returncode == 1
    assert daemon.ctl("start", "web", "worker*").returncode == 0


def test_stop_returns_when_it_is_gone(daemon: Daemon) -> None:
    pid = daemon.pid("web")
    done = daemon.ctl("stop", "web")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Process 'web' stopped gracefully\n", "")
    assert not alive(pid)
    assert daemon.ctl("stop", "web").returncode == 1


def test_stop_tells_that_it_had_to_kill(daemon: Daemon) -> None:
    daemon.ctl("start", "stubborn")
    until(lambda: daemon.ctl("logs", "stubborn").stdout == "armed\n", "a trap")
    done = daemon.ctl("stop", "stubborn")
    told = "Process 'stubborn' did not stop in time, killing...\nProcess 'stubborn' was killed\n"
    assert (done.returncode, done.stdout) == (0, told)


def test_a_failed_start_says_everything(daemon: Daemon) -> None:
    done = daemon.ctl("start", "bad")
    assert done.returncode == 1
    assert re.fullmatch(
        r"Process 'bad' is FATAL: exit code 3 after [\d.]+s\n"
        r"  see web.yaml:6\n"
        r"  stderr: oops\n"
        r"  type: taskmasterctl -s control.sock logs bad --stderr\n",
        done.stderr,
    )
    assert daemon.ctl("status").returncode == 3
    assert daemon.ctl("status", "web").returncode == 0


def test_a_start_that_is_tried_again_has_failed(daemon: Daemon) -> None:
    done = daemon.ctl("restart", "again")
    assert done.returncode == 1
    assert re.search(r"'again' is BACKOFF: exit code 4 after [\d.]+s, attempt 2 of 4\n", done.stderr)
    assert re.search(r"^  next attempt in [56]\d\d\.\ds$", done.stderr, re.M)
    assert daemon.ctl("stop", "again").returncode == 0


def test_a_program_that_ends_at_once_is_not_up(daemon: Daemon) -> None:
    done = daemon.ctl("start", "short")
    assert done.returncode == 1
    assert "Process 'short' ended as expected, and is not up: exit code 0" in done.stderr
    assert daemon.ctl("status", "short").returncode == 0


def test_a_program_that_is_not_there(daemon: Daemon) -> None:
    done = daemon.ctl("start", "missing")
    assert done.returncode == 1
    assert "/no/such/program" in done.stderr
    assert done.stderr.endswith("type: taskmasterctl -s control.sock start missing\n")


def test_a_wait_that_takes_too_long(daemon: Daemon) -> None:
    done = daemon.ctl("start", "slow", "--timeout", "0.2")
    assert done.returncode == 124
    assert done.stderr == "taskmasterctl: not within 0.2s: 'slow' is STARTED. It goes on.\n"
    assert daemon.state("slow") == "STARTED"


def test_no_wait_returns_when_it_has_begun(daemon: Daemon) -> None:
    assert daemon.ctl("start", "--no-wait", "slow").returncode == 0
    assert daemon.state("slow") == "STARTED"


def test_ctrl_c_ends_a_wait_and_nothing_else(daemon: Daemon) -> None:
    waiting = daemon.begin("start", "slow")
    assert waiting.stdout is not None
    assert spawned(waiting.stdout.readline())
    waiting.send_signal(signal.SIGINT)
    assert waiting.communicate(timeout=20)[1] == "taskmasterctl: no longer waiting; what was begun goes on.\n"
    assert waiting.returncode == 130
    assert daemon.state("slow") == "STARTED"


def test_what_somebody_else_does_meanwhile_is_told(daemon: Daemon) -> None:
    starting = daemon.begin("start", "slow")
    assert starting.stdout is not None
    starting.stdout.readline()
    assert daemon.ctl("stop", "slow").returncode == 0
    assert starting.communicate(timeout=20)[1] == "Process 'slow' was stopped by somebody else meanwhile\n"
    assert starting.returncode == 1
    daemon.ctl("start", "stubborn")
    until(lambda: daemon.ctl("logs", "stubborn").stdout == "armed\n", "a trap")
    stopping = daemon.begin("stop", "stubborn")
    until(lambda: daemon.state("stubborn") == "STOPPING", "a stop that takes its time")
    assert daemon.ctl("start", "stubborn").returncode == 0
    assert "somebody started it again meanwhile" in stopping.communicate(timeout=20)[1]
    assert stopping.returncode == 1


def test_five_that_restart_at_once_never_make_two(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(ALONE)
    config = (
        f"tasks: {{one: {{command: '{sys.executable} alone.py', successfulStartTimeout: 0.1, autoLaunch: true}}}}\n"
    )
    with Daemon(tmp_path, config) as daemon:
        for _ in range(4):
            clients = [daemon.begin("restart", "one") for _ in range(5)]
            said = [client.communicate(timeout=60) for client in clients]
            assert [client.returncode for client in clients] == [0] * 5, said
            assert {errors for _, errors in said} == {""}
            last = {spawned(text)[-1] for text, _ in said}
            assert daemon.pid("one") in last
        assert not (tmp_path / "two-at-once").exists()
        mine = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _runs(pid, tmp_path)]
        assert mine == [daemon.pid("one")]


def _runs(pid: int, home: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b"alone.py" in words and os.readlink(f"/proc/{pid}/cwd") == str(home)
    except OSError:
        return False


def test_reload_returns_when_the_plan_is_done(daemon: Daemon) -> None:
    daemon.ctl("start", "worker")
    old = daemon.pid("web")
    daemon.write(CONFIG.replace("sleep 1000, auto", "sleep 1001, auto").replace("instances: 2", "instances: 3"))
    done = daemon.ctl("reload")
    assert done.returncode == 0, done
    assert done.stdout.startswith("Configuration reloaded.\n")
    assert (alive(old), alive(daemon.pid("web")), daemon.state("worker_3")) == (False, True, "RUNNING")
    daemon.write("tasks: {web: {comand: x}}")
    broken = daemon.ctl("reload")
    assert broken.returncode == 2
    assert "Did you mean" in broken.stderr or "did you mean" in broken.stderr
    assert broken.stderr.endswith("Nothing was changed.\n")


def test_a_reload_that_brings_up_what_fails(daemon: Daemon) -> None:
    daemon.write(CONFIG + "      late: {command: \"sh -c 'exit 9'\", autoLaunch: true}\n")
    done = daemon.ctl("reload")
    assert done.returncode == 1
    assert "Process 'late' is FATAL: exit code 9" in done.stderr


def test_shutdown_returns_when_the_daemon_has_left(daemon: Daemon) -> None:
    pid = daemon.pid("web")
    done = daemon.ctl("shutdown")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "The daemon has left.")
    assert not alive(pid)
    assert daemon.process.wait(10) == 0


def test_json_is_the_data_of_the_result(daemon: Daemon) -> None:
    done = daemon.ctl("--json", "restart", "web")
    assert json.loads(done.stdout) == {
        "asked": ["web"],
        "refused": [],
        "needed": [],
        "done": ["web"],
        "failed": {},
        "pending": [],
    }
    failed = daemon.ctl("start", "bad", "--json")
    assert (failed.returncode, json.loads(failed.stdout)["failed"]["bad"]["state"]) == (1, "FATAL")
    assert json.loads(daemon.ctl("version", "--json").stdout)
    assert [row["name"] for row in json.loads(daemon.ctl("status", "--json", "worker").stdout)] == [
        "worker_1",
        "worker_2",
    ]


# ---- what is wrong


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["statu"], 2, "Unknown command: statu. Type 'help' for a list of commands. Did you mean 'status'?"),
        (["start"], 2, "Please specify the task to start"),
        (["start", "--force", "web"], 2, "'start' has no option '--force'. Usage: start SEL ..."),
        (["reload", "now"], 2, "'reload' takes no arguments. Usage: reload [--dry-run] [--json]"),
        (["logs", "web", "x"], 2, "Please provide a valid number of lines to display."),
        (["--frobnicate"], 2, "Unknown flag: --frobnicate. Type 'taskmasterctl --help' for a list."),
        (["--timeout"], 2, "--timeout takes a value: --timeout S"),
        (["--timeout", "soon", "pid"], 2, "--timeout takes seconds, such as 30 or 2.5, not 'soon'."),
        (["--color=pink", "pid"], 2, "--color is one of auto, always, never."),
        (["-c", "x.yaml", "pid"], 2, "-c and -s name two daemons. Give one of them."),
        (["top"], 2, "top needs a terminal. Type: taskmasterctl status"),
    ],
)
def test_usage(daemon: Daemon, words: list[str], code: int, text: str) -> None:
    done = daemon.ctl(*words)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"taskmasterctl: {text}\n")


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "logs", "status", "show", "pid"])
def test_no_such_task(daemon: Daemon, verb: str) -> None:
    done = daemon.ctl(verb, "wbe")
    assert (done.returncode, done.stderr) == (6, "Task 'wbe' not found. Did you mean 'web'?\n")
    assert daemon.ctl("logs", "-f", "wbe").returncode == 6
    assert daemon.ctl("events", "-f", "wbe").returncode == 6


def client(home: Path, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    changes = more.pop("env", {})
    env = environment(home) | (changes if isinstance(changes, dict) else {})
    program = [str(SYSTEM_PYTHON), *CLIENT[1:]] if "user" in more else CLIENT
    return subprocess.run(
        [*program, *arguments],
        capture_output=True,
        text=True,
        cwd=home,
        stdin=subprocess.DEVNULL,
        env=env,
        timeout=60,
        check=False,
        **more,  # type: ignore[call-overload]
    )


def test_no_daemon(tmp_path: Path) -> None:
    done = client(tmp_path, "-s", "none.sock", "status")
    reason = "no daemon answers at none.sock: no such file or directory. Start one: taskmaster -d CONFIG"
    assert (done.returncode, done.stderr) == (4, f"taskmasterctl: {reason}\n")
    (tmp_path / "web.yaml").write_text("taskmaster: {socket: here.sock}\ntasks: {}\n")
    assert "here.sock: no such file" in client(tmp_path, "-c", "web.yaml", "status").stderr
    (tmp_path / "plain.yaml").write_text("tasks: {}\n")
    done = client(tmp_path, "-c", "plain.yaml", "status")
    assert done.returncode == 4
    assert "plain.sock: no such file" in done.stderr
    assert done.stderr.endswith("Start one: taskmaster -d plain.yaml\n")
    assert client(tmp_path, "-c", "none.yaml", "status").returncode == 2
    assert client(tmp_path, "-s", "x" * 200, "status").returncode == 4
    assert client(tmp_path, "-s", "none.sock", "--names").returncode == 0


def test_help_and_version_need_no_daemon(tmp_path: Path) -> None:
    assert client(tmp_path, "--version").stdout.startswith("taskmasterctl ")
    assert "shutdown" in client(tmp_path, "-h").stdout
    assert client(tmp_path, "help", "start").stdout.startswith("Usage: start")
    assert client(tmp_path, "help", "strat").returncode == 2
    assert client(tmp_path, "exit").returncode == 0


@OTHERS
def test_others_are_not_let_in(daemon: Daemon) -> None:
    where = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        where.chmod(0o755)
        os.link(daemon.home / "control.sock", where / "s")
        done = client(Path("/"), "-s", str(where / "s"), "stop", "web", user=65534)
        assert done.returncode == 5
        assert "not allowed" in done.stderr
        (where / "s").chmod(0o777)
        done = client(Path("/"), "-s", str(where / "s"), "stop", "web", user=65534)
        assert done.returncode == 5
        assert "not allowed" in done.stderr
    finally:
        shutil.rmtree(where)
    assert daemon.state("web") == "RUNNING"


@OTHERS
def test_one_of_several_sockets_has_to_be_named() -> None:
    runtime = Path(tempfile.mkdtemp(dir="/tmp"))
    directory = runtime / "taskmaster"
    directory.mkdir()
    env = {"XDG_RUNTIME_DIR": str(runtime)}
    listening = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    try:
        done = client(Path("/"), "status", env=env, user=65534)
        assert done.returncode == 4
        assert f"{directory}/*.sock: there is no such socket" in done.stderr
        for each, name in zip(listening, ("a", "b"), strict=True):
            each.bind(str(directory / f"{name}.sock"))
            each.listen()
        for path in (runtime, directory, *directory.iterdir()):
            path.chmod(0o777)
        done = client(Path("/"), "status", env=env, user=65534)
        assert done.returncode == 2
        assert done.stderr == (
            "taskmasterctl: 2 daemons run here. Say which one is meant:\n"
            f"  taskmasterctl -s {directory}/a.sock\n  taskmasterctl -s {directory}/b.sock\n"
        )
    finally:
        for each in listening:
            each.close()
        shutil.rmtree(runtime)


def test_what_is_imported_before_the_answer_is_almost_nothing(daemon: Daemon) -> None:
    command = [*CLIENT[:3], "-X", "importtime", CLIENT[3], "-s", "control.sock", "status"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=daemon.home, timeout=60, check=False)
    imported = set(re.findall(r"\| +(\S+)$", done.stderr, re.M))
    assert "tm.cli.ctl" in imported
    assert not imported & {"re", "json", "enum", "socket", "typing", "dataclasses", "argparse", "collections", "site"}


# ---- following


def test_a_follower_whose_reader_is_gone_ends_quietly(daemon: Daemon) -> None:
    daemon.ctl("start", "chat")
    follower = daemon.begin("logs", "-f", "chat")
    assert follower.stdout is not None
    assert follower.stderr is not None
    assert [follower.stdout.readline() for _ in range(12)] == ["line\n"] * 12
    follower.stdout.close()
    assert follower.wait(20) == -signal.SIGPIPE
    assert follower.stderr.read() == ""
    follower.stderr.close()


def test_what_becomes_of_a_process_stands_among_its_output(daemon: Daemon) -> None:
    daemon.ctl("start", "chat")
    follower = daemon.begin("--color", "always", "logs", "chat", "-f")
    assert follower.stdout is not None
    follower.stdout.readline()
    daemon.ctl("restart", "chat")
    heard: list[str] = []
    while not any("(spawned)" in line for line in heard) or heard[-1] != "line\n":
        heard.append(follower.stdout.readline())
    told = [line for line in heard if line.startswith("\u25c6 ")]
    assert re.match(r"\u25c6 chat RUNNING -> STOPPING \(restart\), SIGTERM to pid \d+, by uid \d+", told[0]), heard
    assert set(heard) - set(told) == {"line\n"}
    follower.kill()
    follower.communicate()


def test_each_of_several_has_a_name_in_the_colour_of_its_task(daemon: Daemon) -> None:
    daemon.ctl("start", "chat", "bad")
    plain = daemon.ctl("logs", "all", "1", "--all").stdout.splitlines()
    assert sorted(plain) == ["bad | ! oops", "chat | line"]
    shades = set()
    for _ in range(2):
        lines = daemon.ctl("--color", "always", "logs", "all", "1", "--all").stdout.splitlines()
        found = [re.fullmatch(r"\x1b\[(\d+)m(\w+) \|\x1b\[0m (?:! )?\w+", line) for line in lines]
        shades |= {(each[2], each[1]) for each in found if each}
        assert all(found), lines
    assert {name for name, _ in shades} == {"bad", "chat"}
    assert len(shades) == 2, "the same each time"
    assert not {shade for _, shade in shades} & {"31", "91", "90", "37"}


def test_events_are_followed_until_ctrl_c(daemon: Daemon) -> None:
    follower = daemon.begin("events", "-f", "web")
    assert follower.stdout is not None
    seen = ""
    daemon.ctl("restart", "web")
    while "STOPPING" not in seen:
        seen += follower.stdout.readline()
    follower.send_signal(signal.SIGINT)
    assert follower.communicate(timeout=20)[1] == ""
    assert follower.returncode == 0


def test_a_follower_is_told_that_the_daemon_is_gone(daemon: Daemon) -> None:
    daemon.ctl("start", "chat")
    follower = daemon.begin("--timeout", "0", "logs", "-f", "chat")
    assert follower.stdout is not None
    follower.stdout.readline()
    daemon.ctl("shutdown")
    daemon.process.wait(20)
    assert "has gone away" in follower.communicate(timeout=20)[1]
    assert follower.returncode == 4


def test_lines_from_a_pipe_are_carried_out_one_after_another(daemon: Daemon) -> None:
    done = daemon.ctl(stdin="# a script\nstop web\nstart bad\nstart 'web\nstart web\nexit\nstop web\n")
    assert done.returncode == 2
    assert done.stdout.splitlines()[0] == "Process 'web' stopped gracefully"
    assert "A quote is not closed." in done.stderr
    assert daemon.state("web") == "RUNNING"


def test_a_script_of_any_length_is_carried_out_and_tells_each_thing_once(daemon: Daemon) -> None:
    done = daemon.ctl(stdin="restart web\n" * 105)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[::2] == ["Process 'web' stopped gracefully"] * 105
    assert len(lines) == 210


def test_a_daemon_that_does_not_answer(daemon: Daemon) -> None:
    os.kill(daemon.daemon, signal.SIGSTOP)
    try:
        for words in (["start", "web"], ["status"]):
            done = daemon.ctl("--timeout", "0.3", *words)
            assert done.returncode == 124
            assert "0.3" in done.stderr
    finally:
        os.kill(daemon.daemon, signal.SIGCONT)


def test_what_is_removed_while_it_is_waited_for(daemon: Daemon) -> None:
    (daemon.home / "web.yaml").write_text(
        dedent(CONFIG).replace("slow: {", "extra: {command: sleep 1000, successfulStartTimeout: 600}\n  slow: {")
    )
    daemon.ctl("reload")
    client = daemon.begin("start", "extra")
    until(lambda: daemon.state("extra") == "STARTED", "a start")
    (daemon.home / "web.yaml").write_text(dedent(CONFIG))
    daemon.ctl("reload")
    told = client.communicate(timeout=30)[1]
    assert client.returncode == 1
    assert re.search("Process 'extra' was (removed|stopped by somebody else) meanwhile", told), told


def test_a_process_that_is_renamed_while_it_is_waited_for(daemon: Daemon) -> None:
    daemon.ctl("start", "stubborn", "--no-wait")
    until(lambda: daemon.ctl("logs", "stubborn").stdout == "armed\n", "a process that ignores SIGTERM")
    client = daemon.begin("stop", "stubborn")
    until(lambda: daemon.state("stubborn") == "STOPPING", "a stop")
    text = dedent(CONFIG).replace("gracefulStopTimeout: 1}", "gracefulStopTimeout: 1, instances: 2}")
    (daemon.home / "web.yaml").write_text(text)
    daemon.ctl("reload")
    told = client.communicate(timeout=30)
    assert client.returncode == 0, told


def test_a_daemon_of_the_same_name_is_not_taken_for_another(daemon: Daemon) -> None:
    other = daemon.home / "other"
    other.mkdir()
    (other / "web.yaml").write_text(f"taskmaster: {{socket: {daemon.home}/control.sock}}\n{dedent(CONFIG)}")
    done = client(other, "-c", "web.yaml", "stop", "all")
    assert done.returncode == 4
    assert f"the daemon there runs {daemon.home}/web.yaml, not web.yaml" in done.stderr
    assert daemon.state("web") == "RUNNING"


def test_names_that_no_file_can_hold_are_not_completed(tmp_path: Path) -> None:
    """A shell would carry them out; only something that is no taskmaster says them."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    rows = [{"name": name, "task": name} for name in ("web_1", "$(touch pwned)", "a b", "", "`x`", "x;y")]
    answer = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"data": rows}}) + "\n"
    with subprocess.Popen([*CLIENT, "-s", "s", "--names"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as asking:
        peer, _ = listening.accept()
        peer.recv(1000)
        peer.sendall(answer.encode())
        assert asking.communicate(timeout=20)[0] == "web_1\n"
        peer.close()
    listening.close()


def test_json_of_what_is_followed_and_of_what_is_wrong(daemon: Daemon) -> None:
    daemon.ctl("start", "chat")
    follower = daemon.begin("--json", "logs", "-f", "chat", "1")
    assert follower.stdout is not None
    for _ in range(3):
        assert json.loads(follower.stdout.readline()) == {"name": "chat", "stream": "stdout", "line": "line"}
    follower.kill()
    follower.communicate()
    done = daemon.ctl("--json", "frob")
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["error"].startswith("Unknown command: frob.")
    assert daemon.ctl("check", "/etc/passwd").returncode == 2


# ---- at a terminal


def test_a_shell_that_only_leaves(daemon: Daemon, terminal: Terminal) -> None:
    terminal.until_shown(r"^Connected to control.sock\. Type 'help'")
    terminal.until_shown(r"^Taskmaster>$")
    assert terminal.wait_for(web="RUNNING")["web"][1] == daemon.pid("web")
    assert "not found" in terminal.ask("stop nope")
    assert terminal.ask("strat web") == (
        "Unknown command: strat. Type 'help' for a list of commands. Did you mean 'start'?"
    )
    terminal.ask("stop web")
    terminal.until_shown("^Process 'web' stopped gracefully$")
    terminal.ask("start web")
    terminal.until_shown("^Process 'web' is RUNNING$")
    terminal.type("exit\r")
    assert terminal.exit_code() == 0
    assert daemon.state("web") == "RUNNING"


def test_the_shell_tells_what_others_do(daemon: Daemon, terminal: Terminal) -> None:
    terminal.until_shown(r"^Taskmaster>$")
    terminal.type("start sl")
    daemon.ctl("stop", "web")
    terminal.until_shown("^Process 'web' stopped gracefully$")
    terminal.until_shown("^Taskmaster> start sl$")
    terminal.type("\t\r")
    terminal.until_shown("^Process 'slow' started with PID")
    terminal.type("\x03")
    terminal.until_shown("No longer waiting; what was begun goes on")
    terminal.type("\x04")
    assert terminal.exit_code() == 0
    assert daemon.state("slow") == "STARTED"


def test_ctrl_c_ends_a_follow(daemon: Daemon, terminal: Terminal) -> None:
    terminal.until_shown(r"^Taskmaster>$")
    daemon.ctl("start", "chat")
    terminal.type("logs -f chat\r")
    terminal.until_shown(r"(^line$\s+){15}")
    terminal.type("\x03")
    assert "chat" in terminal.ask("pid chat --json")
    assert terminal.ask("version").startswith("taskmaster ")


def test_a_daemon_that_goes_away_is_told_and_found_again(daemon: Daemon, terminal: Terminal) -> None:
    terminal.until_shown(r"^Taskmaster>$")
    daemon.ctl("shutdown")
    terminal.until_shown("has gone away. The next command looks for it again")
    assert "No daemon answers at control.sock" in terminal.ask("status")
    daemon.process.wait(20)
    daemon.end()
    with Daemon(daemon.home, CONFIG) as second:
        assert "web" in terminal.ask("status")
        assert second.state("web") == "RUNNING"
        terminal.type("\x04")
        assert terminal.exit_code() == 0


def test_stop_at_a_terminal_counts_down(daemon: Daemon) -> None:
    daemon.write(CONFIG.replace("gracefulStopTimeout: 1", "gracefulStopTimeout: 3"))
    daemon.ctl("reload")
    daemon.ctl("start", "stubborn")
    until(lambda: daemon.ctl("logs", "stubborn").stdout == "armed\n", "a trap")
    pid = daemon.pid("stubborn")
    command = daemon.command("stop", "stubborn")
    session = Terminal(command, daemon.home, environment(daemon.home) | {"TERM": "xterm"})
    try:
        session.until_shown(rf"^Waiting for 'stubborn' \(pid {pid}, SIGKILL in 3s\) \.\.\.")
        session.until_shown(rf"^Waiting for 'stubborn' \(pid {pid}, SIGKILL in 1s\) \.\.\.")
        assert session.exit_code() == 0
        assert session.look()[-1] == "Process 'stubborn' was killed"
        assert "Waiting" not in "\n".join(session.look())
    finally:
        session.close()


def test_top_is_current_until_q(daemon: Daemon) -> None:
    command = daemon.command("top")
    session = Terminal(command, daemon.home, environment(daemon.home) | {"TERM": "xterm"})
    try:
        session.until_shown("q leaves")
        modes = session.modes()
        session.until_shown(r"^web +RUNNING")
        daemon.ctl("stop", "web")
        session.program.expect(r"web +\x1b\[35mSTOPPED")
        session.program.setwinsize(10, 60)
        session.program.expect(r"\.\.\. \d+ more lines")
        session.type("q")
        assert session.exit_code() == 0
        assert session.modes() != modes
    finally:
        session.close()


def test_top_can_be_left_while_the_daemon_does_not_answer(daemon: Daemon) -> None:
    session = Terminal(daemon.command("top"), daemon.home, environment(daemon.home) | {"TERM": "xterm"})
    try:
        session.until_shown(r"^web +RUNNING")
        os.kill(daemon.daemon, signal.SIGSTOP)
        session.type("q")
        assert session.exit_code() == 0
    finally:
        os.kill(daemon.daemon, signal.SIGCONT)
        session.close()


# ---- completion


def test_bash_completes(daemon: Daemon) -> None:
    script = f"""
        source {ROOT}/etc/completion/taskmasterctl.bash
        complete() {{
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _taskmasterctl {ROOT}/bin/taskmasterctl 2>errors; echo "${{COMPREPLY[*]}}"
        }}
        complete taskmasterctl sta
        complete taskmasterctl -s control.sock restart w
        complete taskmasterctl --timeout 3 status --
        complete taskmasterctl signal H
        complete taskmasterctl -s control.sock signal HUP wor
        complete taskmasterctl --color a
        complete taskmasterctl check web.y
        complete taskmasterctl -c web.y
        complete taskmasterctl help rel
    """
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=daemon.home, timeout=60, check=False
    )
    assert done.stdout.splitlines() == [
        "status start",
        "web worker worker_1 worker_2",
        "--long --json --no-wait --timeout --color",
        "HUP",
        "worker worker_1 worker_2",
        "auto always",
        "web.yaml",
        "web.yaml",
        "reload",
    ]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_completes(daemon: Daemon) -> None:
    env = environment(daemon.home) | {"TERM": "xterm", "PATH": f"{ROOT}/bin:{os.environ['PATH']}"}
    session = Terminal(["zsh", "-f", "-i"], daemon.home, env)
    try:
        session.type("PROMPT='sh> '; unsetopt zle_bracketed_paste prompt_sp\r")
        session.type(f"fpath=({ROOT}/etc/completion $fpath); autoload -U compinit; compinit -u -D\r")
        session.until_shown(r"compinit -u -D\n(.*\n)*sh>")
        session.type("taskmasterctl -s control.sock resta\t")
        session.until_shown(r"sh> taskmasterctl -s control\.sock restart")
        session.type("chat\x08\x08\t")
        session.until_shown(r"sh> taskmasterctl -s control\.sock restart chat")
        session.type("\x15taskmasterctl logs --stde\t")
        session.until_shown(r"sh> taskmasterctl logs --stderr")
    finally:
        session.close()


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes(daemon: Daemon) -> None:
    def complete(line: str) -> set[str]:
        script = f"source {ROOT}/etc/completion/taskmasterctl.fish; complete -C '{line}'"
        env = environment(daemon.home) | {"PATH": f"{ROOT}/bin:{os.environ['PATH']}"}
        done = subprocess.run(
            ["fish", "--no-config", "-c", script],
            capture_output=True,
            text=True,
            cwd=daemon.home,
            env=env,
            timeout=60,
            check=False,
        )
        return {each.split("\t")[0] for each in done.stdout.splitlines()}

    assert complete("taskmasterctl sta") == {"status", "start"}
    assert {"all", "web", "worker_1"} <= complete("taskmasterctl -s control.sock restart ")
    assert complete("taskmasterctl logs --stde") == {"--stderr"}
