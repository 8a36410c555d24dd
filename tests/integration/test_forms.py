"""The forms that the command line can ask for: what each writes, where, and with which code it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest

import tm
from tests.integration.driver import PROGRAM, Taskmaster, alive, environment, run
from tests.waiting import until
from tm.cli import shell

GOOD = "tasks: {web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}}\n"
BAD = "tasks:\n  web: {comand: x}\n  worker: {command: y, instances: -1}\n"
STARTED = r"web state: STARTED -> RUNNING .spawned., pid (\d+)"
SEARCHED = "looked for taskmaster.yaml, /etc/taskmaster.yaml."
no_machine_wide = pytest.mark.skipif(os.path.exists("/etc/taskmaster.yaml"), reason="/etc/taskmaster.yaml exists")

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "web.yaml").write_text(GOOD)
    return tmp_path


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Start the program, its stderr (and stdout) in files; it is told to end when the test is over."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, stdin: IO[bytes] | int = subprocess.DEVNULL, shell: str = "") -> subprocess.Popen[str]:
        command = [*PROGRAM, "--state-dir", "state", "--socket", "control.sock", *arguments]
        if shell:
            command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
        with (home / "out").open("wb") as out, (home / "err").open("wb") as err:
            begun.append(
                subprocess.Popen(
                    command, stdin=stdin, stdout=out, stderr=err, cwd=home, env=environment(home), text=True
                )
            )
        return begun[-1]

    yield begin
    for program in begun:
        for _ in range(2):
            program.terminate()
        program.wait(20)


def told(home: Path) -> str:
    """What it has written to stderr."""
    return (home / "err").read_text()


def up(home: Path, where: str = "err") -> int:
    """The pid of the task, once the event log has it."""
    log = home / where
    found = until(lambda: log.exists() and re.search(STARTED, log.read_text()), f"a running task in {where}")
    return int(found[1])


def ends(program: subprocess.Popen[str], signum: signal.Signals = signal.SIGTERM) -> int:
    """Its exit code after a signal."""
    program.send_signal(signum)
    return program.wait(20)


# ---- without a shell


@pytest.mark.parametrize("flag", ["-n", "--no-shell"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_without_shell_it_logs_to_stderr_and_ends_in_order(
    home: Path, start: Start, flag: str, signum: signal.Signals
) -> None:
    program = start(flag, "web.yaml")
    pid = up(home)
    assert ends(program, signum) == 0
    assert not alive(pid)
    assert f"web state: RUNNING -> STOPPING (stop), SIGTERM to pid {pid}, by {signum.name}" in told(home)
    assert (home / "out").read_text() == ""
    assert not (home / "taskmaster.log").exists()
    assert "no shell" not in told(home)


@pytest.mark.parametrize("redirection", ["<web.yaml", "<&-", "</dev/null"])
def test_without_shell_stdin_does_not_matter(home: Path, start: Start, redirection: str) -> None:
    program = start("-n", "web.yaml", shell=redirection)
    up(home)
    program.send_signal(signal.SIGHUP)
    until(lambda: "reload: nothing changed, by SIGHUP" in told(home), "a reload")
    assert program.poll() is None
    assert "no shell" not in told(home)
    assert ends(program) == 0


@pytest.mark.parametrize("redirection", ["<&-", "</dev/null"])
def test_no_input_is_as_without_shell_and_said_once(home: Path, start: Start, redirection: str) -> None:
    program = start("web.yaml", shell=redirection)
    up(home)
    assert told(home).count("taskmaster: no input, so no shell (as with -n).\n") == 1
    assert not (home / "taskmaster.log").exists()
    assert ends(program) == 0


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", ">&- 2>&-"])
def test_nowhere_to_write_to_is_no_error(home: Path, start: Start, redirection: str) -> None:
    program = start("web.yaml", stdin=subprocess.PIPE, shell=redirection)
    pid = up(home, "taskmaster.log")
    assert program.stdin
    program.stdin.write("status\nexit\n")
    program.stdin.close()
    assert program.wait(20) == 0
    assert not alive(pid)


# ---- checking


@pytest.mark.parametrize("flag", ["-t", "--check"])
def test_check_of_a_good_file(home: Path, flag: str) -> None:
    done = run(home, flag, "web.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "web.yaml: no problems, 1 task(s).\n", "")
    assert [path.name for path in home.iterdir()] == ["web.yaml"]


def test_check_tells_all_problems_at_once_and_starts_nothing(home: Path) -> None:
    (home / "web.yaml").write_text(BAD)
    done = run(home, "-t", "web.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    places = re.findall(r"(?m)^web\.yaml:(\d+):\d+: .*\[([a-z-]+)\]$", done.stderr)
    assert [line for line, _ in places] == ["2", "2", "3"]
    assert "did you mean 'command'?" in done.stderr
    assert done.stderr.endswith("3 problems in the configuration\n")
    assert [path.name for path in home.iterdir()] == ["web.yaml"]


@pytest.mark.parametrize("arguments", [[], ["-n"]])
def test_a_bad_file_starts_nothing(home: Path, arguments: list[str]) -> None:
    (home / "web.yaml").write_text(BAD)
    done = run(home, *arguments, "web.yaml")
    assert done.returncode == 2
    assert "3 problems" in done.stderr
    assert [path.name for path in home.iterdir()] == ["web.yaml"]


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", ""])
def test_a_file_that_cannot_be_read(home: Path, name: str) -> None:
    done = run(home, "-t", name)
    assert done.returncode == 2
    assert "[unreadable]" in done.stderr
    assert "Traceback" not in done.stderr


# ---- no configuration named


@no_machine_wide
def test_the_example_is_written_and_used_and_never_overwritten(tmp_path: Path) -> None:
    done = run(tmp_path, "--state-dir", "state", stdin="status\n")
    assert done.returncode == 0
    assert done.stderr == "No configuration found: wrote config-example.yaml.\n"
    assert re.search(r"(?m)^clock +(STARTED|RUNNING) +\d+", done.stdout)
    example = tmp_path / "config-example.yaml"
    assert run(tmp_path, "-t", "config-example.yaml").returncode == 0
    example.write_text(GOOD)
    done = run(tmp_path, "--state-dir", "state", stdin="status\n")
    assert done.returncode == 0
    assert done.stderr == "No configuration found: using config-example.yaml.\n"
    assert re.search(r"(?m)^web +RUNNING +\d+", done.stdout)
    assert example.read_text() == GOOD


@no_machine_wide
@pytest.mark.parametrize("flag", ["-n", "-t"])
def test_other_forms_need_a_configuration(tmp_path: Path, flag: str) -> None:
    done = run(tmp_path, flag)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"taskmaster: no configuration: {SEARCHED}\n"
    named = run(tmp_path, flag, TASKMASTER_CONFIG="elsewhere.yaml")
    assert named.returncode == 2
    assert "looked for elsewhere.yaml, taskmaster.yaml, " in named.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_the_search(home: Path) -> None:
    (home / "taskmaster.yaml").write_text(GOOD)
    assert run(home, "-t").stdout.startswith("taskmaster.yaml: ")
    assert run(home, "-t", TASKMASTER_CONFIG="web.yaml").stdout.startswith("web.yaml: ")
    assert run(home, "-t", "taskmaster.yaml", TASKMASTER_CONFIG="web.yaml").stdout.startswith("taskmaster.yaml: ")
    assert run(home, "-t", TASKMASTER_CONFIG="nowhere.yaml").stdout.startswith("taskmaster.yaml: ")


@pytest.mark.parametrize("name", ["taskmaster.yaml", "config-example.yaml", "shared.yaml"])
def test_what_others_could_have_written_is_taken_only_when_named(home: Path, name: str) -> None:
    (home / name).write_text(GOOD)
    home.chmod(0o777)
    variables = {"TASKMASTER_CONFIG": str(home / name)} if name == "shared.yaml" else {}
    done = run(home, "--state-dir", "state", stdin="status\n", **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{name} is not used: others can write to {home} (owner {os.geteuid()}, " in done.stderr
    assert f"mode 0777). Name it on the command line to use it all the same, or type: chmod o-w {home}\n" in done.stderr
    assert run(home, "-t", name).returncode == 0


@no_machine_wide
def test_no_example_is_written_where_others_can_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    done = run(tmp_path, stdin="status\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no example is written" in done.stderr
    assert done.stderr.endswith(f"or type: chmod o-w {tmp_path}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_current_directory_that_is_gone_is_said(home: Path) -> None:
    (home / "gone").mkdir()
    script = f'cd gone && rmdir ../gone && exec "$0" "$@" {home}/web.yaml'
    done = subprocess.run(
        ["sh", "-c", script, *PROGRAM, "-t"],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.endswith(
        "taskmaster: the current directory is gone (No such file or directory). Change to one that exists.\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize(
    ("owner", "group", "mode", "command"), [(65534, 0, 0o755, "chown 0"), (0, 65534, 0o775, "chmod g-w")]
)
def test_an_owner_and_a_group_are_others_too(home: Path, owner: int, group: int, mode: int, command: str) -> None:
    (home / "taskmaster.yaml").write_text(GOOD)
    home.chmod(mode)
    os.chown(home, owner, group)
    done = run(home, "-t")
    assert done.returncode == 2
    assert done.stderr.endswith(f"or type: {command} {home}\n")


def test_a_name_that_is_no_text_is_shown_all_the_same(home: Path) -> None:
    name = os.fsdecode(b"\xff.yaml")
    (home / name).write_text(GOOD)
    done = run(home, "-t", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "\\udcff.yaml: no problems, 1 task(s).\n"


def test_without_a_library_the_program_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shutil.copy(PROGRAM[1], tmp_path / "bin" / "taskmaster")
    (tmp_path / "tm").symlink_to(Path(tm.__file__).parent)
    bare = [sys.executable, "-I", "-S", str(tmp_path / "bin" / "taskmaster"), "-t", "web.yaml"]
    done = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"taskmaster: PyYAML is not installed for {sys.executable}: run `make build` in {tmp_path} first.\n"
    )


@pytest.mark.parametrize(("value", "coloured"), [(None, True), ("", True), ("1", False)])
def test_no_color_counts_when_it_is_not_empty(
    monkeypatch: pytest.MonkeyPatch, value: str | None, coloured: bool
) -> None:
    monkeypatch.setattr("os.isatty", lambda _fd: True)
    monkeypatch.setattr("sys.stdout", sys.__stdout__)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)
    assert shell._look().colour is coloured


def test_all_is_completed_once() -> None:
    empty = SimpleNamespace(_service=SimpleNamespace(supervisor=SimpleNamespace(rows={})))
    assert shell.Shell._complete(empty, "start al", "al") == ["all"]


# ---- the event log


@pytest.mark.parametrize(("flags", "path"), [(["-n", "--logfile"], "no/such/place.log"), (["-l"], ".")])
def test_a_log_that_was_asked_for_and_cannot_be_opened_is_an_error(home: Path, flags: list[str], path: str) -> None:
    done = run(home, *flags, path, "--state-dir", "state", "web.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"taskmaster: the event log {path} cannot be opened: " in done.stderr
    assert "Name another with --logfile." in done.stderr


def test_a_log_that_the_file_asks_for_and_cannot_be_opened_is_an_error(home: Path) -> None:
    (home / "web.yaml").write_text("taskmaster: {logfile: no/such/place.log}\n" + GOOD)
    done = run(home, "--state-dir", "state", "web.yaml")
    assert done.returncode == 1
    assert "no/such/place.log cannot be opened: No such file or directory" in done.stderr
    assert run(home, "--state-dir", "state", "-l", "other.log", "web.yaml").returncode == 0
    assert "leaving" in (home / "other.log").read_text()


def test_a_default_log_that_cannot_be_opened_falls_back_to_stderr(home: Path) -> None:
    (home / "taskmaster.log").mkdir()
    done = run(home, "--state-dir", "state", "web.yaml", stdin="status\n")
    assert done.returncode == 0
    said, *records = done.stderr.splitlines()
    assert said == "taskmaster: the event log taskmaster.log cannot be opened: Is a directory; logging to stderr."
    assert re.search(STARTED, "\n".join(records))
    assert "RUNNING" in done.stdout


def test_the_log_is_appended_to(home: Path) -> None:
    for _ in range(2):
        assert run(home, "--state-dir", "state", "web.yaml").returncode == 0
    assert (home / "taskmaster.log").read_text().count("taskmaster start: web.yaml") == 2


def test_the_log_as_json(home: Path) -> None:
    assert run(home, "--state-dir", "state", "--log-format", "json", "web.yaml").returncode == 0
    records = [json.loads(line) for line in (home / "taskmaster.log").read_text().splitlines()]
    assert {tuple(record) for record in records} == {("time", "level", "who", "event", "text")}
    assert {"start", "state", "end"} <= {record["event"] for record in records}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}[+-]\d\d:\d\d", record["time"]) for record in records)


def test_the_least_level_of_the_log(home: Path) -> None:
    (home / "web.yaml").write_text("tasks: {web: {command: no-such-program, autoLaunch: true}}")
    for level, levels in {"error": {"ERROR"}, "info": {"INFO", "ERROR"}}.items():
        log = home / f"{level}.log"
        assert run(home, "--state-dir", "state", "--log-level", level, "-l", log.name, "web.yaml").returncode == 0
        assert {line.split()[1] for line in log.read_text().splitlines()} == levels


# ---- the command line itself


def test_version_and_help(tmp_path: Path) -> None:
    done = run(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"taskmaster {tm.__version__}\n", "")
    for flag in ("-h", "--help"):
        done = run(tmp_path, flag)
        assert (done.returncode, done.stderr) == (0, "")
        assert "--log-format" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["-n", "-t"],
        ["--log-level", "loud"],
        ["--log-format", "xml"],
        ["-l"],
        ["a.yaml", "b.yaml"],
        ["--ver"],
    ],
)
def test_a_wrong_command_line(home: Path, arguments: list[str]) -> None:
    done = run(home, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: taskmaster" in done.stderr
    assert [path.name for path in home.iterdir()] == ["web.yaml"]


# ---- odd requests at the prompt


def test_following_what_does_not_exist_is_told_once_and_harms_nothing(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, GOOD) as taskmaster:
        assert taskmaster.ask("logs wbe -f") == "Task 'wbe' not found. Did you mean 'web'?\n"
        assert taskmaster.ask("events wbe -f") == "Task 'wbe' not found. Did you mean 'web'?\n"
        assert "Traceback" not in taskmaster.log
        assert " bug: " not in taskmaster.log


def test_a_task_that_is_being_removed_is_not_started_again(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    config = """
        tasks:
          kept: {command: sleep 1000, autoLaunch: true}
          stubborn:
            command: sh -c 'trap "" TERM; echo up; while :; do read x; done < fifo'
            autoLaunch: true
            gracefulStopTimeout: 2
    """
    with Taskmaster(tmp_path, config) as taskmaster, (tmp_path / "fifo").open("w"):
        until(lambda: taskmaster.ask("logs stubborn") == "up\n", "up")
        taskmaster.write("tasks: {kept: {command: sleep 1000, autoLaunch: true}}")
        taskmaster.type("reload")
        taskmaster.wait_output("stop     stubborn: no longer in the file")
        for verb in ("start", "restart"):
            answer = taskmaster.ask(f"{verb} stubborn")
            assert "Process 'stubborn' is being removed: the configuration no longer has it\n" in answer
        taskmaster.wait_output("Process 'stubborn' was killed\n")
        until(lambda: set(taskmaster.status()) == {"kept"}, "the end of the removed task")


def test_who_asked_is_who_asked_last_not_the_one_before(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, GOOD) as taskmaster:
        taskmaster.ask("restart web")
        taskmaster.write(GOOD.replace("1000", "1001"))
        taskmaster.signal(signal.SIGHUP)
        taskmaster.wait_output("Configuration reloaded.")
        until(lambda: "(spawned)" in taskmaster.log.partition("by SIGHUP")[2], "the restart")
        assert re.search(r"web state: RUNNING -> STOPPING .restart., SIGTERM to pid \d+, by SIGHUP", taskmaster.log)
        taskmaster.signal(signal.SIGTERM)
        assert taskmaster.process.wait(20) == 0
        assert re.search(r"web state: RUNNING -> STOPPING .stop., SIGTERM to pid \d+, by SIGTERM", taskmaster.log)


@pytest.mark.parametrize("keys", ["exit\n", ""])
def test_the_log_says_who_ended_it(home: Path, keys: str) -> None:
    assert run(home, "--state-dir", "state", "web.yaml", stdin=keys).returncode == 0
    log = (home / "taskmaster.log").read_text()
    by = f"the shell (uid {os.getuid()})" if keys else "the end of the input"
    assert f"taskmaster shutdown: asked for by {by}\n" in log
    assert ("taskmaster command: exit, by the shell" in log) is bool(keys)


def test_a_state_directory_that_was_named_and_cannot_be_had_is_an_error(home: Path) -> None:
    (home / "state").write_text("a file where a directory should be")
    done = run(home, "--state-dir", "state", "web.yaml", stdin="status\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "taskmaster: the state directory state cannot be used: File exists.\n"


def test_a_wish_that_cannot_be_kept_is_told_once(home: Path) -> None:
    (home / "state" / "wishes.json.new").mkdir(parents=True)
    done = run(home, "--state-dir", "state", "web.yaml", stdin="stop web\nstart web\n")
    assert done.returncode == 0
    assert done.stdout.count("cannot be written") == 1
    assert "the wish is forgotten when the daemon ends" in done.stdout


def test_events_that_are_followed_as_json_are_json(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, GOOD) as taskmaster:
        taskmaster.type("events web --json -f")
        taskmaster.type("restart web")
        line = taskmaster.wait_output(r'(?m)^\{"time".*"text": "STARTED.*spawned.*\}$')
        assert json.loads(line[0])["who"] == "web"


def test_a_task_without_instances_is_not_called_unknown(tmp_path: Path) -> None:
    config = "tasks: {web: {command: sleep 1000}, none: {command: sleep 1000, instances: 0}}"
    with Taskmaster(tmp_path, config) as taskmaster:
        assert taskmaster.ask("start none") == "Task 'none' has no instances, see web.yaml:1\n"
        assert re.search(
            r"(?m)^web +STOPPED .*\n    Ready -  CPU -  Mem -  Last change: never started$", taskmaster.ask("status -l")
        )


def test_a_current_directory_that_goes_later_harms_nothing(home: Path) -> None:
    (home / "going").mkdir()
    config = home / "going" / "web.yaml"
    config.write_text(GOOD)
    own = ["--state-dir", str(home / "state"), "--socket", str(home / "control.sock"), "-l", str(home / "log")]
    command = [*PROGRAM, *own, "web.yaml"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=config.parent, env=environment(home), text=True
    ) as program:
        up(home, "log")
        config.unlink()
        config.parent.rmdir()
        output, _ = program.communicate("reload\ncheck\nstop web\nstatus\n", timeout=30)
    assert program.returncode == 0
    assert output.count("'web.yaml' does not exist") == 3, "from reload, from check, and above the table"
    assert "cannot be written" not in output
    assert " bug: " not in (home / "log").read_text()
