"""One client's conversation: a line comes in, an answer goes out, and what it subscribed to follows.

Guarantees: every request with an id hears a result or an error, also when carrying it out fails by a bug; nothing is
told of a subscription before its answer, nor after the client's end.
Leaves to others: bytes and their bounds (`Out`), and doing what is asked (`Desk`); both are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from tm.core.commands import is_for_owners
from tm.core.ports import LINE_BYTES
from tm.faces import jsonrpc
from tm.faces.counter import Answer, Desk, End, Going, Out, Tell
from tm.faces.jsonrpc import Failure, Request
from tm.faces.methods import METHODS, Asked, BadParams, Method, asked, describe, settled, unknown

ANSWER_BYTES: Final = 16 * 1024 * 1024
SUBSCRIPTIONS_MOST: Final = 100


_TOO_MANY: Final = Failure(jsonrpc.BUSY, f"a client has {SUBSCRIPTIONS_MOST} subscriptions at most", "End one of them.")
Reply: TypeAlias = Callable[["Failure | dict[str, object]"], None]


class Session:
    """What one client has asked for and not ended yet. `by`: who it is, in words; `owner`: root or the daemon's own."""

    def __init__(self, desk: Desk, out: Out, by: str, owner: bool = True) -> None:
        self._desk = desk
        self._out = out
        self.owner = owner
        self.by = by
        self._last = 0
        self._ends: dict[int, End] = {}
        self._works: dict[int, End] = {}
        self._request: Request | None = None
        self._asked: dict[int, Request] = {}
        self._marks: dict[int, dict[str, str]] = {}

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

    def leave(self) -> Going:
        """What the next daemon is to go on with."""
        works = [self._asked[number] for number in self._works]
        told = [(number, self._asked[number], self._marks.get(number, {})) for number in self._ends]
        return Going(self._last, works, told)

    def go_on(self, left: Going) -> None:
        """Go on with what an earlier daemon had begun: subscriptions by their numbers, and what was not answered."""
        for number, request, marks in left.subscriptions:
            self._last = number - 1
            params = {**request.params, "after": marks} if marks else request.params
            self._request = request._replace(params=params)
            self._outcome(self._request, partial(self._catch_up, number))
        self._last = left.last
        for request in left.works:
            if request.method == "upgrade":
                self._send(request, _reply(request, _result(self._desk.upgraded())))
            else:
                self._carry_out(request)

    def _catch_up(self, number: int, outcome: Failure | dict[str, object]) -> None:
        """What came between two daemons is told like what comes."""
        if not isinstance(outcome, Failure) and (lines := outcome["lines"]) and isinstance(lines, list):
            self._tell(number, "log", {"text": "\n".join(lines), "marks": outcome.get("marks", {})})

    def _carry_out(self, request: Request) -> None:
        """Answer once, now or later, also when carrying it out fails by a bug."""
        self._request = request
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
        if is_for_owners(wanted.command) and not self.owner:
            return Failure(jsonrpc.NOT_ALLOWED, "only root and the daemon's own user may ask for that")
        if method.name == "logs.follow":
            return self._follow(wanted, reply)
        self._work(wanted, reply)
        return None

    def _number(self) -> int:
        """One more thing is begun by the present request."""
        number = self._last = self._last + 1
        if self._request is not None:
            self._asked[number] = self._request
        return number

    def _work(self, wanted: Asked, reply: Reply) -> None:
        """Have it done; it is given up with the client, if it is not through by then."""
        number = self._number()
        self._works[number] = _nothing

        def answered(answer: Answer) -> None:
            self._works.pop(number, None)
            self._asked.pop(number, None)
            reply(_result(answer))

        end = self._desk.carry_out(wanted, self.by, answered)
        if number in self._works:
            self._works[number] = end

    def _follow(self, wanted: Asked, reply: Reply) -> Failure | None:
        """Answer, and let what comes be told from then on. It is no subscription, which could be ended, before that."""
        if len(self._ends) >= SUBSCRIPTIONS_MOST:
            return _TOO_MANY
        number = self._number()
        self._works[number] = _nothing

        def answered(answer: Answer) -> None:
            end = self._works.pop(number, _nothing)
            self._marks[number] = dict(answer.marks)
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
        number = self._number()
        answer, end = subscribe(lambda name, params: self._tell(number, name, params))
        if end is not None:
            self._ends[number] = end
        return {**_result(answer), "subscription": number if end is not None else None}

    def _tell(self, number: int, method: str, params: Mapping[str, object]) -> None:
        if number in self._ends:
            if isinstance(marks := params.get("marks"), Mapping):
                self._marks.setdefault(number, {}).update(marks)
            lines = str(params["text"]).count("\n") + 1 if method == "log" else 0
            self._out.notify(jsonrpc.notification(method, {"subscription": number, **params}), lines)

    def _unsubscribe(self, number: int | None) -> Failure | dict[str, object]:
        end = self._ends.pop(number, None) if number is not None else None
        self._asked.pop(number or 0, None)
        self._marks.pop(number or 0, None)
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
