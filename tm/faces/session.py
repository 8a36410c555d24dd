"""One client's conversation: a line comes in, an answer goes out, and what it subscribed to follows.

Guarantees: every request with an id hears a result or an error, also when carrying it out fails by a bug; nothing is
told of a subscription before its answer, nor after the client's end.
Leaves to others: bytes and their bounds (`Out`), and doing what is asked (`Desk`); both are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from tm.core.commands import is_for_owners
from tm.core.ports import LINE_BYTES
from tm.faces import jsonrpc
from tm.faces.jsonrpc import Failure, Request
from tm.faces.methods import METHODS, Asked, BadParams, Method, asked, describe, settled, unknown

End: TypeAlias = Callable[[], None]
Tell: TypeAlias = Callable[[str, Mapping[str, object]], None]
"""Takes the method of a notification, and its params."""

ANSWER_BYTES: Final = 16 * 1024 * 1024
SUBSCRIPTIONS_MOST: Final = 100


_TOO_MANY: Final = Failure(jsonrpc.BUSY, f"a client has {SUBSCRIPTIONS_MOST} subscriptions at most", "End one of them.")
Reply: TypeAlias = Callable[["Failure | dict[str, object]"], None]


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


class Desk(Protocol):
    """Whoever carries out commands. `by` is on whose behalf."""

    def carry_out(self, asked: Asked, by: str, answered: Answered) -> End:
        """Do it, and answer, perhaps later; what is returned gives up what is not done by then."""

    def follow(self, asked: Asked, by: str, tell: Tell, answered: Answered) -> End:
        """Answer `logs`, and unless that failed tell what comes, until what is returned is called."""

    def identity(self) -> dict[str, object]:
        """Which daemon this is: `config`, `pid`."""

    def subscribe(self, words: tuple[str, ...], by: str, tell: Tell) -> tuple[Answer, End | None]:
        """Tell what happens to these, without words to all; None where they select nothing."""


Answered: TypeAlias = Callable[[Answer], None]


class Out(Protocol):
    """The way back to the client."""

    def answer(self, data: bytes) -> None:
        """Send what must not be lost."""

    def notify(self, data: bytes, lines: int = 0) -> None:
        """Send what may be lost. `lines`: how many lines of output it holds."""


class Session:
    """What one client has asked for and not ended yet. `by`: who it is, in words; `owner`: root or the daemon's own."""

    def __init__(self, desk: Desk, out: Out, by: str, owner: bool = True) -> None:
        self._desk = desk
        self._out = out
        self._owner = owner
        self.by = by
        self._last = 0
        self._ends: dict[int, End] = {}
        self._works: dict[int, End] = {}

    @property
    def waits(self) -> bool:
        """Whether something is being told, or still to be answered."""
        return bool(self._ends or self._works)

    def line(self, line: bytes | None, busy: bool) -> None:
        """Carry out what a line asks, and answer; None: it was too long. `busy`: refuse it."""
        if line is None:
            text = f"the line is longer than {LINE_BYTES:,} bytes"
            self._out.answer(jsonrpc.error(Failure(jsonrpc.BUSY, text, "It was skipped; the next one is taken.")))
            return
        request = jsonrpc.read(line)
        if isinstance(request, Failure):
            if request.answered:
                self._out.answer(jsonrpc.error(request))
        elif request is not None and busy:
            hint = "Nothing was carried out. Try again soon."
            failure = Failure(jsonrpc.BUSY, "clients that do not read have filled the room", hint)
            self._send(request, _reply(request, failure))
        elif request is not None:
            self._carry_out(request)

    @property
    def works(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._works)

    def end(self, gone: bool = True) -> None:
        """The client says nothing more, and hears of nothing more but answers; not even those where he is gone."""
        ends, self._ends = list(self._ends.values()), {}
        if gone:
            ends += self._works.values()
            self._works = {}
        for end in ends:
            end()

    def _carry_out(self, request: Request) -> None:
        """Answer once, now or later, also when carrying it out fails by a bug."""
        replies = [partial(self._send, request)]

        def reply(outcome: Failure | dict[str, object]) -> None:
            line = _reply(request, outcome)
            while replies:
                replies.pop()(line)

        done = False
        try:
            outcome = self._outcome(request, reply)
            if outcome is not None:
                reply(outcome)
            done = True
        finally:
            if not done:
                text = f"'{request.method[:80]}' failed by a bug"
                reply(Failure(jsonrpc.INTERNAL, text, "The event log has the traceback."))

    def _send(self, request: Request, line: bytes) -> None:
        if request.answered:
            self._out.answer(line)

    def _outcome(self, request: Request, reply: Reply) -> Failure | dict[str, object] | None:
        """What is to be replied; None: that is taken care of."""
        method = METHODS.get(request.method)
        if method is None:
            return Failure(jsonrpc.METHOD, unknown(request.method))
        try:
            return self._call(method, settled(method, request.params), reply)
        except BadParams as error:
            return Failure(jsonrpc.PARAMS, str(error), f"Usage: {method.verb.usage}" if method.verb else "")

    def _call(self, method: Method, given: Mapping[str, Any], reply: Reply) -> Failure | dict[str, object] | None:
        """Raises BadParams."""
        if method.verb is None:
            return self._own(method.name, given)
        wanted = asked(method.verb, given)
        if is_for_owners(wanted.command) and not self._owner:
            return Failure(jsonrpc.NOT_ALLOWED, "only root and the daemon's own user may ask for that")
        if method.name == "logs.follow":
            return self._follow(wanted, reply)
        self._work(wanted, reply)
        return None

    def _work(self, wanted: Asked, reply: Reply) -> None:
        """Have it done; it is given up with the client, if it is not through by then."""
        number = self._last = self._last + 1
        self._works[number] = _nothing

        def answered(answer: Answer) -> None:
            self._works.pop(number, None)
            reply(_result(answer))

        end = self._desk.carry_out(wanted, self.by, answered)
        if number in self._works:
            self._works[number] = end

    def _follow(self, wanted: Asked, reply: Reply) -> Failure | None:
        """Answer, and let what comes be told from then on. It is no subscription, which could be ended, before that."""
        if len(self._ends) >= SUBSCRIPTIONS_MOST:
            return _TOO_MANY
        number = self._last = self._last + 1
        self._works[number] = _nothing

        def answered(answer: Answer) -> None:
            end = self._works.pop(number, _nothing)
            if not answer.outcome:
                self._ends[number] = end
            marks = {"marks": dict(answer.marks), "subscription": None if answer.outcome else number}
            reply({**_result(answer), **marks})

        end = self._desk.follow(wanted, self.by, lambda name, params: self._tell(number, name, params), answered)
        for asked_for in (self._works, self._ends):
            if number in asked_for:
                asked_for[number] = end
        return None

    def _own(self, name: str, given: Mapping[str, Any]) -> Failure | dict[str, object]:
        """What is no command."""
        match name:
            case "unsubscribe":
                return self._unsubscribe(given.get("subscription"))
            case "events.subscribe":
                words = given.get("names", ())
                return self._begin(lambda tell: self._desk.subscribe(words, self.by, tell))
            case "system.identity":
                return {"lines": [], "data": self._desk.identity(), "outcome": 0}
            case _:
                return {"lines": [], "data": describe(), "outcome": 0}

    def _begin(self, subscribe: Callable[[Tell], tuple[Answer, End | None]]) -> Failure | dict[str, object]:
        if len(self._ends) >= SUBSCRIPTIONS_MOST:
            return _TOO_MANY
        number = self._last = self._last + 1
        answer, end = subscribe(lambda name, params: self._tell(number, name, params))
        if end is not None:
            self._ends[number] = end
        return {**_result(answer), "subscription": number if end is not None else None}

    def _tell(self, number: int, method: str, params: Mapping[str, object]) -> None:
        if number in self._ends:
            lines = str(params["text"]).count("\n") + 1 if method == "log" else 0
            self._out.notify(jsonrpc.notification(method, {"subscription": number, **params}), lines)

    def _unsubscribe(self, number: int | None) -> Failure | dict[str, object]:
        end = self._ends.pop(number, None) if number is not None else None
        if end is None:
            return Failure(jsonrpc.PARAMS, "there is no such subscription of this client")
        end()
        return {"lines": [], "data": None, "outcome": 0}


def lost(count: int, lines: int) -> bytes:
    """The notification that so many notifications were lost, with so many lines of output."""
    return jsonrpc.notification("lost", {"count": count, "lines": lines})


def _reply(request: Request, outcome: Failure | dict[str, object]) -> bytes:
    """The answer as a line."""
    if isinstance(outcome, Failure):
        return jsonrpc.error(Failure(outcome.code, outcome.text, outcome.hint, request.id))
    line = jsonrpc.result(request.id, outcome)
    if len(line) <= ANSWER_BYTES:
        return line
    text = f"the answer has {len(line):,} bytes, more than {ANSWER_BYTES:,}"
    return jsonrpc.error(Failure(jsonrpc.BUSY, text, "Ask for less of it.", request.id))


def _result(answer: Answer) -> dict[str, object]:
    noted = {"note": answer.note} if answer.note else {}
    return {"lines": list(answer.lines), "data": answer.data, "outcome": int(answer.outcome), **noted}


def _nothing() -> None:
    """There is nothing to end yet."""
