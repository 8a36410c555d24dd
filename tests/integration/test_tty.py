"""Programs on a terminal of their own, and people who attach to them, with real programs at both ends."""

from __future__ import annotations

import base64
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.client import CLIENT, Daemon
from tests.integration.contained import Contained, needs_a_namespace
from tests.integration.driver import PROGRAM, ROOT, alive, environment, others_can_run
from tests.rpc import Rpc
from tests.terminal import PROMPT, Terminal, terminal_of
from tests.waiting import until

DETACH = "\x1d"
CONFIG = """
    defaults: {successfulStartTimeout: 0, gracefulStopTimeout: 60}
    tasks:
      repl: {command: python3 -i -q, tty: true, autoLaunch: true, stopSignal: HUP, environment: {PYTHONSTARTUP: ''}}
      cat: {command: cat, tty: true, autoLaunch: true, instances: 2, stdout: 'cat_{n}.log', stopSignal: HUP}
      plain: {command: sleep 1000, autoLaunch: true}
      later: {command: cat, tty: true}
      size: {command: "trap 'stty size' WINCH; stty size; while :; do read x; done", tty: true, autoLaunch: true,
             stopSignal: HUP}
"""

Attach = Callable[..., Terminal]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, CONFIG, "-l", "taskmaster.log") as daemon:
        until(lambda: "size  " in (table := daemon.ctl("status").stdout) and "STARTED" not in table, "the boot")
        yield daemon


@pytest.fixture
def attach(tmp_path: Path) -> Iterator[Attach]:
    """`taskmasterctl attach NAME` at a terminal."""
    terminals: list[Terminal] = []

    def begin(*words: str) -> Terminal:
        terminals.append(at_terminal(tmp_path, *(words and ("attach", *words))))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def at_terminal(home: Path, *words: str) -> Terminal:
    return Terminal([*CLIENT, "-s", "control.sock", *words], home, environment(home) | {"TERM": "xterm"})


def shown(rpc: Rpc, number: int, text: bytes) -> bytes:
    """What a terminal shows, until `text` is in it."""
    seen = b""

    def more() -> bytes:
        nonlocal seen
        for each in rpc.heard:
            if each["method"] == "terminal" and each["params"]["subscription"] == number:
                seen += base64.b64decode(each["params"]["base64"])
        rpc.heard.clear()
        if text not in seen:
            rpc.call("version")
        return seen if text in seen else b""

    return until(more, f"{text!r} on the terminal")


def typed(rpc: Rpc, number: int, text: str) -> Any:
    return rpc.call("attach.type", subscription=number, base64=base64.b64encode(text.encode()).decode())


# ---- at a terminal


def test_a_repl_is_talked_to_and_left_and_goes_on(daemon: Daemon, attach: Attach) -> None:
    pid = daemon.pid("repl")
    terminal = attach("repl")
    terminal.until_shown("^>>>$")
    terminal.type("answer = 6 * 7\r")
    terminal.type("answer\r")
    terminal.until_shown("^42$")
    terminal.type("while True: pass\r\r")
    terminal.type("\x03")
    terminal.until_shown("^KeyboardInterrupt$")
    modes = terminal.modes()
    terminal.type(DETACH)
    assert terminal.exit_code() == 0
    assert "Detached from 'repl', which goes on." in terminal.look()
    assert terminal.modes() != modes, "they are as they were found"
    again = attach("repl")
    again.until_shown("^KeyboardInterrupt$")
    again.type("answer + 1\r")
    again.until_shown("^43$")
    assert daemon.pid("repl") == pid
    assert "KeyboardInterrupt" in daemon.ctl("logs", "repl", "50").stdout


def test_the_terminal_controls_it(daemon: Daemon) -> None:
    """It is its own, not that of the daemon, and it may open /dev/tty."""
    pid = daemon.pid("cat_1")
    assert terminal_of(pid) not in (0, terminal_of(os.getpid()))
    ends = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)}
    assert len(ends) == 1
    assert ends.pop().startswith("/dev/pts/")
    assert b"TERM=xterm-256color" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert terminal_of(daemon.pid("plain")) == 0


@pytest.mark.skipif(shutil.which("vim") is None, reason="needs vim")
def test_a_full_screen_editor_edits(tmp_path: Path, attach: Attach) -> None:
    config = "tasks: {edit: {command: vim -u NONE -n poem, tty: true, autoLaunch: true, successfulStartTimeout: 0}}"
    with Daemon(tmp_path, config, "-l", "taskmaster.log"):
        terminal = attach("edit")
        terminal.until_shown("~")
        terminal.type("iThe sea was wet\x1b")
        terminal.until_shown("The sea was wet")
        terminal.type(":wq\r")
        assert terminal.exit_code() == 0
        assert terminal.look()[-1] == "Process 'edit' has ended: exit code 0"
        assert (tmp_path / "poem").read_text() == "The sea was wet\n"


@pytest.mark.skipif(shutil.which("top") is None, reason="needs top")
def test_a_monitor_is_drawn_for_whoever_comes(tmp_path: Path, attach: Attach) -> None:
    config = "tasks: {top: {command: top -d 1000, tty: true, autoLaunch: true, successfulStartTimeout: 0}}"
    with Daemon(tmp_path, config, "-l", "taskmaster.log") as daemon:
        until(lambda: "load average" in daemon.ctl("logs", "top", "50").stdout, "its first picture")
        for _ in range(2):
            terminal = attach("top")
            terminal.until_shown("PID USER")
            terminal.type(DETACH)
            assert terminal.exit_code() == 0


def test_the_size_is_that_of_who_asked_last(daemon: Daemon, attach: Attach) -> None:
    until(lambda: "24 80" in daemon.ctl("logs", "size").stdout, "the size that nobody has asked for")
    one = attach("size")
    one.until_shown("^50 300$")
    two = attach("size")
    two.until_shown("^50 300$")
    two.program.setwinsize(33, 120)
    one.until_shown("^33 120$")
    one.program.setwinsize(40, 130)
    two.until_shown("^40 130$")


def test_several_look_on_and_all_may_type(daemon: Daemon, attach: Attach) -> None:
    one, two = attach("cat_1"), attach("cat_1")
    for terminal in (one, two):
        terminal.until_shown("^Attached to 'cat_1'")
    one.type("from one\r")
    two.until_shown("^from one\nfrom one$")
    two.type("from two\r")
    one.until_shown("^from two\nfrom two$")
    one.type(DETACH)
    assert one.exit_code() == 0
    two.type("still here\r")
    two.until_shown("^still here\nstill here$")
    assert (daemon.home / "cat_1.log").read_bytes().count(b"still here\r\n") == 2
    assert not (daemon.home / "cat_2.log").read_bytes()


def test_the_end_is_told_with_its_code(daemon: Daemon, attach: Attach) -> None:
    terminal = attach("repl")
    terminal.until_shown("^>>>$")
    terminal.type("exit(3)\r")
    assert terminal.exit_code() == 0
    assert terminal.look()[-1] == "Process 'repl' has ended: exit code 3"


def test_last_words_come_before_the_end(tmp_path: Path, attach: Attach) -> None:
    config = """tasks: {talks: {command: "read x; seq 5000; exit 7", tty: true, autoLaunch: true, stdout: it.log,
                successfulStartTimeout: 0}}"""
    with Daemon(tmp_path, config, "-l", "taskmaster.log"):
        terminal = attach("talks")
        terminal.until_shown("^Attached")
        terminal.type("\r")
        assert terminal.exit_code() == 0
        assert [line for line in terminal.look() if line][-2:] == ["5000", "Process 'talks' has ended: exit code 7"]
        assert (tmp_path / "it.log").read_bytes().replace(b"\r", b"").split() == [b"%d" % n for n in range(1, 5001)]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["plain"], 1, "Process 'plain' has no terminal (`tty: true`); type: logs -f plain"),
        (["later"], 1, "Process 'later' is not running; type: start later"),
        (["cat"], 2, "'cat' means 2 processes, and attach takes one: cat_1, cat_2"),
        (["nobody"], 6, "Task 'nobody' not found."),
        (["a", "b"], 2, "taskmasterctl: 'attach' takes one argument. Usage: attach INSTANCE"),
        (["--flag"], 2, "taskmasterctl: 'attach' has no option '--flag'. Usage: attach INSTANCE"),
    ],
)
def test_what_cannot_be_attached_to(daemon: Daemon, attach: Attach, words: list[str], code: int, told: str) -> None:
    terminal = attach(*words)
    assert terminal.exit_code() == code
    assert terminal.look() == [told]


def test_without_a_terminal_it_points_to_logs(daemon: Daemon) -> None:
    done = daemon.ctl("attach", "repl")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "taskmasterctl: attach needs a terminal. Type: taskmasterctl logs -f repl\n"


def test_a_client_that_is_told_to_end_leaves_the_terminal_as_it_was(daemon: Daemon, attach: Attach) -> None:
    terminal = attach("cat_1")
    terminal.until_shown("^Attached")
    raw = until(lambda: modes if not (modes := terminal.modes())[3] & 2 else None, "every key as it is")
    os.kill(terminal.program.pid, signal.SIGTERM)
    assert terminal.exit_code() == -signal.SIGTERM
    assert terminal.modes() != raw
    assert alive(daemon.pid("cat_1"))


# ---- at a prompt


def at_prompt(home: Path) -> Terminal:
    (home / "web.yaml").write_text(CONFIG)
    command = [*PROGRAM, "--state-dir", "state", "--socket", "control.sock", "web.yaml"]
    terminal = Terminal(command, home, environment(home) | {"TERM": "xterm"})
    terminal.until_shown(f"^{PROMPT.rstrip()}$")
    return terminal


def test_the_foreground_prompt_gives_the_terminal_over_and_takes_it_back(tmp_path: Path) -> None:
    with closing(at_prompt(tmp_path)) as terminal:
        terminal.wait_for(repl="RUNNING", cat_1="RUNNING")
        assert "has no terminal" in terminal.ask("attach plain")
        modes = terminal.modes()
        terminal.type("attach repl\r")
        terminal.until_shown("^>>>$")
        terminal.type("6 * 7\r")
        terminal.until_shown("^42$")
        with Rpc(tmp_path / "control.sock") as rpc:
            rpc.call("stop", words=["cat_1"])
            until(lambda: rpc.call("status", words=["cat_1"])["data"][0]["status"] == "STOPPED", "its end")
        assert "Process 'cat_1' stopped" not in "\n".join(terminal.look()), "kept until the prompt is back"
        terminal.type(DETACH)
        terminal.until_shown("^Detached from 'repl', which goes on.$")
        terminal.until_shown("^Process 'cat_1' stopped gracefully$")
        terminal.until_shown(f"^{PROMPT.rstrip()}$")
        assert terminal.modes() == modes
        assert "taskmaster" in terminal.ask("version")
        terminal.type("attach repl\r")
        terminal.until_shown("^42\n(.*\n)*42$")
        terminal.type("exit(3)\r")
        terminal.until_shown("^Process 'repl' has ended: exit code 3$")
        assert "taskmaster" in terminal.ask("version")
        terminal.type("exit\r")
        assert terminal.exit_code() == 0


def test_a_hang_up_of_who_is_attached_at_the_prompt_is_the_end(tmp_path: Path) -> None:
    with closing(at_prompt(tmp_path)) as terminal:
        terminal.wait_for(cat_1="RUNNING")
        terminal.type("attach cat_1\r")
        terminal.until_shown("^Attached")
        assert terminal.hang_up() == 0


def test_the_client_has_it_at_its_prompt_as_well(daemon: Daemon, attach: Attach) -> None:
    terminal = attach()
    terminal.until_shown(f"^{PROMPT.rstrip()}$")
    terminal.type("attach repl\r")
    terminal.until_shown("^>>>$")
    terminal.type("6 * 7\r")
    terminal.until_shown("^42$")
    terminal.type(DETACH)
    terminal.until_shown("^Detached from 'repl', which goes on.$")
    terminal.until_shown(f"^{PROMPT.rstrip()}$")
    assert "taskmaster" in terminal.ask("version")
    terminal.type("exit\r")
    assert terminal.exit_code() == 0


# ---- over the socket


def test_programs_attach_by_two_methods_and_a_subscription(daemon: Daemon) -> None:
    with Rpc(daemon.home / "control.sock") as rpc:
        answer = rpc.call("attach", words=["cat_1"], last=0)
        number = answer["subscription"]
        assert answer["data"] == {"name": "cat_1", "base64": ""}
        assert typed(rpc, number, "hello\n")["outcome"] == 0
        assert shown(rpc, number, b"hello\r\nhello\r\n") == b"hello\r\nhello\r\n"
        rpc.call("attach.resize", subscription=number, rows=10, columns=20)
        rpc.call("unsubscribe", subscription=number)
        ask = rpc.ask("attach.type", subscription=number, base64="aGkK")
        assert rpc.answer() == {
            "jsonrpc": "2.0",
            "id": ask,
            "error": {
                "code": -32602,
                "message": "this client is attached to nothing by that number",
                "data": {"hint": "Ask for 'attach'."},
            },
        }


@pytest.mark.parametrize(
    "given",
    [
        {"base64": "?"},
        {"base64": "aGk"},
        {"base64": 7},
        {"base64": "\u00e9"},
        {"rows": 0, "columns": 80},
        {"rows": 24, "columns": 65536},
        {"rows": 24},
        {"rows": True, "columns": 80},
    ],
    ids=str,
)
def test_nonsense_is_refused(daemon: Daemon, given: dict[str, Any]) -> None:
    method = "attach.type" if "base64" in given else "attach.resize"
    with Rpc(daemon.home / "control.sock") as rpc:
        number = rpc.call("attach", words=["cat_1"])["subscription"]
        rpc.ask(method, subscription=number, **given)
        assert rpc.answer()["error"]["code"] == -32602
        typed(rpc, number, "still there\n")
        shown(rpc, number, b"still there")


def test_what_is_typed_and_not_read_is_bounded(tmp_path: Path) -> None:
    config = """tasks: {deaf: {command: "stty raw -echo; echo deaf; exec sleep 1000", tty: true, autoLaunch: true,
                successfulStartTimeout: 0}}"""
    with Daemon(tmp_path, config, "-l", "taskmaster.log") as daemon:
        until(lambda: "deaf" in daemon.ctl("logs", "deaf").stdout, "the modes")
        with Rpc(tmp_path / "control.sock") as rpc:
            number = rpc.call("attach", words=["deaf"])["subscription"]
            refused = None
            for _ in range(20):
                rpc.ask("attach.type", subscription=number, base64=base64.b64encode(b"x" * 9000).decode())
                refused = refused or rpc.answer().get("error")
            assert refused["code"] == -32000
            assert refused["message"] == "the process does not read what is typed"


def test_a_slow_reader_loses_output_and_is_told(daemon: Daemon) -> None:
    with Rpc(daemon.home / "control.sock") as rpc:
        number = rpc.call("attach", words=["repl"])["subscription"]
        typed(rpc, number, "_ = [print('x' * 79) for n in range(100000)]; print('over' + '!')\n")
        until(lambda: "over!" in daemon.ctl("logs", "repl", "3").stdout, "the end of it")
        lost = until(lambda: rpc.call("version") and [each for each in rpc.heard if each["method"] == "lost"], "a loss")
        assert lost[0]["params"]["count"] > 0
        rpc.heard.clear()
        typed(rpc, number, "6 * 7\n")
        shown(rpc, number, b"42\r\n")


# ---- what else there is


@pytest.mark.skipif(not others_can_run(), reason="needs root, and this checkout readable to others")
def test_it_is_the_users_terminal(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    config = """tasks: {his: {command: "echo hello > /dev/tty; exec cat", user: nobody, tty: true, autoLaunch: true,
                workingDirectory: /, successfulStartTimeout: 0}}"""
    with Daemon(tmp_path, config, "-l", "taskmaster.log") as daemon:
        until(lambda: "hello" in daemon.ctl("logs", "his").stdout, "his word")
        assert os.stat(os.readlink(f"/proc/{daemon.pid('his')}/fd/0")).st_uid == 65534


def test_it_cannot_be_left_behind(daemon: Daemon) -> None:
    done = daemon.ctl("shutdown", "--keep")
    assert done.returncode == 1
    assert "the terminal of 'repl' ends with taskmaster, and so would it; type: stop repl" in done.stderr + done.stdout


def test_the_example_works(tmp_path: Path, attach: Attach) -> None:
    with Daemon(tmp_path, (ROOT / "etc/examples/console.yaml").read_text(), "-l", "taskmaster.log") as daemon:
        until(lambda: ">>>" in daemon.ctl("logs", "repl").stdout, "its prompt")
        terminal = attach("repl")
        terminal.until_shown("^>>>$")
        terminal.type(DETACH)
        assert terminal.exit_code() == 0


@needs_a_namespace
def test_as_process_1_a_new_size_reaches_those_with_a_terminal(tmp_path: Path) -> None:
    config = """tasks: {size: {command: "trap 'echo told' WINCH; echo ready; while :; do read x; done", tty: true,
                autoLaunch: true, stopSignal: HUP, successfulStartTimeout: 0}}"""
    with Contained(tmp_path, config, "-l", "taskmaster.log") as daemon:
        until(lambda: "ready" in daemon.ctl("logs", "size").stdout, "its trap")
        daemon.signal(signal.SIGWINCH)
        until(lambda: "told" in daemon.ctl("logs", "size").stdout, "the signal")
