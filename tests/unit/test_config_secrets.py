"""Values of the environment appear in no problem, however broken the file is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reading import Files, problems
from tm.core.errors import ConfigError
from tm.core.loading import load
from tm.core.source import may_hold_secrets

SECRET = "hunter2"


def block(text: str) -> str:
    lines = "\n".join(f"    {line}" for line in text.splitlines())
    return f"tasks:\n  web:\n    command: x\n{lines}\n"


@pytest.mark.parametrize(
    "text",
    [
        "environment: hunter2",
        "environment: [hunter2]",
        "environment:\n- hunter2",
        "environment: [A=hunter2, A=hunter2]",
        "environment: {A: [hunter2]}",
        "environment:\n  A: [hunter2]",
        "environment:\n  A: hunter2\n  A: hunter2",
        "environment:\n  A: ${NO_SUCH}hunter2",
        "environment:\n  [hunter2]: x",
        "environment: {[hunter2]: x}",
        "environment:\n  ? {hunter2: x}\n  : y",
        "environment:\n  A: *hunter2",
        "environment:\n  A: !hunter2 x",
        "environment:\n  A: !x!hunter2 x",
        "environment:\n  A: !x hunter2",
        'environment:\n  A: "hunter2\\0"',
        "environment:\n  'A B': hunter2",
        "environment:\n  A:\n    hunter2: [hunter2]",
        "environment:\n  A: |\n    hunter2\n  B: [hunter2]",
        "env: {A: hunter2, B: [x]}",
        "env: {A: hunter2, A: x}",
        "env: {A: hunter2}\ninstnces: 1",
        "x-env: {A: hunter2}\nenvv: {A: hunter2}",
        "enviroment: {A: hunter2}",
        "environment:\n  A: 'hunter2",
        'environment:\n  A: "hunter2\n  B: x',
        "environment:\n  A: 'hunter2'x",
        "environment:\n  A: x\n hunter2",
        "environment:\n  A: hunter2: hunter2",
        "environment:\n  A: @hunter2",
        "environment:\n\tA: hunter2",
        "environment:\n  A: hunter2\n\tB: hunter2",
        "environment:\n  A: |\n    hunter2: x\n  \tB: hunter2\n   C",
        "environment: {A: hunter2",
        "environment: {A: hunter2, B: 'x}",
        "environment: {A: \x01hunter2}",
        "environment:\n  A: \x01hunter2",
        "environment:\n  - A=hunter2: x: y",
        "environment:\n  - A=hunter2\n  - 'B=hunter2",
        "env: {A: hunter2}\n? [",
        "environment:\nPASSWORD: hunter2",
        "environment:\nPASSWORD: hunter2: x",
        "environment\n  A: hunter2",
        "environment:\n  A: x\n  - hunter2",
        "env: " + "[" * 70 + "hunter2",
    ],
)
def test_a_value_of_the_environment_is_in_no_problem(text: str) -> None:
    told = "\n".join(each.render() for each in problems(block(text)))
    assert SECRET not in told


def test_on_one_line_nothing_after_a_value_is_shown_and_the_place_is_right() -> None:
    (one,) = problems("tasks: {web: {env: {A: hunter2}, cmd: x, instnces: 3}}")
    assert (one.source, one.place.column) == ("tasks: {web: {env: {A: ***", 42)
    assert one.render().splitlines()[2].endswith("^")


def test_the_first_secret_of_a_line_hides_the_second() -> None:
    told = problems("tasks: {a: {env: {A: hunter2}, cmd: x}, b: {env: {B: hunter2}, cmd: x, nope: 1}}")
    assert [each.source for each in told] == ["tasks: {a: {env: {A: ***"]


def test_the_name_stays_and_so_do_other_lines() -> None:
    told = problems(block("environment:\n  A: [hunter2]\numask: 9"))
    assert [each.source for each in told] == ["      A: ***", "    umask: 9"]


def test_a_block_that_is_reached_by_an_alias_or_a_merge_is_hidden_as_well() -> None:
    text = "x-a: &a\n  A: [hunter2]\nx-b: &b {B: [hunter2]}\n" + block("environment:\n  <<: [*a, *b]\n  C: *a")
    told = problems(text)
    assert [each.source for each in told] == ["x-a: ***", "  A: ***", "x-b: &b {B: ***"]


def test_an_env_file_is_only_a_path() -> None:
    (one,) = problems(block("envFile: ${NO_SUCH}"))
    assert one.source == "    envFile: ${NO_SUCH}"


@pytest.mark.parametrize(
    ("key", "secret"), [("env", True), ("Environment", True), ("PASSWORD", True), ("envFile", False), ("stdout", False)]
)
def test_which_keys_may_hold_secrets(key: str, secret: bool) -> None:
    assert may_hold_secrets(key) is secret


@given(
    st.lists(
        st.sampled_from(
            [
                *("environment:", "  A: hunter2", "  B: 'hunter2'", "  - A=hunter2", "env: {A: hunter2}"),
                *("  A: |", "    hunter2", "  A: [hunter2]", "\tA: hunter2", "  A: 'hunter2", "  ]", "  *a"),
                *("umask: 9", "cmd: x", "instances: x"),
            ]
        ),
        max_size=8,
    )
)
def test_no_mixture_of_lines_shows_a_value(lines: list[str]) -> None:
    text = "\n".join(["environment:", *lines])
    try:
        load("web.yaml", Files({"web.yaml": block(text)}))
    except ConfigError as error:
        below = [each for each in error.problems if SECRET in each.render()]
        assert all(not owner(text, each.place.line - 4) for each in below)


def owner(text: str, index: int) -> bool:
    """Whether the line stands below an environment, by its indentation: what stands below none is no secret."""
    for line in reversed(text.splitlines()[: index + 1]):
        if not line.startswith((" ", "\t")):
            return line.startswith("env")
    return False
