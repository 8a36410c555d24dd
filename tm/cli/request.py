"""From the words of a command to a request of the control socket, without the tables that check them.

Guarantees: what a word means is the daemon's to say; only what the protocol has a place of its own for (a signal, a
number of lines) is taken out of the words here.
"""

from __future__ import annotations

import os

from tm.cli import codes
from tm.cli.client import NO_METHOD, NOT_ALLOWED, Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tm.cli.screen import Screen

_BAD_PARAMS = -32602
VALUED = ("--since", "--until", "--grep", "--lines", "-n")
"""The options that take a value; a test holds them to the declaration of the verbs."""


class Request:
    """A verb and its parameters."""

    def __init__(self, words: list[str]) -> None:
        self.verb, *rest = words
        self.options: list[str] = []
        self.words: list[str] = []
        following = iter(rest)
        for word in following:
            if word in VALUED and (value := next(following, None)) is not None:
                self.options.append(f"{'--lines' if word == '-n' else word}={value}")
            else:
                (self.options if _is_flag(word) else self.words).append(word)
        self.selection = list(self.words)
        self._special: dict[str, Any] = {}
        if self.verb == "signal" and self.words:
            self._special["signal"] = self.words.pop(0)
            self.selection = self.words
        elif self.verb == "logs" and len(self.words) == 2 and _is_count(self.words[1]):
            self._special["lines"] = int(self.words.pop())
            self.selection = self.words
        elif self.verb == "scale":
            self.selection = self.words[:1]
        elif self.verb == "check" and self.words:
            self.words[0] = os.path.abspath(self.words[0])

    @property
    def raw(self) -> bool:
        """Whether bytes are asked for."""
        return self.verb == "logs" and "--raw" in self.options

    @property
    def follows(self) -> bool:
        """Whether it goes on with what comes."""
        return self.verb in ("logs", "events") and not {"-f", "--follow"}.isdisjoint(self.options)

    def has(self, option: str) -> bool:
        """Whether an option was given."""
        return option in self.options

    def params(self, screen: Screen) -> dict[str, Any]:
        """What is sent, for an answer as wide and as coloured as the screen."""
        given: dict[str, Any] = {"words": self.words, "options": self.options, **self._special}
        look = {"width": screen.width, "colour": screen.colour}
        return {name: value for name, value in given.items() if value} | look


def refusal(error: Failed, words: list[str]) -> tuple[str, int]:
    """What the operator hears of an answer that is an error, and the exit code. What is wrong with the words is said as
    at a prompt, since the protocol has other names for it.
    """
    if error.code not in (NO_METHOD, _BAD_PARAMS):
        return str(error), codes.NOT_ALLOWED if error.code == NOT_ALLOWED else codes.FAILED
    from tm.core.commands import UsageError, parse_words

    try:
        parse_words(words)
    except UsageError as wrong:
        return str(wrong), codes.USAGE
    return str(error), codes.USAGE


def _is_flag(word: str) -> bool:
    return word.startswith("-") and len(word) > 1 and not word[1:].isdecimal()


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 10 and int(word) > 0
