"""Commands: from what an operator typed to a value, and what can be said of the verbs.

Guarantees: `parse` gives a Command or a sentence for the operator, never anything else, for any text.
Leaves to others: which processes a word means (`core.select`) and doing it (`daemon.control`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tm.core.errors import nearest
from tm.core.task import INSTANCES_MOST
from tm.core.verbs import BY_NAME, VERBS, Option, Takes, Verb


@dataclass(frozen=True, slots=True)
class Command:
    """What an operator asked for. `options`: the names of those given, `values`: of those that take one. `lines`, None
    where no number was given, goes with `logs`; `signal` (a word) with `signal`; `count` with `scale`.
    """

    verb: str
    words: tuple[str, ...] = ()
    options: frozenset[str] = field(default_factory=frozenset)
    values: Mapping[str, str] = field(default_factory=dict)
    lines: int | None = None
    signal: str = ""
    count: int | None = None

    @property
    def spelled(self) -> str:
        """As it could have been typed, 500 characters of it."""
        options = [f"{name}={self.values[name]}" if name in self.values else name for name in sorted(self.options)]
        count = [] if self.count is None else [str(self.count)]
        return " ".join([self.verb, *filter(None, [self.signal]), *self.words, *count, *options])[:500]


class UsageError(Exception):
    """A line that is not a command; the text is for the operator."""


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
    if "--help" in words[1:]:
        return Command("help", (verb.name,))
    rest: list[str] = []
    values: dict[str, str] = {}
    options: set[str] = set()
    following = iter(words[1:])
    for word in following:
        if not _is_flag(word):
            rest.append(word)
            continue
        option, value = _option(verb, word)
        options.add(option.name)
        if option.value:
            values[option.name] = _value(option, value, following)
    return _fill(verb, rest, frozenset(options), values)


def unknown(word: str) -> str:
    """What an operator hears who typed a verb that does not exist."""
    hint = nearest(word, BY_NAME)
    meant = f" Did you mean '{hint}'?" if hint else ""
    return f"Unknown command: {word[:80]}. Type 'help' for a list of commands.{meant}"


def _is_flag(word: str) -> bool:
    return word.startswith("-") and len(word) > 1 and not word[1:].isdecimal()


def _option(verb: Verb, word: str) -> tuple[Option, str | None]:
    """The option that a word names, and the value that stands in it. Raises UsageError."""
    name, equals, value = word.partition("=")
    for option in verb.options:
        if option.value and equals and name == option.name:
            return option, value
        if word in (option.name, option.short):
            return option, None
    hint = nearest(word, [option.name for option in verb.options])
    meant = f" Did you mean '{hint}'?" if hint else ""
    raise UsageError(f"'{verb.name}' has no option '{word[:80]}'.{meant} Usage: {verb.usage}")


def _value(option: Option, given: str | None, following: Iterator[str]) -> str:
    """What an option takes: it stands in its own word, or is the next. Raises UsageError."""
    value = next(following, None) if given is None else given
    if value is None:
        raise UsageError(f"'{option.name}' takes a value: {option.usage}")
    return value


def _fill(verb: Verb, words: list[str], options: frozenset[str], values: Mapping[str, str]) -> Command:
    match verb.takes:
        case Takes.NOTHING if words:
            raise UsageError(f"'{verb.name}' takes no arguments. Usage: {verb.usage}")
        case Takes.MAYBE_FILE | Takes.MAYBE_VERB | Takes.INSTANCE if len(words) > 1:
            raise UsageError(f"'{verb.name}' takes one argument. Usage: {verb.usage}")
        case Takes.SELECTION | Takes.LOG | Takes.INSTANCE if not words:
            raise UsageError(verb.missing)
        case Takes.SIGNAL if len(words) < 2:
            raise UsageError(verb.missing)
        case Takes.SIGNAL:
            return Command(verb.name, tuple(words[1:]), options, signal=words[0])
        case Takes.COUNT:
            return Command(verb.name, tuple(words[:1]), options, count=_count(verb, words))
        case Takes.LOG:
            _agree(verb, options)
            return Command(
                verb.name, (words[0],), options, values, lines=_lines(verb, words[1:], values.get("--lines"))
            )
        case _:
            return Command(verb.name, tuple(words), options)


def _agree(verb: Verb, options: frozenset[str]) -> None:
    """Raises UsageError for options that exclude one another."""
    if {"--raw", "--json"} <= options:
        raise UsageError(f"--raw and --json exclude one another. Usage: {verb.usage}")


def _lines(verb: Verb, words: list[str], named: str | None) -> int | None:
    """How many lines, as the word behind the name or the option says; only the latter can say none."""
    if len(words) > 1 or (words and named is not None):
        raise UsageError(verb.missing)
    if not words and named is None:
        return None
    word, least = (words[0], 1) if named is None else (named, 0)
    if not (word.isascii() and word.isdecimal()) or len(word) > 9 or int(word) < least:
        raise UsageError("Please provide a valid number of lines to display.")
    return int(word)


def _count(verb: Verb, words: list[str]) -> int:
    """How many instances. Raises UsageError."""
    if len(words) != 2:
        raise UsageError(verb.missing)
    word = words[1]
    if not (word.isascii() and word.isdecimal()) or len(word) > 9 or int(word) > INSTANCES_MOST:
        raise UsageError(f"Please provide a number of instances from 0 to {INSTANCES_MOST:,}.")
    return int(word)


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
    spelled = [", ".join(filter(None, (each.short, f"{each.name} {each.value}".rstrip()))) for each in verb.options]
    lines += [f"  {name:<14} {each.doc}" for name, each in zip(spelled, verb.options, strict=True)]
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
    elif verb.takes in (Takes.SELECTION, Takes.MAYBE_SELECTION, Takes.LOG, Takes.SIGNAL, Takes.COUNT, Takes.INSTANCE):
        candidates += ["all", *names]
    return [each for each in candidates if each.startswith(word)]


def is_for_owners(command: Command) -> bool:
    """Whether only root and the daemon's own user may ask for it: it shows what others may not be able to read."""
    return "--env" in command.options or (command.verb == "check" and bool(command.words))
