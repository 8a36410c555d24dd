"""A whole configuration: keys, defaults, merges, names, and what has to hold between tasks."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reading import Files, config, found, problems, task
from tm.core import loading as module
from tm.core.config import EMPTY, Config
from tm.core.context import absolute
from tm.core.errors import ConfigError
from tm.core.field import Field
from tm.core.loading import load
from tm.core.setting_keys import FIELDS as SETTING_FIELDS
from tm.core.settings import Settings
from tm.core.task import MERGED, KillMode, Restart, Task, instance_name
from tm.core.task_keys import FIELDS
from tm.core.template import Slot, Template

MINIMAL = "tasks: {web: {command: run}}"

A_VALUE = {
    "command": "run",
    "shell": "true",
    "instances": "2",
    "autoLaunch": "true",
    "restart": "on-failure",
    "expectedExitCodes": "[0, 2]",
    "restartsAttempts": "1",
    "stopSignal": "INT",
    "killMode": "process",
    "stdout": "/log",
    "stderr": "stdout",
    "readiness": "{tcp: 'localhost:80'}",
    "liveness": "{http: 'http://[::1]/'}",
    "logMaxSize": "1KiB",
    "logKeep": "1",
    "logTimestamps": "true",
    "onLogError": "discard",
    "environment": "{A: b}",
    "envFile": "'x?'",
    "workingDirectory": "/w",
    "umask": "077",
    "user": "www",
    "group": "www",
    "limits": "{core: 0}",
    "nice": "1",
    "cpuAffinity": "0-1",
    "oomScoreAdjust": "100",
    "memoryMax": "1GiB",
    "sockets": "{http: 'tcp://127.0.0.1:80'}",
    "dependsOn": "other",
    "critical": "true",
    "hooks": "{preStart: run}",
    "watch": "src",
    "tty": "true",
    "description": "text",
    "labels": "a",
    "priority": "1",
    "tailMemory": "1MiB",
    "inheritEnvironment": "false",
    "logfile": "/log",
    "logLevel": "debug",
    "logFormat": "json",
    "stateDir": "/state",
    "socketGroup": "www",
    "oneshot": "true",
    "schedule": "'30 3 * * mon-fri'",
    "timeZone": "UTC",
    "overlap": "kill",
}
"""A value of each key that is not its default; durations have `7s`."""


def spellings(fields: tuple[Field, ...]) -> list[Any]:
    return [pytest.param(each, spelling, id=spelling) for each in fields for spelling in each.spellings]


# ---- keys


def test_a_task_has_the_defaults_of_the_contract() -> None:
    web = config(MINIMAL).tasks["web"]
    assert web == Task(
        name="web",
        command="run",
        argv=(Template(("run",)),),
        shell=None,
        instances=1,
        auto_launch=False,
        restart=Restart.NEVER,
        expected_exit_codes=frozenset({0}),
        successful_start_timeout_s=5.0,
        restarts_attempts=3,
        restart_delay_s=0.5,
        restart_delay_max_s=60.0,
        stop_signal=signal.SIGTERM,
        graceful_stop_timeout_s=10.0,
        kill_mode=KillMode.GROUP,
        stdout=None,
        stderr=None,
        log_max_size_bytes=10 * 1024 * 1024,
        log_keep=5,
        log_timestamps=False,
        log_format="raw",
        on_log_error="wait",
        environment=(),
        env_file=(),
        working_directory=Template(("/start",)),
        umask=0o022,
        user=None,
        group=None,
        limits=(),
        nice=None,
        readiness=None,
        liveness=None,
        cpu_affinity=None,
        oom_score_adjust=None,
        memory_max_bytes=None,
        max_age_s=None,
        sockets=(),
        depends_on=(),
        watchdog_s=None,
        critical=False,
        hooks=(),
        watch=None,
        tty=False,
        description="",
        labels=(),
        priority=999,
        places={},
    )


def test_the_daemon_has_the_defaults_of_its_dataclass() -> None:
    assert config(MINIMAL).settings == Settings()
    context = module.Context(Files({}), "/")
    assert {each.attribute: each.default_for(context) for each in SETTING_FIELDS} == {
        each.attribute: getattr(Settings(), each.attribute) for each in SETTING_FIELDS
    }


@pytest.mark.parametrize(("each", "spelling"), spellings(FIELDS))
def test_every_spelling_of_a_key_of_a_task_is_read(each: Field, spelling: str) -> None:
    written = f"{spelling}: {A_VALUE.get(each.key, '7s')}"
    needed = "\nschedule: '@daily'" if each.key in ("timeZone", "overlap") else ""
    web = task(written if each.key == "command" else f"command: run x\n{written}{needed}")
    default = config(MINIMAL).tasks["web"]
    if each.key != "command":
        assert getattr(web, each.attribute) != getattr(default, each.attribute)
    assert web.places[each.key].column == 5


@pytest.mark.parametrize(("each", "spelling"), spellings(SETTING_FIELDS))
def test_every_spelling_of_a_key_of_the_daemon_is_read(each: Field, spelling: str) -> None:
    read = config(f"{MINIMAL}\ntaskmaster: {{{spelling}: {A_VALUE.get(each.key, '7s')}}}").settings
    assert getattr(read, each.attribute) != getattr(Settings(), each.attribute)


@pytest.mark.parametrize("each", FIELDS, ids=lambda each: each.key)
def test_a_key_without_value_counts_as_not_given(each: Field) -> None:
    if each.key == "command":
        assert found("tasks: {web: {command: }}") == [("web.yaml:1:9", "no-command")]
    else:
        assert task(f"command: run\n{each.key}:\n") == task("command: run")
        assert task(f"command: run\n{each.key}: ~\n").places.keys() == {"command"}


def test_unknown_keys_are_told_at_every_level_with_the_nearest() -> None:
    top = "defaults: {umsk: 1}\ntaskmaster: {loglevel: info}\nzzz: 1\n"
    told = problems("task: {}\ntasks: {web: {command: x, instnces: 3}}\n" + top)
    assert [(str(each.place), each.id, each.suggestion) for each in told] == [
        ("web.yaml:1:1", "unknown-key", "did you mean 'tasks'?"),
        ("web.yaml:2:27", "unknown-key", "did you mean 'instances'?"),
        ("web.yaml:3:12", "unknown-key", "did you mean 'umask'?"),
        ("web.yaml:4:14", "unknown-key", "did you mean 'logLevel'?"),
        ("web.yaml:5:1", "unknown-key", "a task stands below 'tasks:'"),
    ]


def test_x_keys_are_free_at_every_level() -> None:
    web = "web: {command: x, x-c: [3], limits: {x-f: [4], core: 0}}"
    text = f"x-a: 1\ntasks: {{x-b: 2, {web}}}\ndefaults: {{x-d: 4}}\ntaskmaster: {{x-e: 5}}\n"
    assert config(text).tasks["web"].limits == (("core", 0, 0),)


def test_two_spellings_of_one_key_are_told() -> None:
    assert found("tasks: {web: {cmd: a, command: b}}") == [("web.yaml:1:23", "duplicate-key")]
    assert found("tasks: {}\nprograms: {}\n") == [("web.yaml:2:1", "duplicate-key")]


def test_a_merged_key_yields_to_any_spelling() -> None:
    text = "x-base: &base {cmd: a, umask: 077}\ntasks: {web: {<<: *base, command: b}}"
    web = config(text).tasks["web"]
    assert (web.command, web.umask) == ("b", 0o077)


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = "tasks:\n  web:\n    instances: x\n    umask: 9\n    shell: 7\n  all: {command: x}\n"
    assert found(text) == [
        ("web.yaml:2:3", "no-command"),
        ("web.yaml:3:16", "bad-number"),
        ("web.yaml:4:12", "bad-umask"),
        ("web.yaml:5:12", "bad-switch"),
        ("web.yaml:6:3", "bad-name"),
    ]


def test_a_problem_is_rendered_with_line_caret_and_nearest_word() -> None:
    (one,) = problems("tasks:\n  web:\n    command: x\n    instnces: 3\n")
    assert one.render() == (
        "web.yaml:4:5: unknown key 'instnces' in task 'web' [unknown-key]\n"
        "    4 |     instnces: 3\n"
        "      |     ^~~~~~~~\n"
        "  expected a key of a task; did you mean 'instances'?"
    )


# ---- the file


@pytest.mark.parametrize("text", ["tasks:", "tasks: {}", "tasks: ~", "programs: {}", "include: []", "include:"])
def test_no_tasks_are_fine_when_that_is_said(text: str) -> None:
    assert config(text) == Config("web.yaml", {}, Settings())


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing", "---", "~"])
def test_an_empty_file_is_a_problem(text: str) -> None:
    (one,) = problems(text)
    assert one.message == "the file is empty" and "tasks:" in one.expected


def test_a_file_without_tasks_is_a_problem() -> None:
    assert found("taskmaster: {}") == [("web.yaml:1:1", "no-tasks")]


@pytest.mark.parametrize(
    "text",
    ["tasks: []", "tasks: x", "tasks: {web: run}", "tasks: {}\ndefaults: []", "tasks: {}\ntaskmaster: 1"],
)
def test_what_should_be_a_mapping_and_is_not(text: str) -> None:
    assert [identity for _, identity in found(text)] == ["wrong-shape"]


def test_a_name_with_nothing_below_it_has_no_command() -> None:
    assert found("tasks:\n  web:\n") == [("web.yaml:2:3", "no-command")]
    assert config("tasks:\n  web:\ndefaults: {cmd: x}\n").tasks["web"].command == "x"


def test_empty_sections_are_fine() -> None:
    assert config(f"{MINIMAL}\ndefaults:\ntaskmaster:\ninclude:\n").tasks


def test_the_empty_configuration_keeps_nothing() -> None:
    assert Config("", {}, Settings()) == EMPTY


def test_tasks_are_in_the_order_of_the_file() -> None:
    assert list(config("tasks: {z: {cmd: x}, a: {cmd: x}, m: {cmd: x}}").tasks) == ["z", "a", "m"]


def test_equal_configurations_are_equal_wherever_they_are_written() -> None:
    assert config(MINIMAL) == config(f"\n\n{MINIMAL}  # moved")


@pytest.mark.parametrize("name", ["a", "A-1", "0", "web.eu_1", "n" * 128, "022", "yes"])
def test_a_name(name: str) -> None:
    assert list(config(f"tasks: {{{name}: {{cmd: x}}}}").tasks) == [name]


@pytest.mark.parametrize("name", ["all", "-a", ".a", "_a", "a b", "a/b", "é", "''", "n" * 129, '"a\\n"'])
def test_no_name(name: str) -> None:
    assert found(f"tasks: {{{name}: {{cmd: x}}}}") == [("web.yaml:1:9", "bad-name")]


def test_instances_are_named_after_their_task() -> None:
    assert [task("cmd: x\ninstances: 2").instance(n) for n in (1, 2)] == ["web_1", "web_2"]
    assert task("cmd: x").instance(1) == instance_name("web", 1, 1) == "web"


def test_two_tasks_of_one_name_are_told() -> None:
    assert found("tasks:\n  web: {cmd: x}\n  web: {cmd: y}\n") == [("web.yaml:3:3", "duplicate-key")]


def test_a_task_named_like_an_instance_of_another_is_told() -> None:
    clash = "tasks:\n  web: {cmd: x, instances: 2}\n  web_2: {cmd: x}\n"
    assert found(clash) == [("web.yaml:3:3", "two-of-a-name")]
    assert found(clash.replace("web_2", "web_1")) == [("web.yaml:3:3", "two-of-a-name")]


@pytest.mark.parametrize(
    ("tasks"),
    [
        "{web: {cmd: x, instances: 2}, web_3: {cmd: x}}",
        "{web: {cmd: x, instances: 2}, web_0: {cmd: x}}",
        "{web: {cmd: x, instances: 2}, web_02: {cmd: x}}",
        "{web: {cmd: x, instances: 2}, web_1: {cmd: x, instances: 2}}",
        "{web: {cmd: x}, web_1: {cmd: x}}",
        "{web_1: {cmd: x}}",
    ],
)
def test_names_that_do_not_clash(tasks: str) -> None:
    assert config(f"tasks: {tasks}").tasks


# ---- defaults


def test_defaults_are_for_every_task_that_does_not_say_otherwise() -> None:
    tasks = config("tasks: {a: {cmd: x}, b: {cmd: x, umask: '027'}}\ndefaults: {umask: '077', autostart: true}").tasks
    assert [(each.umask, each.auto_launch) for each in tasks.values()] == [(0o077, True), (0o027, True)]
    assert str(tasks["a"].places["umask"]) == "web.yaml:2:12"


def test_environments_are_merged_variable_by_variable() -> None:
    web = config("defaults: {env: {A: 1, B: 2}}\ntasks: {web: {cmd: x, environment: {B: 3, C: 4}}}").tasks["web"]
    assert [(key, value.text) for key, value in web.environment] == [("A", "1"), ("B", "3"), ("C", "4")]


def test_a_bad_default_is_told_once() -> None:
    text = 'defaults: {umask: 9, command: "\'"}\ntasks: {a: {}, b: {cmd: x}, c: {}}'
    assert found(text) == [("web.yaml:1:19", "bad-umask"), ("web.yaml:1:31", "bad-command")]


def test_a_default_command_that_is_refused_is_not_missing_as_well() -> None:
    assert found("defaults: {command: {a: b}}\ntasks: {a: {}}") == [("web.yaml:1:21", "wrong-shape")]


# ---- what belongs together within a task


def test_the_command_is_kept_as_written_and_made_into_words() -> None:
    web = task("cmd: run {n} {here}")
    assert web.command == "run {n} {here}"
    assert web.argv == (Template(("run",)), Template((Slot.N,)), Template(("/start",)))
    assert task("cmd: [run, 010]").command == ("run", "010")


def test_a_list_for_the_shell_is_refused_where_the_list_stands() -> None:
    assert found("tasks: {web: {shell: true, cmd: [x]}}") == [("web.yaml:1:33", "bad-command")]


def test_a_delay_over_the_default_maximum_raises_it() -> None:
    assert task("cmd: x\nrestartDelay: 90").restart_delay_max_s == 90
    assert task("cmd: x\nrestartDelay: 90\nrestartDelayMax: 2m").restart_delay_max_s == 120


def test_a_maximum_below_the_delay_is_refused() -> None:
    assert found("tasks: {web: {cmd: x, restartDelay: 9, restartDelayMax: 8}}") == [("web.yaml:1:57", "out-of-range")]


def test_stderr_can_follow_stdout() -> None:
    web = task("cmd: x\nstdout: '{instance}.log'\nstderr: stdout")
    assert web.stdout == Template(("/start/", Slot.INSTANCE, ".log"))
    assert web.stderr == MERGED


def test_values_of_the_environment_are_not_in_the_text_of_a_task() -> None:
    assert "hunter2" not in repr(task("cmd: x\nenv: {A: hunter2}"))


# ---- logs of several tasks


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("stdout: /log", "stdout: /log"),
        ("stdout: /log", "stderr: /./log"),
        ("stdout: '/log/{n}'", "stderr: '/log/{n}'"),
        ("stdout: '/log/{task}'", "stdout: /log/b"),
    ],
)
def test_one_log_with_two_rotations_is_told(one: str, other: str) -> None:
    text = f"tasks:\n  a: {{cmd: x, {other}, logKeep: 1}}\n  b: {{cmd: x, {one}}}\n"
    assert found(text) == [("web.yaml:3:15", "two-rotations")]
    assert config(text.replace(", logKeep: 1", "")).tasks


def test_logs_of_their_own_may_rotate_as_they_like() -> None:
    text = "defaults: {stdout: '{task}.log', stderr: stdout}\ntasks: {a: {cmd: x, logKeep: 1}, b: {cmd: x}}"
    assert len(config(text).tasks) == 2
    assert config("tasks: {a: {cmd: x, instances: 2, stdout: '{instance}'}, b: {cmd: x, stdout: b, logKeep: 1}}").tasks


def test_a_rotation_that_was_refused_is_not_compared() -> None:
    text = "tasks: {a: {cmd: x, stdout: /l, logKeep: 1}, b: {cmd: x, stdout: /l, logKeep: x}}"
    assert [identity for _, identity in found(text)] == ["bad-number"]


@pytest.mark.parametrize(("key", "column"), [("user", 15), ("group", 15)])
def test_a_user_of_the_daemon_and_one_of_a_task_are_told(key: str, column: int) -> None:
    text = f"taskmaster: {{user: www}}\ntasks:\n  a: {{cmd: x, {key}: root}}\n  b: {{cmd: x}}\n".replace(
        "group: root", "group: wheel"
    )
    (problem,) = problems(text)
    assert (str(problem.place), problem.id) == (f"web.yaml:3:{column}", "two-users")
    assert "(web.yaml:1:14)" in problem.message
    assert config(text.replace("taskmaster: {user: www}", "")).tasks
    assert config("taskmaster: {user: www}\ntasks: {a: {cmd: x}}").settings.user == "www"


def test_a_user_of_the_command_line_counts_as_well() -> None:
    files = Files({"web.yaml": "tasks: {a: {cmd: x, user: www}}"})
    assert load("web.yaml", files).tasks
    with pytest.raises(ConfigError) as caught:
        load("web.yaml", files, "--user")
    assert [(each.id, "(--user)" in each.message) for each in caught.value.problems] == [("two-users", True)]


# ---- whatever the file holds


@pytest.mark.parametrize(
    ("path", "seen"), [("a", "/w/a"), ("../a", "/a"), ("/x//y/./z", "/x/y/z"), ("//x", "/x"), ("", "/w")]
)
def test_a_path_is_made_absolute(path: str, seen: str) -> None:
    assert absolute(path, "/w") == seen


FULL = "\n".join(
    [
        "x-base: &base {umask: '027', env: {A: secret}}",
        "defaults: {autoLaunch: true, environment: {B: '${HOME}'}}",
        "include: [conf.d/*.yaml, other.yaml]",
        "taskmaster: {restartFloor: 2s, logLevel: info}",
        "tasks:",
        "  web:",
        "    <<: *base",
        "    command: run {n} | tee",
        *(f"    {each.key}: {A_VALUE.get(each.key, '7s')}" for each in FIELDS if each.key not in {"command", "umask"}),
        "  other: {cmd: [a, b]}",
    ]
)


def loads(text: str) -> None:
    """Loading gives a configuration or problems that can be told, and nothing else."""
    try:
        load("web.yaml", Files({"web.yaml": text, "other.yaml": "tasks:", "conf.d/a.yaml": "tasks: {c: {cmd: x}}"}))
    except ConfigError as error:
        assert error.problems and str(error)


def test_the_full_text_is_a_configuration() -> None:
    files = Files({"web.yaml": FULL, "other.yaml": "tasks:", "conf.d/a.yaml": "tasks: {c: {cmd: x}}"})
    assert list(load("web.yaml", files).tasks) == ["c", "web", "other"]


@given(st.text())
def test_any_text_is_a_configuration_or_problems(text: str) -> None:
    loads(text)


@given(
    at=st.integers(0, len(FULL)),
    length=st.integers(0, 40),
    instead=st.text(alphabet="abc:-[]{}&*!|>'\"%@`#?,\n \t\\<=~019", max_size=12),
)
def test_a_changed_configuration_is_one_or_problems(at: int, length: int, instead: str) -> None:
    loads(FULL[:at] + instead + FULL[at + length :])


@given(st.permutations(FULL.split("\n")), st.integers(1, 20))
def test_lines_in_any_order_are_a_configuration_or_problems(lines: list[str], count: int) -> None:
    loads("\n".join(lines[:count]))


def test_problems_without_end_are_cut_off() -> None:
    text = "tasks: {" + ", ".join(f"-t{n}: {{}}" for n in range(2000)) + "}"
    assert len(problems(text)) == 1000
