"""`onEvent`: the real program, and commands that receive, hang, fail, or are not there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fault.kernel import nothing_left
from tests.integration.background import Background
from tests.integration.driver import ROOT, Taskmaster, alive
from tests.mounts import tmpfs
from tests.rpc import Rpc
from tests.waiting import until

needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
TELL = f"exec {sys.executable} {PROGRAMS / 'what_i_am.py'} told.$TASKMASTER_EVENT"
NAMES = "echo $TASKMASTER_EVENT $TASKMASTER_WHO >> told"
DYING = "  dying: {command: \"sh -c 'echo one >&2; echo oh no >&2; exit 3'\", environment: {KEY: s3cret}"


def config(on_event: str, tasks: str = "", **settings: object) -> str:
    """A configuration with that command. `tasks`: lines, two blanks in."""
    block = {"onEvent": on_event, **settings}
    lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in block.items())
    return f"taskmaster:\n{lines}tasks:\n  web: {{command: sleep 1000, successfulStartTimeout: 0}}\n{tasks}\n"


def dying(count: int = 1, **more: object) -> str:
    """A task each instance of which ends at once."""
    keys = {"command": "exit 3", "instances": count, "successfulStartTimeout": 5, **more}
    return f"  dying: {json.dumps(keys)}"


def told(home: Path, event: str) -> dict[str, str]:
    """The event that what_i_am.py was told, once it was."""
    return {name.removeprefix("TASKMASTER_"): value for name, value in environment_of(home, event).items()}


def environment_of(home: Path, event: str) -> dict[str, str]:
    """The environment of that run of what_i_am.py."""
    return dict(each.split("=", 1) for each in what_it_was(home, event)["environment"])


def what_it_was(home: Path, event: str) -> dict[str, Any]:
    path = home / f"told.{event}"
    until(path.exists, f"{path}, but: {[each.name for each in home.iterdir()]}")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def logged(taskmaster: Taskmaster, pattern: str) -> re.Match[str]:
    """Wait until the event log matches."""
    return until(lambda: re.search(pattern, taskmaster.log), f"{pattern!r} in {taskmaster.log[-2000:]}")


# ---- what is told


def test_a_process_that_gave_up_is_told_with_everything_about_it(tmp_path: Path) -> None:
    tasks = f"{DYING}, restart: on-failure, restartsAttempts: 1, restartDelay: 0}}"
    with Taskmaster(tmp_path, config(TELL, tasks)) as taskmaster:
        taskmaster.type("start dying")
        event = told(tmp_path, "fatal")
        text = event["TEXT"]
        assert re.fullmatch(r"Process 'dying' failed: exit code 3 after 0\.\d\ds, attempt 2 of 2", text)
        assert (event["WHO"], event["TASK"], event["INSTANCE"], event["EXIT"]) == ("dying", "dying", "dying", "3")
        assert event["STDERR"] == "one\noh no\none\noh no"
        assert event["PID"] == str(taskmaster.process.pid)
        assert event["CONFIG"] == str(taskmaster.path)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", event["TIME"])
        assert event["PATH"] == os.environ["PATH"]
        assert "s3cret" not in json.dumps(what_it_was(tmp_path, "fatal"))
        logged(taskmaster, "INFO taskmaster onEvent: fatal of dying: told within")


@needs_proc
def test_the_command_inherits_nothing_but_its_environment(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, config(TELL, dying())) as taskmaster:
        taskmaster.type("start dying")
        found = what_it_was(tmp_path, "fatal")
        assert found["descriptors"].keys() == {"0", "1", "2"}
        assert found["descriptors"]["0"] == "/dev/null"
        assert found["descriptors"]["1"] == found["descriptors"]["2"]
        ignored_by_python = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1
        ignored = int(found["signals"]["SigIgn"], 16) & sum(1 << signum - 1 for signum in signal.valid_signals())
        assert ignored == ignored_by_python
        assert int(found["signals"]["SigBlk"], 16) == 0
        assert found["pid"] == found["group"] == found["session"]
        assert (found["directory"], found["umask"]) == (str(tmp_path), 0o022)


def test_a_process_that_could_not_be_started_has_no_exit_code_and_no_stderr(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, config(TELL, "  none: {command: no-such, environment: {PATH: /bin}}")) as taskmaster:
        taskmaster.type("start none")
        event = told(tmp_path, "fatal")
        assert event["TEXT"] == "Process 'none' failed: command 'no-such' not found on PATH; see PATH in environment"
        assert (event["EXIT"], event["STDERR"]) == ("", "")


def test_nothing_is_inherited_where_tasks_inherit_nothing(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, config(TELL, dying(), inheritEnvironment=False)) as taskmaster:
        taskmaster.type("start dying")
        names = environment_of(tmp_path, "fatal").keys()
        assert {name for name in names if not name.startswith("TASKMASTER_")} <= {"PWD", "SHLVL", "_", "LC_CTYPE"}


def test_a_stop_a_crash_that_is_restarted_and_an_expected_end_are_no_events(tmp_path: Path) -> None:
    tasks = """
  done: {command: "true"}
  crashing: {command: sh -c 'read x < gate; exit 1', restart: always, successfulStartTimeout: 0}
"""
    os.mkfifo(tmp_path / "gate")
    with Taskmaster(tmp_path, config(NAMES, tasks + dying())) as taskmaster:
        taskmaster.type("start web done crashing")
        taskmaster.wait_for(web="RUNNING", done="EXITED", crashing="RUNNING")
        pid = taskmaster.pid("crashing")
        (tmp_path / "gate").write_text("\n")
        until(lambda: taskmaster.status()["crashing"]["pid"] not in (None, pid), "another crashing")
        taskmaster.ask("stop web crashing")
        taskmaster.wait_for(web="STOPPED", crashing="STOPPED")
        taskmaster.type("start dying")
        until(lambda: lines_of(tmp_path / "told"), "an event")
        assert lines_of(tmp_path / "told") == ["fatal dying"]


def test_a_refused_reload_is_told_whoever_asked_for_it(tmp_path: Path) -> None:
    on_event = "printf '%s\\n' \"$TASKMASTER_EVENT $TASKMASTER_WHO $TASKMASTER_TEXT\" >> told"
    with Taskmaster(tmp_path, config(on_event)) as taskmaster:
        taskmaster.write("tasks: {web: {commnd: x, instances: s3cret}}")
        taskmaster.signal(signal.SIGHUP)
        until(lambda: len(lines_of(tmp_path / "told")) == 1, "the signal's")
        taskmaster.ask("reload")
        until(lambda: len(lines_of(tmp_path / "told")) == 2, "the prompt's")
        with Rpc(tmp_path / "control.sock") as rpc:
            assert rpc.call("reload")["outcome"] == 2
        until(lambda: len(lines_of(tmp_path / "told")) == 3, "the client's")
        taskmaster.ask("reload --dry-run")
        taskmaster.ask("check")
        pattern = (
            r"reload-refused taskmaster The reload was refused and nothing was changed, asked for by (.*): "
            r".*/web\.yaml:1:\d+: .* \[[a-z-]+\] \(and \d more\)"
        )
        found = [re.fullmatch(pattern, line) for line in lines_of(tmp_path / "told")]
        assert all(found), lines_of(tmp_path / "told")
        by = [each[1] for each in found if each]
        assert by[0] == "SIGHUP"
        assert by[1].startswith("the shell (uid ")
        assert f"uid {os.getuid()}" in by[2]


@pytest.mark.parametrize("policy", ["wait", "discard"])
def test_a_log_that_takes_nothing_is_told_and_that_it_takes_output_again(tmp_path: Path, policy: str) -> None:
    with tmpfs(tmp_path / "disk", "size=256k") as disk:
        (disk / "filler").write_bytes(bytes(250 * 1024))
        flood = f"while :; do echo {'y' * 500}; done"
        keys = {"command": flood, "stdout": str(disk / "log"), "onLogError": policy, "logMaxSize": 0}
        with Taskmaster(tmp_path, config(TELL, f"  flood: {json.dumps(keys)}")) as taskmaster:
            taskmaster.type("start flood")
            event = told(tmp_path, "log-refused")
            assert event["WHO"] == str(disk / "log")
            assert event["TEXT"].startswith(f"log {disk}/log takes nothing (No space left on device): ")
            assert (event["TASK"], event["EXIT"]) == ("", "")
            taskmaster.ask("signal STOP flood")
            (disk / "filler").unlink()
            taskmaster.ask("signal CONT flood")
            event = told(tmp_path, "log-recovered")
            assert (event["WHO"], event["TEXT"]) == (str(disk / "log"), f"log {disk}/log takes output again")
            assert f"INFO log output: log {disk}/log takes output again" in taskmaster.log


# ---- one after another, within bounds


def pids_in(path: Path, count: int) -> list[int]:
    """The pids that a command wrote down."""
    until(lambda: len(lines_of(path)) == count, f"{count} pids in {path}")
    return [int(line) for line in lines_of(path)]


def test_a_command_that_hangs_is_killed_with_its_group_and_the_next_event_is_told(tmp_path: Path) -> None:
    hang = (
        "case $TASKMASTER_WHO in first) trap '' TERM HUP INT; sleep 1000 & echo $! >> pids; echo $$ >> pids; "
        f"echo am stuck; kill -STOP $$;; *) {NAMES};; esac"
    )
    tasks = dying().replace("dying", "first") + "\n" + dying().replace("dying", "second")
    with Taskmaster(tmp_path, config(hang, tasks, onEventTimeout="2s")) as taskmaster:
        taskmaster.ask("start first second")
        hanging = pids_in(tmp_path / "pids", 2)
        assert "RUNNING" not in taskmaster.ask("status")  # it answers
        until(lambda: lines_of(tmp_path / "told") == ["fatal second"], "the next event")
        until(lambda: not any(map(alive, hanging)), "the end of all that hung")
        logged(taskmaster, r"ERROR taskmaster onEvent: fatal of first: not done within 2 s, killed; it said: am stuck")
        logged(taskmaster, "INFO taskmaster onEvent: fatal of second: told within")


def test_what_a_command_leaves_in_the_background_is_waited_for_and_not_longer_than_the_limit(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    leave = (
        f"{NAMES}; case $TASKMASTER_WHO in dying_1) (read x < gate; echo late >> told) & ;; "
        "dying_2) sleep 1000 & echo $! >> pids;; esac"
    )
    with Taskmaster(tmp_path, config(leave, dying(3), onEventTimeout=2)) as taskmaster:
        taskmaster.ask("start dying")
        until(lambda: lines_of(tmp_path / "told") == ["fatal dying_1"], "the first")
        taskmaster.wait_for(dying_1="FATAL", dying_2="FATAL", dying_3="FATAL")
        assert lines_of(tmp_path / "told") == ["fatal dying_1"]
        (tmp_path / "gate").write_text("\n")
        logged(taskmaster, "fatal of dying_1: told within")
        (left,) = pids_in(tmp_path / "pids", 1)
        until(lambda: lines_of(tmp_path / "told")[-1] == "fatal dying_3", "the last")
        assert lines_of(tmp_path / "told") == ["fatal dying_1", "late", "fatal dying_2", "fatal dying_3"]
        until(lambda: not alive(left), "the end of what was left")
        logged(taskmaster, "ERROR taskmaster onEvent: fatal of dying_2: not done within 2 s, killed")


def test_of_many_events_at_once_a_bounded_number_waits_and_the_rest_is_counted(tmp_path: Path) -> None:
    """The first command waits for the gate, so that all others come while it runs."""
    os.mkfifo(tmp_path / "gate")
    with Taskmaster(tmp_path, config(f"cat gate; {NAMES}", dying(150))) as taskmaster:
        taskmaster.ask("start dying")
        until(lambda: taskmaster.log.count("-> FATAL") == 150, "150 that gave up")
        assert "onEvent: 100 events wait for the command: those that come now are dropped" in taskmaster.log
        with (tmp_path / "gate").open("w"):
            (tmp_path / "open").touch()
            (tmp_path / "open").rename(tmp_path / "gate")
        logged(taskmaster, r"onEvent: \d+ event\(s\) were dropped, because 100 waited")
        found = lines_of(tmp_path / "told")
        assert len(found) == len(set(found)) == taskmaster.log.count("told within") == 101
        assert taskmaster.log.count("those that come now are dropped") == 1
        assert "onEvent: 49 event(s) were dropped" in taskmaster.log
        order = re.findall(r"(dying_\d+) state: STARTED -> FATAL", taskmaster.log)
        assert found == [f"fatal {name}" for name in order[:101]]


# ---- commands that fail


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["no-such-receiver", "x"], r"not run: command 'no-such-receiver' not found on PATH; PATH is .*"),
        (["/etc/passwd"], r"not run: cannot run '/etc/passwd': Permission denied; chmod \+x /etc/passwd"),
        ("no-such-receiver | cat >&2; exit 127", r"exit code 127 after \S+s; it said: .*no-such-receiver.*not found"),
        ("echo one; echo two >&2; echo; exit 7", r"exit code 7 after \S+s; it said: two"),
        ("exit 7", r"exit code 7 after \S+s"),
        ("kill -KILL $$", r"signal SIGKILL after \S+s"),
        ("exec >&- 2>&-; exit 7", r"exit code 7 after \S+s"),
        ("yes yyyyy | head -c 1000000; echo; echo end; exit 1", r"exit code 1 after \S+s; it said: end"),
        ("printf 'a\\033[2Jb'; exit 1", r"exit code 1 after \S+s; it said: ab"),
    ],
)
def test_a_command_that_fails_is_told_in_the_event_log_and_is_no_event(
    tmp_path: Path, command: str | list[str], says: str
) -> None:
    text = config("x", dying(2)).replace('onEvent: "x"', f"onEvent: {json.dumps(command)}")
    with Taskmaster(tmp_path, text) as taskmaster:
        taskmaster.ask("start dying")
        logged(taskmaster, rf"(?m)ERROR taskmaster onEvent: fatal of dying_1: {says}$")
        logged(taskmaster, rf"(?m)ERROR taskmaster onEvent: fatal of dying_2: {says}$")
        taskmaster.ask("status")
        assert taskmaster.log.count("onEvent:") == 2


# ---- reload and shutdown


def test_a_reload_changes_the_command_also_for_events_that_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    with Taskmaster(tmp_path, config("cat gate", dying(2))) as taskmaster:
        taskmaster.ask("start dying")
        until(lambda: taskmaster.log.count("-> FATAL") == 2, "two events")
        taskmaster.write(config(NAMES, dying(2)))
        assert "set      taskmaster.onEvent" in taskmaster.ask("reload")
        (tmp_path / "gate").write_text("")
        until(lambda: lines_of(tmp_path / "told") == ["fatal dying_2"], "the second, by the new command")


def test_without_a_command_nothing_is_run_and_nothing_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    with Taskmaster(tmp_path, config("cat gate", dying(3))) as taskmaster:
        taskmaster.ask("start dying")
        until(lambda: taskmaster.log.count("-> FATAL") == 3, "three events")
        taskmaster.write(config("", dying(3)).replace('onEvent: ""', "onEvent:"))
        taskmaster.ask("reload")
        (tmp_path / "gate").write_text("")
        logged(taskmaster, "fatal of dying_1: told within")
        taskmaster.ask("start dying")
        until(lambda: taskmaster.log.count("-> FATAL") == 6, "three more")
        taskmaster.write(config(NAMES, dying(3)))
        taskmaster.ask("reload")
        taskmaster.ask("start dying_3")
        until(lambda: lines_of(tmp_path / "told") == ["fatal dying_3"], "one that is told again")
        assert "dropped" not in taskmaster.log


def test_at_the_end_what_is_being_told_has_a_last_chance(tmp_path: Path) -> None:
    later = f"touch running; until grep -q 'shutdown: asked for' taskmaster.log; do sleep 0.02; done; {NAMES}"
    with Taskmaster(tmp_path, config(later, dying())) as taskmaster:
        taskmaster.ask("start dying")
        until((tmp_path / "running").exists, "a command that runs")
        assert taskmaster.leave() == 0
        assert lines_of(tmp_path / "told") == ["fatal dying"]
        assert re.search("fatal of dying: told within.*\n.*taskmaster end: leaving", taskmaster.log)


@needs_proc
def test_the_daemon_leaves_beside_a_command_that_hangs_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    hang = "trap '' TERM HUP INT; sleep 1000 & echo $$ >> pids; echo $! >> pids; wait"
    with Taskmaster(tmp_path, config(hang, dying(3))) as taskmaster:
        taskmaster.ask("start dying web")
        hanging = pids_in(tmp_path / "pids", 2)
        taskmaster.wait_for(dying_1="FATAL", dying_2="FATAL", dying_3="FATAL")
        assert taskmaster.leave() == 0
        until(lambda: not any(map(alive, hanging)), "the end of all that hung")
        nothing_left(tmp_path)
        assert "onEvent: fatal of dying_1: not done when the daemon left, killed" in taskmaster.log
        assert "onEvent: 2 event(s) not told: the daemon leaves" in taskmaster.log


def test_a_daemon_that_has_nothing_to_tell_leaves_at_once(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, config(NAMES)) as taskmaster:
        taskmaster.wait_output("Taskmaster")
        assert taskmaster.leave() == 0
        stamps = re.findall(r"T\d\d:\d\d:(\d\d\.\d{3})\S+ INFO taskmaster (?:shutdown|end)", taskmaster.log)
        assert (float(stamps[1]) - float(stamps[0])) % 60 < 0.9


def test_in_the_background_it_is_run_where_taskmaster_was_started(tmp_path: Path) -> None:
    script = tmp_path / "tell"
    script.write_text("#!/bin/sh\npwd > where\necho $TASKMASTER_CONFIG >> where\nmv where told\n")
    script.chmod(0o755)
    with Background(tmp_path, config("./tell", dying(1, autoLaunch=True))) as daemon:
        daemon.up()
        until(lambda: lines_of(tmp_path / "told"), "an event")
        assert lines_of(tmp_path / "told") == [str(tmp_path), str(tmp_path / "web.yaml")]
        daemon.logged("taskmaster onEvent: fatal of dying: told within")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_it_runs_as_the_user_that_taskmaster_has_become(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    for each in (place, *place.parents[:-1]):
        each.chmod(each.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    place.chmod(0o777)
    home = tmp_path / "home"
    home.mkdir()
    on_event = f"id -un > {shlex.quote(str(place))}/who.new; mv {place}/who.new {place}/who"
    with Background(home, config(on_event, dying(1, autoLaunch=True), user="nobody")) as daemon:
        daemon.start()
        until(lambda: lines_of(place / "who"), f"an event, but: {daemon.log[-1000:]}")
        assert lines_of(place / "who") == ["nobody"]


# ---- the examples of docs/notifications.md, each as it stands there


EXAMPLES = re.findall(r"```yaml\n(taskmaster:\n.*?)```", (ROOT / "docs" / "notifications.md").read_text(), re.DOTALL)
NASTY = ['it\'s "quoted" \\n $(touch pwned) `touch pwned`', ".", "END", "%s é"]
SENDS = """\
#!/bin/sh
{ printf '%s\\n' "$@"; echo --; cat; } > mail.new
mv mail.new mail
"""


def example(word: str, *, without: str = "\0") -> str:
    """The command of the one example that holds a word."""
    (found,) = {text for text in EXAMPLES if word in text and without not in text}
    command = yaml.safe_load(found)["taskmaster"]["onEvent"]
    assert isinstance(command, str)
    return command


def nasty(home: Path, command: str, received: Callable[[], object]) -> None:
    """Run an example for a process that prints what should not be taken for syntax."""
    (home / "says").write_text("\n".join(NASTY) + "\n")
    keys = {"command": "cat says >&2; exit 3", "stderr": "err.log"}
    with Taskmaster(home, config(command, f"  nasty: {json.dumps(keys)}")) as taskmaster:
        taskmaster.ask("start nasty")
        logged(taskmaster, "fatal of nasty: ")
        assert "fatal of nasty: told within" in taskmaster.log, taskmaster.log
        until(received, "what was sent")
        assert not (home / "pwned").exists()


def program(home: Path, name: str) -> str:
    """A program that keeps its words and its input; where it is."""
    path = home / name
    path.write_text(SENDS)
    path.chmod(0o755)
    return str(path)


def test_the_examples_are_all_tried() -> None:
    words = {"sendmail": 1, "mail -s": 1, "jq -n": 1, "python3 -c": 1, "logger": 2, "./notify": 1}
    assert {word: sum(word in text for text in EXAMPLES) for word in words} == words
    assert len(EXAMPLES) == sum(words.values())


def test_mail_by_sendmail(tmp_path: Path) -> None:
    command = example("sendmail").replace("/usr/sbin/sendmail", program(tmp_path, "sendmail"))
    nasty(tmp_path, command, (tmp_path / "mail").exists)
    words, _, mail = (tmp_path / "mail").read_text().partition("--\n")
    assert words.split() == ["-i", "-t"]
    head, body = mail.split("\n\n", 1)
    assert head.splitlines()[0] == "To: root"
    assert re.fullmatch(r"Subject: taskmaster on \S+: fatal of nasty", head.splitlines()[1])
    assert body.startswith("Process 'nasty' failed: exit code 3 after")
    assert body.endswith("\n".join(NASTY) + "\n")


def test_mail_by_mail(tmp_path: Path) -> None:
    nasty(
        tmp_path, example("mail -s").replace("mail -s", f"{program(tmp_path, 'mail1')} -s"), (tmp_path / "mail").exists
    )
    words, _, mail = (tmp_path / "mail").read_text().partition("--\n")
    assert words.splitlines() == ["-s", "taskmaster: fatal of nasty", "root"]
    assert mail.endswith("\n".join(NASTY) + "\n")


@contextmanager
def receiver(status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """A web server: where it is, and the objects that it was sent."""
    received: list[Any] = []

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Nothing is to be printed."""

    server = HTTPServer(("127.0.0.1", 0), Receive)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def has(*programs: str) -> pytest.MarkDecorator:
    missing = [each for each in programs if shutil.which(each) is None]
    return pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)} here")


@pytest.mark.parametrize(
    "word", [pytest.param("jq -n", marks=has("jq", "curl")), pytest.param("python3 -c", marks=has("curl"))]
)
def test_a_webhook(tmp_path: Path, word: str) -> None:
    with receiver() as (url, received):
        nasty(tmp_path, example(word).replace("https://example.com/hook", url), lambda: received)
    assert received[0].keys() == {"event", "who", "text", "time", "stderr"}
    assert (received[0]["event"], received[0]["who"]) == ("fatal", "nasty")
    assert received[0]["stderr"] == "\n".join(NASTY)


@has("curl")
def test_a_webhook_that_refuses_is_told_in_the_event_log(tmp_path: Path) -> None:
    with receiver(503) as (url, _):
        command = example("python3 -c").replace("https://example.com/hook", url)
        with Taskmaster(tmp_path, config(command, dying())) as taskmaster:
            taskmaster.ask("start dying")
            logged(
                taskmaster, r"ERROR taskmaster onEvent: fatal of dying: exit code 22 after \S+s; it said: curl: .*503"
            )


@has("logger")
def test_syslog(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(20)
        command = example("logger", without="case").replace("logger", f"logger -u {tmp_path}/log")
        nasty(tmp_path, command, lambda: True)
        assert re.fullmatch(rb"<27>.*taskmaster: Process 'nasty' failed: exit code 3 after .*", log.recv(4096))


def test_a_script_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "notify").write_text("set -u\nprintf '%s\\n' \"$TASKMASTER_STDERR\" > new; mv new told\n")
    nasty(tmp_path, example("./notify"), (tmp_path / "told").exists)
    assert lines_of(tmp_path / "told") == NASTY
