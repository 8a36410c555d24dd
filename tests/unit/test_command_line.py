"""A command as text: run directly, unless it holds what only a shell understands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.command_line import BadCommand, argv, syntax
from tm.core.template import Slot, Template


def words(command: str | tuple[str, ...], shell: bool | None = None, here: str = "/etc/tm") -> list[str]:
    return [each.text for each in argv(command, shell, here)]


@pytest.mark.parametrize(
    ("text", "direct"),
    [
        ("sleep 10", ["sleep", "10"]),
        ("  sleep  10  ", ["sleep", "10"]),
        ("sleep 10\n", ["sleep", "10"]),
        ("nginx -g 'daemon off;'", ["nginx", "-g", "daemon off;"]),
        ('python3 -c "print(1); print(2)"', ["python3", "-c", "print(1); print(2)"]),
        ("echo '$HOME | *'", ["echo", "$HOME | *"]),
        (r"echo \$HOME \* \~", ["echo", "$HOME", "*", "~"]),
        ("echo a~ x=~", ["echo", "a~", "x=~"]),
        ("echo '~' \"~\"", ["echo", "~", "~"]),
        ("run A=1", ["run", "A=1"]),
        ("cdrecord x", ["cdrecord", "x"]),
        ("'cd' x", ["cd", "x"]),
        ("run {a,b} {}", ["run", "{a,b}", "{}"]),
        ("run ''", ["run", ""]),
        ("run # x", ["run", "#", "x"]),
        ("sh -c 'one\ntwo'", ["sh", "-c", "one\ntwo"]),
    ],
)
def test_without_shell_syntax_no_shell(text: str, direct: list[str]) -> None:
    assert words(text) == direct


@pytest.mark.parametrize(
    "text",
    [
        "a | b",
        "a & b",
        "a; b",
        "a && b",
        "(a)",
        "a `b`",
        "a $(b)",
        "a\nb",
        "A=1",
        "A=1 B=2",
        "A=1 cd /x",
        "A=1 echo x",
        "A=1 $RUN",
        "A=1 b | c",
        "A=$(x) b",
        "A=1 \\\n cd x",
        "$RUN",
        "$RUN x",
        "cd /x",
        ". /x",
        "exit 3",
        "exec a",
        "ulimit -n 5",
        "while true",
        "case x",
        "{ a",
        "! a",
        "[ -f x ]",
        "echo $HOME",
        "test $A",
    ],
)
def test_the_shell_gets_the_text_as_it_is(text: str) -> None:
    assert words(text) == ["/bin/sh", "-c", text]


@pytest.mark.parametrize(
    "text",
    [
        "run $HOME",
        'run "$HOME"',
        "run > f",
        "run < f",
        "run *.c",
        "run a?",
        "run ~/x",
        "~/run",
        "$D/bin/run x",
        r'run "\$x"',
        "run \\\n x",
    ],
)
def test_a_simple_command_is_executed_by_the_shell_in_its_place(text: str) -> None:
    assert words(text) == ["/bin/sh", "-c", f"exec {text}"]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("A=1 run x", "A=1 exec run x"),
        ('A=1  B=\'x y\'\tC="a \\" $b" D=x\\ y run z', 'A=1  B=\'x y\'\tC="a \\" $b" D=x\\ y exec run z'),
        ("A= ./run >f", "A= exec ./run >f"),
    ],
)
def test_behind_assignments_the_program_still_takes_the_place_of_the_shell(text: str, script: str) -> None:
    assert words(text) == ["/bin/sh", "-c", script]


def test_a_slot_within_and_behind_assignments() -> None:
    assert argv("A='x {n} y' {task} z", None, "/")[2] == Template(("A='x ", Slot.N, " y' exec ", Slot.TASK, " z"))


def test_a_list_never_meets_a_shell() -> None:
    assert words(("run", "$HOME", "a | b", "")) == ["run", "$HOME", "a | b", ""]


def test_the_shell_can_be_forced_and_forbidden() -> None:
    assert words("run x", shell=True) == ["/bin/sh", "-c", "exec run x"]
    assert words("run $x | y", shell=False) == ["run", "$x", "|", "y"]
    assert words(("run",), shell=False) == ["run"]


@pytest.mark.parametrize(
    ("command", "shell", "why"),
    [
        ("", None, "the command is empty"),
        ("  \n", None, "the command is empty"),
        ("''", None, "the command is empty"),
        ("", True, "the command is empty"),
        ((), None, "the command is empty"),
        (("", "x"), None, "the command is empty"),
        (("run",), True, "a list is never given to a shell, and 'shell: true' asks for one"),
        ("run 'x", None, "a quote is not closed, or a backslash ends it"),
        ('run "x', None, "a quote is not closed, or a backslash ends it"),
        ("run x\\", None, "a quote is not closed, or a backslash ends it"),
        ("run $x 'y", None, "a quote is not closed, or a backslash ends it"),
    ],
)
def test_what_is_no_command_is_refused(command: str | tuple[str, ...], shell: bool | None, why: str) -> None:
    with pytest.raises(BadCommand) as caught:
        argv(command, shell, "/")
    assert caught.value.why == why


@pytest.mark.parametrize("text", ["cat <<E\nit's\nE", "run $x # it's"])
def test_an_apostrophe_that_only_the_shell_can_judge_is_left_to_it(text: str) -> None:
    assert words(text)[0] == "/bin/sh"


def test_slots_are_replaced_where_they_are_whole_words() -> None:
    assert argv("run {n} x{n} {task} {instance} {here}", None, "/my dir") == (
        Template(("run",)),
        Template((Slot.N,)),
        Template(("x{n}",)),
        Template((Slot.TASK,)),
        Template((Slot.INSTANCE,)),
        Template(("/my dir",)),
    )
    assert argv(("{task}", "--n={n}"), None, "/") == (Template((Slot.TASK,)), Template(("--n={n}",)))


def test_slots_are_replaced_in_a_text_for_the_shell_and_the_directory_is_quoted() -> None:
    script = argv("cd {here} && run {n} x{n}", None, "/my dir")[2]
    assert script == Template(("cd '/my dir' && run ", Slot.N, " x{n}"))


@given(st.text())
def test_any_text_is_a_command_or_refused(text: str) -> None:
    try:
        found = argv(text, None, "/")
    except BadCommand:
        return
    assert found[0].parts


@given(st.text(alphabet="ab '\"\\"))
def test_a_text_of_words_and_quotes_needs_no_shell(text: str) -> None:
    assert not syntax(text).needed
