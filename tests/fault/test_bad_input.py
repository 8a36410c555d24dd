"""Bad input: a clear sentence, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.kernel import processes
from tests.integration.driver import Taskmaster, alive, environment, run
from tests.waiting import until

GOOD = """
    defaults: {autoLaunch: true, restart: always, successfulStartTimeout: 0}
    tasks:
      web: {command: sleep 1000}
      worker: {command: sleep 1001, instances: 3}
"""
AS_NOBODY = Path(__file__).resolve().parents[1] / "programs" / "as_nobody.py"
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
EVENT = re.compile(rf"{TIME} (DEBUG|INFO|WARNING|ERROR) [A-Za-z0-9][A-Za-z0-9_.-]* [a-z]+: .*")


# ---- the configuration


def _text(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(text.encode("utf-8", "surrogateescape"))


def _absent(path: Path) -> None:
    path.unlink(missing_ok=True)


def _directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("web.yaml")


def _bomb() -> str:
    """Ten aliases of ten aliases of ten aliases ..."""
    levels = [f"x-{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(["x-0: &l0 [ha, ha]", *levels, "tasks: {web: {command: *l11}}", ""])


BROKEN = {
    "missing": (_absent, "'web.yaml' does not exist"),
    "a link to itself": (_dangling, "'web.yaml' cannot be read: Too many levels of symbolic links"),
    "a directory": (_directory, "'web.yaml' is a directory"),
    "a FIFO": (_fifo, "'web.yaml' is not a regular file"),
    "empty": (_text(""), "the file is empty"),
    "only a comment": (_text("# nothing\n"), "the file is empty"),
    "binary": (
        _text("\x7fELF\x02\x01\x01\udc80\udcff\x00\x00" * 50),
        "is not UTF-8: the byte 0x80 begins no character",
    ),
    "cut in a quote": (_text('tasks:\n  web: {command: "slee'), "the quote that opens here is not closed"),
    "cut in a bracket": (
        _text("tasks:\n  web: {command: sleep 1, inst"),
        "the bracket that opens here is not closed",
    ),
    "cut in a key": (_text("tasks:\n  web:\n    comm"), "task 'web'"),
    "no mapping": (_text("just words\n"), "web.yaml:1:1"),
    "10 MB": (
        _text("tasks:\n" + "".join(f"  task{n:06}: {{command: sleep 1000}}\n" for n in range(300_000))),
        "'web.yaml' is larger than 4 MiB",
    ),
    "an alias in itself": (_text("tasks: &a\n  web: *a\n"), "the alias '*a' stands inside of what it names"),
    "a merge of itself": (
        _text("tasks:\n  web: &a\n    command: sleep 1000\n    <<: *a\n"),
        "the alias '*a' stands inside of what it names",
    ),
    "a list in itself": (_text("tasks: {web: {command: &a [*a]}}\n"), "the alias '*a' stands inside of what it names"),
    "a bomb of aliases": (_text(_bomb()), "the file unfolds to more than"),
    "a tower": (_text("tasks: " + "[" * 100_000), "values are nested deeper than anyone reads"),
    "NUL bytes": (_text('tasks: {web: {command: "sl\0eep"}}\n'), "the character U+0000 cannot stand in a YAML file"),
}
broken = pytest.mark.parametrize("name", BROKEN)


def is_clear(told: str) -> None:
    """A sentence that names the file, and for people: no traceback, nothing that steers a terminal, no flood."""
    assert "web.yaml:" in told
    assert "problem" in told
    assert "Traceback" not in told
    assert not CONTROLS.search(told)
    assert len(told) < 8000


@broken
def test_at_the_start_it_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    spoil, sentence = BROKEN[name]
    spoil(tmp_path / "web.yaml")
    for form in ("-n", "-t"):
        done = run(tmp_path, form, "--state-dir", "state", "web.yaml")
        assert done.returncode == 2
        assert done.stdout == ""
        is_clear(done.stderr)
        assert sentence in done.stderr
    assert not (tmp_path / "state").exists()


def test_at_a_reload_nothing_changes_and_it_is_told(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, GOOD) as taskmaster:
        before = {name: row["pid"] for name, row in taskmaster.status().items()}
        for spoil, sentence in BROKEN.values():
            spoil(taskmaster.path)
            told = taskmaster.ask("reload")
            is_clear(told)
            assert sentence.removeprefix("'web.yaml' ") in told
            assert f"{taskmaster.path}:" in told
            assert "Nothing was changed." in told
            assert "Configuration reloaded" not in told
            assert taskmaster.ask("status").startswith("The last reload was refused: ")
            assert {name: row["pid"] for name, row in taskmaster.status().items()} == before
            restore(taskmaster)
        refused = taskmaster.log.count("ERROR taskmaster reload: refused, nothing changed, by the shell")
        assert refused == len(BROKEN)
        assert "Configuration reloaded." in taskmaster.ask("reload")
        assert taskmaster.ask("status").startswith("Task ")
        assert {name: row["pid"] for name, row in taskmaster.status().items()} == before
        is_an_event_log(taskmaster.log)


def restore(taskmaster: Taskmaster) -> None:
    """The good configuration again, as a new file in the place of whatever is there."""
    if taskmaster.path.is_dir():
        taskmaster.path.rmdir()
    taskmaster.path.unlink(missing_ok=True)
    taskmaster.write(GOOD)


def test_by_signal_it_is_told_as_well(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, GOOD) as taskmaster:
        before = taskmaster.status()
        taskmaster.write("tasks: {web: {command: 'sleep")
        taskmaster.signal(signal.SIGHUP)
        taskmaster.wait_output("the quote that opens here is not closed")
        taskmaster.wait_output("Nothing was changed.")
        assert {n: row["pid"] for n, row in taskmaster.status().items()} == {n: row["pid"] for n, row in before.items()}


root_only = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become somebody else, or be commanded by others"
)


@root_only
def test_root_obeys_no_file_that_others_can_write(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, GOOD) as taskmaster:
        pid = taskmaster.pid("web")
        taskmaster.path.chmod(0o666)
        for told in (taskmaster.ask("reload"), run(tmp_path, "-n", "web.yaml").stderr):
            assert "can be written by others, and root obeys it" in told
            assert f"chmod o-w {taskmaster.path}" in told
        assert run(tmp_path, "-n", "web.yaml").returncode == 2
        assert taskmaster.pid("web") == pid
        subprocess.run(["chmod", "o-w", str(taskmaster.path)], check=True)
        assert "Configuration reloaded." in taskmaster.ask("reload")


@root_only
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """Root may read everything: the program runs as nobody here."""
    path = tmp_path / "web.yaml"
    path.write_text("tasks: {web: {command: sleep 1000}}\n")
    path.chmod(0o600)
    open_the_way_to(tmp_path)
    assert as_nobody(tmp_path, "-n", "-l", "/dev/null", "web.yaml") == (
        2,
        "web.yaml:1:1: 'web.yaml' cannot be read: Permission denied [unreadable]\n1 problem in the configuration\n",
    )
    path.chmod(0o644)
    assert as_nobody(tmp_path, "-t", "web.yaml") == (0, "")


@root_only
def test_a_file_that_may_not_be_read_any_more(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("tasks: {web: {command: sleep 1000, autoLaunch: true}}\n")
    open_the_way_to(tmp_path)
    daemon = subprocess.Popen(
        [sys.executable, str(AS_NOBODY), *nobodys_own(tmp_path), "-l", "/dev/null", "web.yaml"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        pid = until(lambda: [each.pid for each in processes(tmp_path)], "a child")[0]
        (tmp_path / "web.yaml").chmod(0o600)
    finally:
        told, _ = daemon.communicate("reload\npid web\n", timeout=60)
    assert "web.yaml:1:1: 'web.yaml' cannot be read: Permission denied [unreadable]" in told
    assert f"Nothing was changed.\n{pid}\n" in told
    assert daemon.returncode == 0
    assert not alive(pid)


@root_only
def test_an_event_log_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("tasks: {}\n")
    open_the_way_to(tmp_path)
    log = tmp_path / "event.log"
    log.write_text("")
    log.chmod(0o600)
    code, told = as_nobody(tmp_path, "-n", "-l", str(log), "web.yaml")
    assert code == 1
    assert told == (
        f"taskmaster: the event log {log} cannot be opened: Permission denied. Name another with --logfile.\n"
    )


def open_the_way_to(home: Path) -> None:
    """Others may pass through the directories above `home`, which pytest closes."""
    for each in (home, *home.parents):
        if not each.stat().st_mode & 0o001:
            each.chmod(each.stat().st_mode | 0o001)


def nobodys_own(home: Path) -> list[str]:
    """A place where nobody can keep state and socket."""
    place = home / "nobodys"
    place.mkdir(exist_ok=True)
    os.chown(place, 65534, 65534)
    return ["--state-dir", str(place), "--socket", str(place / "control.sock")]


def as_nobody(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a run of the program as nobody."""
    done = subprocess.run(
        [sys.executable, str(AS_NOBODY), *nobodys_own(home), *arguments],
        cwd=home,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


# ---- what a start needs


def test_a_process_whose_log_cannot_be_opened_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    config = """
        defaults: {command: "touch ran; echo there", autoLaunch: true}
        tasks:
          nowhere: {stdout: missing/web.log}
          folder: {stdout: folder}
          below: {stderr: web.yaml/web.log}
          long: {stdout: LONG}
    """.replace("LONG", "x" * 300)
    with Taskmaster(tmp_path, config) as taskmaster:
        rows = taskmaster.wait_for(nowhere="FATAL", folder="FATAL", below="FATAL", long="FATAL")
        told = taskmaster.ask("status")
        for name, stream, reason in (
            ("nowhere", "stdout", "No such file or directory"),
            ("folder", "stdout", "Is a directory"),
            ("below", "stderr", "Not a directory"),
            ("long", "stdout", "File name too long"),
        ):
            assert rows[name]["cause"].startswith(f"{stream} log '{tmp_path}/")
            assert rows[name]["cause"].endswith(f"cannot be opened: {reason}")
            assert f"{name}: {rows[name]['cause']}; " in told
        assert not (tmp_path / "ran").exists()
        taskmaster.write(config.replace("stdout: missing/", "stdout: "))
        taskmaster.type("reload")
        until(lambda: (tmp_path / "web.log").exists() and (tmp_path / "web.log").read_text() == "there\n", "healed")


def test_a_directory_that_vanishes_between_two_attempts(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    config = """
        tasks:
          web:
            command: sleep 1000
            autoLaunch: true
            restart: always
            restartsAttempts: 0
            restartDelay: 10ms
            restartDelayMax: 20ms
            successfulStartTimeout: 0
            workingDirectory: work
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        pid = taskmaster.pid("web")
        (tmp_path / "work").rmdir()
        os.kill(pid, signal.SIGKILL)
        until(lambda: taskmaster.log.count("spawn-failed") > 2, "attempts")
        row = taskmaster.status()["web"]
        assert row["status"] == "BACKOFF"
        assert row["cause"] == f"working directory '{tmp_path}/work': No such file or directory"
        assert row["hint"] == f"mkdir -p {tmp_path}/work"
        (tmp_path / "work").mkdir()
        assert taskmaster.wait_for(web="RUNNING")["web"]["pid"] not in (None, pid)
        assert os.readlink(f"/proc/{taskmaster.pid('web')}/cwd") == f"{tmp_path}/work"


WORD = "x" * 200 * 1024


@pytest.mark.parametrize("way", ["", "nice: 0"], ids=["vfork", "fork"])
def test_a_command_of_200_kilobytes_runs_or_says_why_not(tmp_path: Path, way: str) -> None:
    """Linux takes many words, and none of more than 128 KiB."""
    config = f"""
        defaults: {{autoLaunch: true, {way}}}
        tasks:
          text: {{command: "echo {WORD}"}}
          list: {{command: [echo, "{WORD}"]}}
          shell: {{command: "echo {WORD} | cat"}}
          words: {{command: "sh -c 'echo $#' {"word " * 40 * 1024}"}}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        rows = taskmaster.wait_for(text="FATAL", list="FATAL", shell="FATAL", words="EXITED")
        for name in ("text", "list", "shell"):
            assert rows[name]["cause"].startswith("Argument list too long: a word of the command has 2048")
            assert rows[name]["cause"].endswith(" bytes, 131071 is the most")
        assert taskmaster.ask("logs words") == f"{40 * 1024 - 1}\n"
        told = taskmaster.ask("status").splitlines()
        assert [line.split()[0] for line in told[:5]] == ["Task", "text", "list", "shell", "words"]
        assert max(map(len, told)) < 400
        assert max(map(len, taskmaster.log.splitlines())) < 1000
        assert max(map(len, taskmaster.ask("show words").splitlines())) < 300 * 1024


def test_names_made_to_mislead_stay_on_their_line(tmp_path: Path) -> None:
    """A configuration with line ends and escapes where nobody expects them."""
    config = r"""
        defaults: {autoLaunch: true}
        tasks:
          list: {command: ["no\nsuch\e[2Jprogram\r", "a\nb"]}
          text: {command: "no-such\e]0;title\a-program\n"}
          path: {command: ["./no\nsuch\e[2J/program"]}
          there: {command: ["./there\n\e[2J"]}
          words: {command: [sh, -c, 'printf "$1" >&2; exit 1', sh, "2026-01-31T12:00:00.123+01:00 INFO web state: a\n"]}
    """
    (tmp_path / "there\n\x1b[2J").write_text("not for running")
    with Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.wait_for(list="FATAL", text="FATAL", path="FATAL", there="FATAL", words="FATAL")
        told = taskmaster.ask("status").splitlines()
        assert len(told) == 1 + 5 + 1 + 5
        assert [line.split()[0] for line in told[1:6]] == [line.split(":")[0] for line in told[7:]]
        for name in ("list", "text", "path", "there", "words"):
            taskmaster.ask(f"show {name}")
            taskmaster.ask(f"logs {name} --all")
        taskmaster.ask("events")
        assert not CONTROLS.search(taskmaster.output)
        assert len(re.findall(r"(?m)^Process '\w+' failed: ", taskmaster.output)) == 5
        is_an_event_log(taskmaster.log)


def test_values_of_the_environment_arrive_as_they_are(tmp_path: Path) -> None:
    config = r"""
        tasks:
          web:
            command: [sh, -c, 'env -0 > seen.new; mv seen.new seen']
            autoLaunch: true
            environment:
              EQUALS: "a=b=c"
              LINES: "one\ntwo\n"
              UNICODE: "Grüße, 世界 \U0001F600"
              QUOTES: '"$HOME" `id` \'
              EMPTY: ""
    """.replace("$HOME", "$$HOME")
    with Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.wait_for(web="EXITED")
        seen = dict(each.split("=", 1) for each in (tmp_path / "seen").read_text().split("\0") if each)
        assert seen["EQUALS"] == "a=b=c"
        assert seen["LINES"] == "one\ntwo\n"
        assert seen["UNICODE"] == "Grüße, 世界 \U0001f600"
        assert seen["QUOTES"] == '"$HOME" `id` \\'
        assert seen["EMPTY"] == ""
        shown = taskmaster.ask("show web --env")
        assert "two" in shown
        assert not CONTROLS.search(shown)


def test_a_nul_that_no_program_can_be_given_is_refused_and_a_secret_is_not_told(tmp_path: Path) -> None:
    text = r"""
        tasks:
          web: {command: sleep 1000, environment: {SECRET: "hidden\0value"}}
          worker: {command: [sleep, "1001\0"]}
    """
    with Taskmaster(tmp_path, GOOD) as taskmaster:
        pids = sorted(each.pid for each in processes(tmp_path))
        taskmaster.write(text)
        for told in (taskmaster.ask("reload"), run(tmp_path, "-t", "web.yaml").stderr):
            is_clear(told)
            assert told.count("this text holds a NUL") == 2
            assert "2 problems in the configuration" in told
        assert sorted(each.pid for each in processes(tmp_path)) == pids
        assert "hidden" not in taskmaster.output + taskmaster.log
        is_an_event_log(taskmaster.log)


# ---- stdin

JUNK = bytes(range(1, 256)).replace(b"\n", b"") * 8


def test_junk_on_stdin_is_answered_and_harms_nobody(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, GOOD) as taskmaster:
        before = {name: row["pid"] for name, row in taskmaster.status().items()}
        lines = {
            b"frobnicate the web": "Unknown command: frobnicate. Type 'help' for a list of commands.",
            b"STATUS": "Unknown command: STATUS. Type 'help' for a list of commands.",
            b"start 'web": "A quote is not closed.",
            b'stop "web': "A quote is not closed.",
            b"stop web\\": "A quote is not closed.",
            b"stop web \xe2\x80\xa8 worker": "not found",
            b"stop \x1b[2J\x07": "not found",
            b"\x1b[31;2Jstop": "Unknown command: ",
            b"start \xff\xfe": "not found",
            b"restart nothing-like-it": "Task 'nothing-like-it' not found.",
            b"signal BOOM\x1b[1m web": "No such signal: ",
            b"status --f\x1b]0;title\x07oo": "has no option",
            b"logs web 99999999999999999999": "Please provide a valid number of lines to display.",
            b"logs web -1": "Please provide a valid number of lines to display.",
            b"help \x9b2J": "Unknown command: ",
            b"check no\x1b[2Jsuch.yaml": "does not exist",
            b"check \x00": "",
            b"stop " + b"x" * 60_000: "not found",
            b"stop " + b"x " * 20_000: "not found",
            b"x" * 1024 * 1024: "line of more than 65,536 bytes ignored",
            b"stop web " + b" " * 1024 * 1024: "line of more than 65,536 bytes ignored",
            JUNK: "",
        }
        assert taskmaster.process.stdin is not None
        for line, answer in lines.items():
            size = len(taskmaster.output)
            taskmaster.process.stdin.write(line + b"\n")
            taskmaster.process.stdin.flush()
            taskmaster.ask("")
            told = taskmaster.output[size:]
            assert answer in told, line[:100]
            assert not CONTROLS.search(told), (line[:100], told[:500])
            assert len(told) < 2000, line[:100]
        assert {name: row["pid"] for name, row in taskmaster.status().items()} == before
        assert "Traceback" not in taskmaster.output + taskmaster.log + taskmaster.errors
        is_an_event_log(taskmaster.log)


def test_random_bytes_on_stdin_and_the_end_is_orderly(tmp_path: Path) -> None:
    taskmaster = Taskmaster(tmp_path, GOOD)
    with taskmaster:
        pids = [row["pid"] for row in taskmaster.status().values()]
        assert taskmaster.process.stdin is not None
        taskmaster.process.stdin.write(os.urandom(300_000) + b"\0" * 100_000 + b"\n" * 1000 + b"\nversion\nsto")
        taskmaster.process.stdin.flush()
        until(
            lambda: "\ntaskmaster 0" in taskmaster.output.partition("Unknown command")[2], "the answer behind the junk"
        )
        assert all(alive(pid) for pid in pids)
        taskmaster.process.stdin.close()
        assert taskmaster.process.wait(30) == 0
        assert not any(alive(pid) for pid in pids)
        assert "Traceback" not in taskmaster.output + taskmaster.log + taskmaster.errors
        is_an_event_log(taskmaster.log)


# ---- what children say


def is_an_event_log(text: str) -> None:
    """Every line is one record, and no character steers a terminal."""
    assert text.endswith("\n")
    for line in text.removesuffix("\n").split("\n"):
        assert EVENT.fullmatch(line), line
    assert not CONTROLS.search(text)


LIE = "2026-01-31T12:00:00.123+01:00 INFO victim state: RUNNING -> FATAL (reaped), a lie"


def test_escapes_of_a_child_do_not_reach_the_terminal(tmp_path: Path) -> None:
    steering = [r"\033[2J", r"\033]0;title\007", r"\033[6n", r"\007", r"\b\b", r"\r", r"\0337", r"\220", r"\302\2332J"]
    text = "".join(f"{n}{each}|" for n, each in enumerate(steering))
    config = f"""
        tasks:
          file: {{command: [printf, '{text}\\033[31mred\\033[0m\\n'], stdout: file.log}}
          memory: {{command: [printf, '{text}\\033[31mred\\033[0m\\n']}}
          error: {{command: [sh, -c, 'printf "$0" >&2; exit 1', '{text}']}}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.type("logs memory --follow")
        taskmaster.type("start all")
        taskmaster.wait_for(file="EXITED", memory="EXITED", error="FATAL")
        for command in ("logs file", "logs memory", "logs error --stderr", "status", "status -l", "show all", "events"):
            told = taskmaster.ask(command)
            assert "1|" in told or command == "events"
            assert not CONTROLS.search(re.sub(r"\x1b\[[0-9;]*m", "", told)), command
        assert "\x1b[31mred\x1b[0m" in taskmaster.ask("logs file"), "colours pass"
        assert not CONTROLS.search(re.sub(r"\x1b\[[0-9;]*m", "", taskmaster.output))
        assert (tmp_path / "file.log").read_bytes().count(b"\x1b[2J") == 1, "the log itself has every byte"
        is_an_event_log(taskmaster.log)


@pytest.mark.parametrize("flags", [(), ("-n",)], ids=["file", "stderr"])
def test_no_child_speaks_in_the_name_of_others(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """What children say or are called never makes a line of the event log that looks like another's."""
    config = rf"""
        defaults: {{autoLaunch: true}}
        tasks:
          victim: {{command: sleep 1000}}
          speaks: {{command: [sh, -c, "printf '\\n%s\\n' \"$0\" | tee /dev/stderr; exit 1", "{LIE}"]}}
          isNamed: {{command: ["none\n{LIE}\n"]}}
          dies: {{command: [sh, -c, "exit 1", "\n{LIE}\n"]}}
    """
    with Taskmaster(tmp_path, config, *flags) as taskmaster:
        log: Callable[[], str] = lambda: taskmaster.errors if flags else taskmaster.log  # noqa: E731
        until(lambda: len(re.findall(r"ERROR (\w+) state: .*FATAL", log())) == 3, f"three failures in {log()}")
        if not flags:
            assert taskmaster.process.stdin is not None
            taskmaster.type(f"stop 'x\x0b{LIE}'")
            taskmaster.type(f"stop x\r{LIE}")
            taskmaster.ask("")
        is_an_event_log(log())
        assert not re.search(r"(?m)^\S+ \w+ victim state: RUNNING -> FATAL", log())
        assert [each.instance for each in processes(tmp_path)] == ["victim"]


def test_what_is_typed_is_one_event_a_line(tmp_path: Path) -> None:
    """Line ends of every alphabet in one typed line."""
    with Taskmaster(tmp_path, GOOD) as taskmaster:
        for end in ("\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"):
            taskmaster.ask(f"stop 'nobody{end}{LIE}'")
        is_an_event_log(taskmaster.log)
        assert not [line for line in taskmaster.log.splitlines() if line.startswith(LIE[:40])]
