"""Commands: any line becomes a command or a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.commands import Command, UsageError, complete, help_text, parse
from tm.core.verbs import BY_NAME, VERBS


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("status", Command("status")),
        ("  status  web -l ", Command("status", ("web",), frozenset({"--long"}))),
        ("status --json", Command("status", (), frozenset({"--json"}))),
        ("start a b", Command("start", ("a", "b"))),
        ("stop 'a b'", Command("stop", ("a b",))),
        ("reload --dry-run", Command("reload", (), frozenset({"--dry-run"}))),
        ("logs web", Command("logs", ("web",))),
        ("logs web 5 -f", Command("logs", ("web",), frozenset({"--follow"}), lines=5)),
        (
            "logs web --since 10m --grep='a b' --until=",
            Command(
                "logs",
                ("web",),
                frozenset({"--since", "--grep", "--until"}),
                {"--since": "10m", "--grep": "a b", "--until": ""},
            ),
        ),
        ("logs web -n 0", Command("logs", ("web",), frozenset({"--lines"}), {"--lines": "0"}, lines=0)),
        ("logs web --help", Command("help", ("logs",))),
        ("logs web --grep -f 5", Command("logs", ("web",), frozenset({"--grep"}), {"--grep": "-f"}, lines=5)),
        ("signal HUP web db", Command("signal", ("web", "db"), signal="HUP")),
        ("scale web 3", Command("scale", ("web",), count=3)),
        ("scale web 0 --json", Command("scale", ("web",), frozenset({"--json"}), count=0)),
        ("check", Command("check")),
        ("check other.yaml", Command("check", ("other.yaml",))),
        ("help status", Command("help", ("status",))),
        ("quit", Command("exit")),
        ("shutdown", Command("shutdown")),
        ("shutdown --keep", Command("shutdown", options=frozenset({"--keep"}))),
        ("pid # comment", Command("pid")),
    ],
)
def test_lines_that_are_commands(line: str, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize("line", ["", "   ", "\t", "# only a comment"])
def test_lines_that_are_nothing(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("statsu", "Unknown command: statsu. Type 'help' for a list of commands. Did you mean 'status'?"),
        ("zzz", "Unknown command: zzz. Type 'help' for a list of commands."),
        ("start", "Please specify the task to start"),
        ("stop", "Please specify the task to stop"),
        ("restart", "Please specify the task to restart"),
        ("show", "Please specify the task to show"),
        ("logs", "Usage: logs <task> [lines]"),
        ("logs a 5 6", "Usage: logs <task> [lines]"),
        ("logs web x", "Please provide a valid number of lines to display."),
        ("logs web -5", "Please provide a valid number of lines to display."),
        ("logs web 0", "Please provide a valid number of lines to display."),
        ("logs web 9999999999", "Please provide a valid number of lines to display."),
        ("logs web \u0663", "Please provide a valid number of lines to display."),
        ("signal", "Usage: signal <signal> <task>"),
        ("signal HUP", "Usage: signal <signal> <task>"),
        ("scale web", "Usage: scale <task> <instances>"),
        ("scale web 1 2", "Usage: scale <task> <instances>"),
        ("scale web some", "Please provide a number of instances from 0 to 10,000."),
        ("scale web -1", "Please provide a number of instances from 0 to 10,000."),
        ("scale web 10001", "Please provide a number of instances from 0 to 10,000."),
        ("scale web 1111111111111", "Please provide a number of instances from 0 to 10,000."),
        ("version now", "'version' takes no arguments. Usage: version [--json]"),
        ("attach", "Usage: attach <instance>"),
        ("attach a b", "'attach' takes one argument. Usage: attach INSTANCE"),
        ("help a b", "'help' takes one argument. Usage: help [CMD] [--json]"),
        (
            "reload --dryrun",
            "'reload' has no option '--dryrun'. Did you mean '--dry-run'? Usage: reload [--dry-run] [--json]",
        ),
        ("logs web 5 -n 5", "Usage: logs <task> [lines]"),
        ("logs web -n x", "Please provide a valid number of lines to display."),
        ("logs web --since", "'--since' takes a value: --since TIME"),
        ("logs web --raw --json", "--raw and --json exclude one another. Usage: logs SEL [N]"),
        ("logs web --raw=1", "'logs' has no option '--raw=1'. Did you mean '--raw'? Usage: logs SEL [N]"),
        ("start --force web", "'start' has no option '--force'. Usage: start SEL ..."),
        ("start 'web", "A quote is not closed."),
    ],
)
def test_what_an_operator_hears(line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(line)
    assert str(error.value).startswith(sentence)
    assert sentence.endswith("[N]") or str(error.value) == sentence


@given(st.text())
def test_any_line_is_a_command_or_a_sentence(line: str) -> None:
    try:
        command = parse(line)
    except UsageError as error:
        assert str(error)
    else:
        assert command is None or command.verb in BY_NAME


@given(st.sampled_from([verb.name for verb in VERBS]), st.lists(st.text()))
def test_any_words_behind_a_verb(verb: str, words: list[str]) -> None:
    try:
        command = parse(" ".join([verb, *words]))
    except UsageError:
        return
    assert command is not None
    assert command.verb == verb


def test_a_command_as_it_could_have_been_typed() -> None:
    for line in ("status", "logs web --grep=a --stderr", "signal HUP web db", "scale web 3"):
        command = parse(line)
        assert command is not None
        assert command.spelled == line


def test_help_names_every_command_and_option() -> None:
    text = help_text(None)
    for verb in VERBS:
        assert f"  {verb.usage}" in text
        assert verb.doc in help_text(verb.name)
        for option in verb.options:
            assert option.name in help_text(verb.name)
    assert "also: quit" in help_text("exit")


def test_help_on_what_does_not_exist() -> None:
    with pytest.raises(UsageError, match="Did you mean 'status'"):
        help_text("statu")


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("sta", ["status", "start"]),
        ("", list(BY_NAME)),
        ("start w", ["web", "worker"]),
        ("start web wor", ["worker"]),
        ("status --", ["--long", "--json"]),
        ("help rel", ["reload"]),
        ("logs a", ["all"]),
        ("nothing w", []),
        ("reload w", []),
        ("  ex", ["exit"]),
    ],
)
def test_completion(before: str, words: list[str]) -> None:
    assert complete(before, ["web", "worker"]) == words
