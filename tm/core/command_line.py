"""A command as text into the words that are executed: by the shell only where the text needs one.

Guarantees: quotes alone need no shell, and what a shell would not treat as syntax (inside of single quotes, escaped)
does not count as such; a simple command that needs the shell, also one behind assignments, is `exec`ed by it, so that
the pid is the program's;
`{task} {instance} {n} {here}` are replaced where one of them is a whole word, and nothing else is.
Leaves to others: whether there is such a program (found out at the start).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final

from tm.core.template import HERE, Slot, Template

SHELL: Final = "/bin/sh"

_ANYWHERE: Final = frozenset("|&;<>()$`*?[\n\\")
_IN_DOUBLE_QUOTES: Final = frozenset("$`")
_COMPOUND: Final = frozenset("|&;()`\n")
_WORDS_OF_THE_SHELL: Final = frozenset(
    re.findall(
        r"\S+",
        "! . : { } alias bg break case cd command continue do done elif else esac eval exec exit export fg fi for "
        "function getopts hash if jobs local read readonly return select set shift source then times trap type ulimit "
        "umask unalias unset until wait while",
    )
)
_BETTER_BY_THE_SHELL: Final = frozenset(("[", "echo", "false", "kill", "printf", "pwd", "test", "true"))
"""Programs that are builtins as well, and not quite the same: never `exec`ed."""
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_ASSIGNMENTS = re.compile(
    rf"""(?:{_ASSIGNMENT.pattern}(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")*[ \t]+)+""", re.DOTALL
)
_SLOT_WORD = re.compile(r"(?<!\S)\{(task|instance|n|here)\}(?!\S)")


class BadCommand(Exception):
    """A text that is no command. `why` is a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Syntax:
    """What the shell would see in a text. `needed`: something only it understands; `simple`: one command, no more.

    `start`: where the program's word begins, behind assignments.
    """

    needed: bool
    simple: bool
    balanced: bool
    start: int


def syntax(text: str) -> Syntax:
    """Scan a text as the shell would, as far as quotes and backslashes go."""
    seen, balanced = _unquoted(text)
    assignments = _ASSIGNMENTS.match(text)
    start = assignments.end() if assignments else 0
    first = text[start:].split(None, 1)[0] if text[start:].strip() else ""
    special = first in _WORDS_OF_THE_SHELL or _ASSIGNMENT.match(first) is not None
    unknown = first in _BETTER_BY_THE_SHELL or first == "\\" or ("$" in first and "/" not in first)
    return Syntax(
        needed=special or start > 0 or not _ANYWHERE.isdisjoint(seen) or "~" in seen,
        simple=not special and not unknown and _COMPOUND.isdisjoint(seen),
        balanced=balanced,
        start=start,
    )


def _unquoted(text: str) -> tuple[set[str], bool]:
    """The characters that mean something to the shell (`~` at a word's start), and whether all quotes are closed.

    A backslash is among them where only the shell takes it away: before the end of a line, or a `$` in double quotes.
    """
    seen: set[str] = set()
    quote = ""
    escaped = False
    before = " "
    for character in text:
        if escaped:
            escaped = False
            seen |= {"\\"} if character == "\n" or (quote and character in _IN_DOUBLE_QUOTES) else set()
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            seen |= _IN_DOUBLE_QUOTES & {character} if quote == '"' else set()
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character != "~" or before.isspace():
            seen.add(character)
        before = character
    return seen, not quote and not escaped


def argv(command: str | tuple[str, ...], shell: bool | None, here: str) -> tuple[Template, ...]:
    """The words to execute. `shell`: True and False force, None decides by the text. Raises BadCommand."""
    if isinstance(command, tuple):
        if shell:
            raise BadCommand("a list is never given to a shell, and 'shell: true' asks for one")
        return _words(command, here)
    text = command.strip()
    if not text:
        raise BadCommand("the command is empty")
    found = syntax(text)
    if shell or (shell is None and found.needed):
        return _by_shell(text, found, here)
    try:
        return _words(tuple(shlex.split(text)), here)
    except ValueError:
        raise BadCommand("a quote is not closed, or a backslash ends it") from None


def _words(words: tuple[str, ...], here: str) -> tuple[Template, ...]:
    if not words or not words[0]:
        raise BadCommand("the command is empty")
    return tuple(_word(word, here) for word in words)


def _word(word: str, here: str) -> Template:
    found = _SLOT_WORD.fullmatch(word)
    if not found:
        return Template.of((word,))
    return Template.of((here,) if found[1] == HERE else (Slot(found[1]),))


def _by_shell(text: str, found: Syntax, here: str) -> tuple[Template, ...]:
    # A here-document or a comment may hold a lone apostrophe: only the shell can tell then.
    if not found.balanced and "\n" not in text and "#" not in text:
        raise BadCommand("a quote is not closed, or a backslash ends it")
    if found.simple:
        text = f"{text[: found.start]}exec {text[found.start :]}"
    parts: list[str | Slot] = []
    end = 0
    for slot in _SLOT_WORD.finditer(text):
        word = shlex.quote(here) if slot[1] == HERE else Slot(slot[1])
        parts += [text[end : slot.start()], word]
        end = slot.end()
    script = Template.of([*parts, text[end:]])
    return (Template.of((SHELL,)), Template.of(("-c",)), script)
