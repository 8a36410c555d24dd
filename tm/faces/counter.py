"""What stands on both sides of a conversation: whoever carries out what is asked, and the way back to the client.

Shapes only, so that a `faces.session` can be held against anything that has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from tm.faces.jsonrpc import Request
from tm.faces.methods import Asked

End: TypeAlias = Callable[[], None]
Tell: TypeAlias = Callable[[str, Mapping[str, object]], None]
"""Takes the method of a notification, and its params."""


class Answer(Protocol):
    """What a command comes back with."""

    @property
    def lines(self) -> Sequence[str]:
        """For people."""

    @property
    def data(self) -> object:
        """For programs; what JSON can hold."""

    @property
    def outcome(self) -> int:
        """How it went: 0 done, 1 failed, 2 usage, 6 no such task."""

    @property
    def note(self) -> str:
        """A word about the answer itself, or ''."""

    @property
    def marks(self) -> Mapping[str, str]:
        """Where the logs ended that it shows, by path."""


class Line(Protocol):
    """A client's way to a terminal that it is attached to."""

    def type(self, data: bytes) -> bool:
        """Let the process read it; False where it has left too much unread, and nothing was typed."""

    def resize(self, rows: int, columns: int) -> None:
        """Let the terminal have this size, and the process draw anew."""

    def end(self) -> None:
        """Look on no more."""


class Desk(Protocol):
    """Whoever carries out commands. `by` is on whose behalf."""

    def carry_out(self, asked: Asked, by: str, answered: Answered) -> End:
        """Do it, and answer, perhaps later; what is returned gives up what is not done by then."""

    def follow(self, asked: Asked, by: str, tell: Tell, answered: Answered) -> End:
        """Answer `logs`, and unless that failed tell what comes, until what is returned is called."""

    def attach(self, asked: Asked, last: int | None, by: str, tell: Tell) -> tuple[Answer, Line | None]:
        """Tell what a terminal shows, from its `last` lines on, None for what nobody was told yet; None where that
        cannot be.
        """

    def upgraded(self) -> Answer:
        """What is answered to who has asked for the upgrade, when it is done."""

    def identity(self) -> dict[str, object]:
        """Which daemon this is: `config`, `pid`."""

    def subscribe(self, words: tuple[str, ...], by: str, tell: Tell) -> tuple[Answer, End | None]:
        """Tell what happens to these, without words to all; None where they select nothing."""


class Going(NamedTuple):
    """What a client has going between two daemons: the number last given, the requests that are to be answered, and the
    subscriptions: each with its number, what was asked, and up to where of which log it has been told.
    """

    last: int
    works: list[Request]
    subscriptions: list[tuple[int, Request, dict[str, str]]]


Answered: TypeAlias = Callable[[Answer], None]


class Out(Protocol):
    """The way back to the client."""

    def answer(self, data: bytes) -> None:
        """Send what must not be lost."""

    def notify(self, data: bytes, lines: int = 0) -> None:
        """Send what may be lost. `lines`: how many lines of output it holds."""

    def go_on(self) -> None:
        """What further requests may have waited for is answered."""
