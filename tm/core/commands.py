"""The commands: one declaration that feeds parser, help, completion, manual and the control socket.

Guarantees: `parse` gives a Command or a sentence for the operator, never anything else, for any text.
Leaves to others: which processes a word means (`core.select`) and doing it (`daemon.control`).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tm.core.errors import nearest

DEFAULT_LINES: Final = 10


class Takes(Enum):
    """What words a verb takes."""

    NOTHING = ""
    MAYBE_SELECTION = "[SEL ...]"
    SELECTION = "SEL ..."
    LOG = "SEL [N]"
    SIGNAL = "SIG SEL ..."
    MAYBE_FILE = "[FILE]"
    MAYBE_VERB = "[CMD]"


@dataclass(frozen=True, slots=True)
class Option:
    """A flag of a verb; `short` is its one-letter form or ''."""

    name: str
    doc: str
    short: str = ""


@dataclass(frozen=True, slots=True)
class Verb:
    """A command's declaration. `missing`: what an operator hears who gives no word where one is needed. `reads`: it
    changes nothing; `client`: the client alone has it, by means of others.
    """

    name: str
    takes: Takes
    doc: str
    options: tuple[Option, ...] = ()
    missing: str = ""
    aliases: tuple[str, ...] = ()
    reads: bool = False
    client: bool = False

    @property
    def usage(self) -> str:
        """`status [SEL ...] [-l] [--json]`"""
        flags = [f"[{option.short or option.name}]" for option in self.options]
        return " ".join([self.name, *filter(None, [self.takes.value]), *flags])


@dataclass(frozen=True, slots=True)
class Command:
    """What an operator asked for. `lines` goes with `logs`, `signal` (a word) with `signal`."""

    verb: str
    words: tuple[str, ...] = ()
    options: frozenset[str] = field(default_factory=frozenset)
    lines: int = DEFAULT_LINES
    signal: str = ""


class UsageError(Exception):
    """A line that is not a command; the text is for the operator."""


_JSON = Option("--json", "print JSON, for programs")

VERBS: Final[tuple[Verb, ...]] = (
    Verb(
        "status",
        Takes.MAYBE_SELECTION,
        "show every process, or the ones selected, and what ails those that fail",
        (Option("--long", "also the last change, its cause and who asked", "-l"), _JSON),
        reads=True,
    ),
    Verb("start", Takes.SELECTION, "start processes", missing="Please specify the task to start"),
    Verb(
        "stop",
        Takes.SELECTION,
        "stop processes: the stop signal, then SIGKILL when the grace is over",
        missing="Please specify the task to stop",
    ),
    Verb(
        "restart",
        Takes.SELECTION,
        "stop and start processes; one that is stopped is started",
        missing="Please specify the task to restart",
    ),
    Verb(
        "reload",
        Takes.NOTHING,
        "read the configuration again and carry out the difference",
        (Option("--dry-run", "print the plan and its reasons, do nothing"), _JSON),
    ),
    Verb(
        "logs",
        Takes.LOG,
        f"show the last N lines of output ({DEFAULT_LINES})",
        (
            Option("--stderr", "show stderr instead of stdout"),
            Option("--all", "show both streams"),
            Option("--follow", "go on with what comes, until Ctrl-C", "-f"),
            _JSON,
        ),
        missing="Usage: logs <task> [lines]",
        reads=True,
    ),
    Verb(
        "clear-logs",
        Takes.SELECTION,
        "make the logs of processes empty and remove what was rotated",
        missing="Please specify the task whose logs are to be cleared",
    ),
    Verb("reopen-logs", Takes.NOTHING, "open all logs anew, the daemon's own too, as SIGUSR2 does"),
    Verb(
        "signal",
        Takes.SIGNAL,
        "send a signal to processes, as their killMode says",
        missing="Usage: signal <signal> <task>",
    ),
    Verb("pid", Takes.MAYBE_SELECTION, "print the daemon's pid, or those of processes", (_JSON,), reads=True),
    Verb(
        "show",
        Takes.SELECTION,
        "everything about processes: configuration with its place, process tree, events, last lines",
        (Option("--env", "with the values of the environment (the daemon's own user and root)"), _JSON),
        missing="Please specify the task to show",
        reads=True,
    ),
    Verb(
        "events",
        Takes.MAYBE_SELECTION,
        "show what happened lately",
        (Option("--follow", "go on with what comes, until Ctrl-C", "-f"), _JSON),
        reads=True,
    ),
    Verb(
        "top",
        Takes.MAYBE_SELECTION,
        "the table of status, kept current until q (taskmasterctl only)",
        reads=True,
        client=True,
    ),
    Verb(
        "check",
        Takes.MAYBE_FILE,
        "check a configuration, the daemon's own by default, and change nothing",
        (_JSON,),
        reads=True,
    ),
    Verb("help", Takes.MAYBE_VERB, "list the commands, or explain one", (_JSON,), reads=True),
    Verb("version", Takes.NOTHING, "print the version", (_JSON,), reads=True),
    Verb("shutdown", Takes.NOTHING, "stop everything in order; the daemon leaves"),
    Verb("exit", Takes.NOTHING, "leave taskmasterctl; at the daemon's own prompt, shutdown", aliases=("quit",)),
)

BY_NAME: Final[Mapping[str, Verb]] = {name: verb for verb in VERBS for name in (verb.name, *verb.aliases)}


def parse(line: str) -> Command | None:
    """The command of one typed line; None for an empty one. Raises UsageError."""
    words = split(line)
    return parse_words(words) if words else None


def split(line: str) -> list[str]:
    """The words of one typed line. Raises UsageError."""
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        raise UsageError("A quote is not closed.") from None


def parse_words(words: Sequence[str]) -> Command:
    """The command of words that somebody else has cut: at least a verb. Raises UsageError."""
    verb = BY_NAME.get(words[0])
    if verb is None:
        raise UsageError(unknown(words[0]))
    flags = [word for word in words[1:] if _is_flag(word)]
    rest = [word for word in words[1:] if not _is_flag(word)]
    return _fill(verb, rest, frozenset(_flag(verb, word) for word in flags))


def unknown(word: str) -> str:
    """What an operator hears who typed a verb that does not exist."""
    hint = nearest(word, BY_NAME)
    meant = f" Did you mean '{hint}'?" if hint else ""
    return f"Unknown command: {word[:80]}. Type 'help' for a list of commands.{meant}"


def _is_flag(word: str) -> bool:
    return word.startswith("-") and len(word) > 1 and not word[1:].isdecimal()


def _flag(verb: Verb, word: str) -> str:
    for option in verb.options:
        if word in (option.name, option.short):
            return option.name
    hint = nearest(word, [option.name for option in verb.options])
    meant = f" Did you mean '{hint}'?" if hint else ""
    raise UsageError(f"'{verb.name}' has no option '{word[:80]}'.{meant} Usage: {verb.usage}")


def _fill(verb: Verb, words: list[str], options: frozenset[str]) -> Command:
    match verb.takes:
        case Takes.NOTHING if words:
            raise UsageError(f"'{verb.name}' takes no arguments. Usage: {verb.usage}")
        case Takes.MAYBE_FILE | Takes.MAYBE_VERB if len(words) > 1:
            raise UsageError(f"'{verb.name}' takes one argument. Usage: {verb.usage}")
        case Takes.SELECTION | Takes.LOG if not words:
            raise UsageError(verb.missing)
        case Takes.SIGNAL if len(words) < 2:
            raise UsageError(verb.missing)
        case Takes.SIGNAL:
            return Command(verb.name, tuple(words[1:]), options, signal=words[0])
        case Takes.LOG:
            return Command(verb.name, (words[0],), options, lines=_lines(verb, words[1:]))
        case _:
            return Command(verb.name, tuple(words), options)


def _lines(verb: Verb, words: list[str]) -> int:
    if not words:
        return DEFAULT_LINES
    if len(words) > 1:
        raise UsageError(verb.missing)
    if not (words[0].isascii() and words[0].isdecimal()) or len(words[0]) > 9 or int(words[0]) == 0:
        raise UsageError("Please provide a valid number of lines to display.")
    return int(words[0])


def help_text(word: str | None) -> str:
    """The list of commands, or one command's usage and options. Raises UsageError for an unknown one."""
    if word is None:
        width = max(len(verb.usage) for verb in VERBS)
        listed = [f"  {verb.usage:<{width}}  {verb.doc}" for verb in VERBS]
        return "\n".join(["Commands:", *listed, "", SELECTION_HELP])
    verb = BY_NAME.get(word)
    if verb is None:
        raise UsageError(unknown(word))
    lines = [f"Usage: {verb.usage}", f"  {verb.doc}"]
    lines += [f"  {', '.join(filter(None, (each.short, each.name))):<14} {each.doc}" for each in verb.options]
    if verb.aliases:
        lines.append(f"  also: {', '.join(verb.aliases)}")
    return "\n".join(lines)


SELECTION_HELP: Final = (
    "SEL is 'all', a task, an instance (worker_2), worker:worker_2, worker:*, a glob (work*) or @label."
)


def complete(before: str, names: list[str]) -> list[str]:
    """What could stand at the end of the line `before`, whose last word may be unfinished."""
    words = before.split(" ")
    word, first = words[-1], not "".join(words[:-1]).strip()
    if first:
        return [name for name in BY_NAME if name.startswith(word)]
    verb = BY_NAME.get(before.split()[0])
    if verb is None:
        return []
    candidates = [option.name for option in verb.options]
    if verb.takes is Takes.MAYBE_VERB:
        candidates += BY_NAME
    elif verb.takes in (Takes.SELECTION, Takes.MAYBE_SELECTION, Takes.LOG, Takes.SIGNAL):
        candidates += ["all", *names]
    return [each for each in candidates if each.startswith(word)]


def is_for_owners(command: Command) -> bool:
    """Whether only root and the daemon's own user may ask for it: it shows what others may not be able to read."""
    return "--env" in command.options or (command.verb == "check" and bool(command.words))
