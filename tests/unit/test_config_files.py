"""Several files: includes, env files, and what of them cannot be read."""

from __future__ import annotations

import pytest

from tests.unit.reading import Files, config, found, problems
from tm.core.errors import ConfigError, Missing, Unreadable
from tm.core.loading import load

A = "tasks: {a: {cmd: x}}"
B = "tasks: {b: {cmd: x}}"


def loaded(files: dict[str, str | Unreadable], path: str = "web.yaml") -> list[str]:
    return list(load(path, Files(files)).tasks)


def refused(files: dict[str, str | Unreadable]) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load("web.yaml", Files(files))
    return [(str(each.place), each.id) for each in caught.value.problems]


# ---- includes


def test_an_include_puts_its_tasks_where_it_stands() -> None:
    web = "tasks: {web: {cmd: x}}"
    assert loaded({"web.yaml": f"include: a.yaml\n{web}", "a.yaml": A}) == ["a", "web"]
    assert loaded({"web.yaml": f"{web}\ninclude: a.yaml", "a.yaml": A}) == ["web", "a"]
    assert loaded({"web.yaml": "include: [b.yaml, a.yaml]", "a.yaml": A, "b.yaml": B}) == ["b", "a"]


def test_an_include_is_relative_to_its_file_and_nested() -> None:
    files: dict[str, str | Unreadable] = {
        "/etc/tm/web.yaml": "include: conf/a.yaml",
        "/etc/tm/conf/a.yaml": f"include: b.yaml\n{A}",
        "/etc/tm/conf/b.yaml": B,
    }
    assert loaded(files, "/etc/tm/web.yaml") == ["b", "a"]


def test_a_glob_includes_what_matches_and_may_match_nothing() -> None:
    files: dict[str, str | Unreadable] = {"web.yaml": "include: 'd/*.yaml'\ntasks:", "d/b.yaml": B, "d/a.yaml": A}
    assert loaded(files) == ["a", "b"]
    assert loaded({"web.yaml": "include: 'd/*.yaml'"}) == []


def test_a_folder_with_signs_of_a_glob_means_itself() -> None:
    files: dict[str, str | Unreadable] = {"/[x]/web.yaml": "include: '*.inc'", "/[x]/a.inc": A, "/x/b.inc": B}
    assert loaded(files, "/[x]/web.yaml") == ["a"]


def test_variables_and_here_are_expanded_in_an_include() -> None:
    text = "include: ['${HOME}/a.yaml', '{here}/b.yaml']"
    assert loaded({"web.yaml": text, "/home/me/a.yaml": A, "/start/b.yaml": B}) == ["a", "b"]


@pytest.mark.parametrize(
    ("include", "identity"),
    [
        ("gone.yaml", "unreadable"),
        ("${NO_SUCH}", "unset-variable"),
        ("{a: b}", "wrong-shape"),
        ("[[a]]", "wrong-shape"),
        ("web.yaml", "include-cycle"),
        ("./x/../web.yaml", "include-cycle"),
        ("'*.yaml'", "include-cycle"),
    ],
)
def test_an_include_that_cannot_be_is_told_where_it_stands(include: str, identity: str) -> None:
    ((place, told),) = found(f"include: {include}")
    assert told == identity and place.startswith("web.yaml:1:1")


def test_a_circle_over_several_files_is_told_with_its_way() -> None:
    (one,) = problems("include: a.yaml", a_yaml="include: b.yaml", b_yaml="include: web.yaml")
    assert str(one.place) == "b.yaml:1:10"
    assert one.suggestion == "/start/web.yaml -> /start/a.yaml -> /start/b.yaml -> web.yaml"


def test_includes_without_end_are_refused() -> None:
    files: dict[str, str | Unreadable] = {f"{n}.yaml": f"include: {n + 1}.yaml" for n in range(100)}
    assert refused(files | {"web.yaml": "include: 0.yaml"}) == [("15.yaml:1:10", "include-cycle")]


def test_problems_come_in_the_order_of_the_files() -> None:
    bad = "tasks: {{-{0}: {{cmd: x}}}}"
    text = bad.format(1) + "\ninclude: [b.yaml, a.yaml]"
    assert found(text, a_yaml=bad.format(2), b_yaml=bad.format(3)) == [
        ("web.yaml:1:9", "bad-name"),
        ("b.yaml:1:9", "bad-name"),
        ("a.yaml:1:9", "bad-name"),
    ]


def test_a_name_that_two_files_define_is_told_with_both_places() -> None:
    (one,) = problems(f"{A}\ninclude: a.yaml", a_yaml=A)
    assert (str(one.place), one.id) == ("a.yaml:1:9", "duplicate-task")
    assert "web.yaml:1:9" in one.suggestion


def test_the_daemon_is_configured_in_the_first_file_only() -> None:
    assert found("include: a.yaml", a_yaml=f"{A}\ntaskmaster: {{logLevel: x}}") == [
        ("a.yaml:2:1", "misplaced"),
        ("a.yaml:2:24", "bad-choice"),
    ]


def test_defaults_hold_in_included_files_which_may_have_their_own() -> None:
    text = "defaults: {umask: '077', description: from web, env: {A: 1}}\ninclude: a.yaml\ntasks: {web: {cmd: x}}"
    inner = "tasks: {a: {cmd: x}}\ndefaults: {umask: '027', env: {B: 2}}"
    tasks = config(text, a_yaml=inner).tasks
    assert (tasks["web"].umask, tasks["a"].umask, tasks["a"].description) == (0o077, 0o027, "from web")
    assert [key for key, _ in tasks["a"].environment] == ["A", "B"]


def test_here_is_the_directory_of_the_file_in_which_it_is_written() -> None:
    files = Files(
        {
            "/e/web.yaml": "defaults: {stdout: '{here}/log', command: 'run {here}'}\ninclude: sub/a.yaml",
            "/e/sub/a.yaml": "tasks: {a: {}, b: {cmd: 'run {here}', workingDirectory: '{here}'}}",
        }
    )
    tasks = load("/e/web.yaml", files).tasks
    assert (tasks["a"].argv[1].text, tasks["b"].argv[1].text) == ("/e", "/e/sub")
    assert tasks["a"].stdout and tasks["a"].stdout.text == "/e/log"
    assert tasks["b"].working_directory.text == "/e/sub"


# ---- what cannot be read


def test_a_file_that_cannot_be_read_is_told_with_what_to_do() -> None:
    with pytest.raises(ConfigError) as caught:
        load("web.yaml", Files({"web.yaml": Unreadable("is a directory", "name a file")}))
    assert str(caught.value) == (
        "web.yaml:1:1: 'web.yaml' is a directory [unreadable]\n  name a file\n1 problem in the configuration"
    )


def test_a_file_that_is_not_there() -> None:
    assert refused({}) == [("web.yaml:1:1", "unreadable")]


def test_a_bad_byte_of_an_included_file_is_told_where_it_is() -> None:
    assert refused({"web.yaml": "include: a.yaml", "a.yaml": Unreadable("is not UTF-8", "", 3, 4)}) == [
        ("a.yaml:3:4", "unreadable")
    ]


def test_an_included_file_that_is_no_yaml_hides_nothing_else() -> None:
    assert refused({"web.yaml": "include: a.yaml\ntasks: {-x: {cmd: x}}", "a.yaml": "a: [b"}) == [
        ("web.yaml:2:9", "bad-name"),
        ("a.yaml:1:4", "yaml-bracket"),
    ]


# ---- env files


def variables(text: str, files: dict[str, str | Unreadable]) -> list[tuple[str, str]]:
    web = load("web.yaml", Files({"web.yaml": f"tasks: {{web: {{cmd: x, {text}}}}}"} | files)).tasks["web"]
    return [(key, value.text) for key, value in web.environment]


def test_later_files_win_and_environment_wins_over_all() -> None:
    files: dict[str, str | Unreadable] = {"/start/a.env": "A=1\nB=1\nC=1\n", "/start/b.env": "B=2\nC=2\n"}
    assert variables("envFile: [a.env, b.env], env: {C: 3}", files) == [("A", "1"), ("B", "2"), ("C", "3")]


def test_what_an_env_file_holds_is_not_expanded() -> None:
    files: dict[str, str | Unreadable] = {"/start/a.env": "A=${HOME} {n} $$\n"}
    web = load("web.yaml", Files(files | {"web.yaml": "tasks: {web: {cmd: x, envFile: a.env}}"})).tasks["web"]
    assert web.environment[0][1].parts == ("${HOME} {n} $$",)


def test_an_env_file_can_be_named_after_its_task() -> None:
    assert variables("envFile: '{here}/{task}.env'", {"/start/web.env": "A=1"}) == [("A", "1")]


def test_an_env_file_may_be_missing_when_that_is_said() -> None:
    assert variables("envFile: gone.env?", {}) == []
    assert variables("envFile: 'a.env?'", {"/start/a.env": "A=1"}) == [("A", "1")]


@pytest.mark.parametrize("why", [Missing(), Unreadable("cannot be read: Permission denied")])
def test_an_env_file_that_cannot_be_read_is_told_once_for_all_tasks(why: Unreadable) -> None:
    text = "defaults: {envFile: a.env}\ntasks: {a: {cmd: x}, b: {cmd: x}}"
    assert refused({"web.yaml": text, "/start/a.env": why}) == [("web.yaml:1:21", "unreadable")]


def test_wrong_lines_of_an_env_file_are_told_once_and_without_values() -> None:
    text = "defaults: {envFile: a.env}\ntasks: {a: {cmd: x}, b: {cmd: x}}"
    with pytest.raises(ConfigError) as caught:
        load("web.yaml", Files({"web.yaml": text, "/start/a.env": "A=hunter2\nhunter2\n export B='hunter2\n"}))
    assert [(str(each.place), each.id, each.source) for each in caught.value.problems] == [
        ("/start/a.env:2:1", "bad-env-line", "***"),
        ("/start/a.env:3:11", "bad-env-line", " export B=***"),
    ]
    assert "hunter2" not in str(caught.value)
