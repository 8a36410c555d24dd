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
from tm.core.verbs import DEFAULT_LINES
from tm.faces import jsonrpc
from tm.faces.attaching import DETACHED, Attaching
from tm.faces.counter import Answer, Desk, End, Going, Out
from tm.faces.jsonrpc import Failure, Request
from tm.faces.methods import METHODS, Asked, BadParams, Method, asked, describe, only_asks, settled, unknown

ANSWER_BYTES: Final = 16 * 1024 * 1024
SUBSCRIPTIONS_MOST: Final = 100
OVERTAKEN: Final = frozenset({"logs", "logs.follow", "upgrade"})
"""What takes long, and keeps nothing from being carried out meanwhile."""
_TOO_MANY: Final = Failure(jsonrpc.BUSY, f"a client has {SUBSCRIPTIONS_MOST} subscriptions at most", "End one of them.")
Reply: TypeAlias = Callable[["Failure | dict[str, object]"], None]


class _Ongoing:
    """One thing that a client has going: what was asked, how it is ended, and up to where of which log it was told."""

    __slots__ = ("end", "marks", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.end: End = _nothing
        self.marks: dict[str, str] = {}


class Session:
    """What one client has asked for and not ended yet. `by`: who it is, in words; `owner`: root or the daemon's own."""

    def __init__(self, desk: Desk, out: Out, by: str, owner: bool = True) -> None:
        self._desk, self._out = desk, out
        self.owner, self.by = owner, by
        self._last, self._gone = 0, False
        self._told: dict[int, _Ongoing] = {}
        self._works: dict[int, _Ongoing] = {}
        self._attaching = Attaching(desk, by)

    @property
    def waits(self) -> bool:
        """Whether something is being told, or still to be answered."""
        return bool(self._told or self._works)

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
        elif request is not None and not (self._gone and only_asks(request.method)):
            self._carry_out(request)

    @property
    def holds(self) -> bool:
        """Whether its further requests have to wait for an answer that is still to come."""
        return any(each.request.method not in OVERTAKEN for each in self._works.values())

    @property
    def works(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._works)

    def end(self, gone: bool = True) -> None:
        """The client says nothing more, and hears of nothing more but answers; not even those where he is gone."""
        over, self._told, self._gone = list(self._told.values()), {}, gone
        if gone:
            over += self._works.values()
            self._works = {}
        for each in over:
            each.end()

    def leave(self) -> Going:
        """What the next daemon is to go on with."""
        told = [(number, each.request, each.marks) for number, each in self._told.items()]
        return Going(self._last, [each.request for each in self._works.values()], told)

    def go_on(self, left: Going) -> None:
        """Go on with what an earlier daemon had begun: subscriptions by their numbers, and what was not answered."""
        for number, request, marks in left.subscriptions:
            self._last = number - 1
            if request.method == "attach":
                self._attach_again(request)
                continue
            params = {**request.params, "after": marks} if marks else request.params
            self._outcome(request._replace(params=params), partial(self._catch_up, number))
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
            return self._call(method, request, settled(method, request.params), reply)
        except BadParams as error:
            return Failure(jsonrpc.PARAMS, str(error), f"Usage: {method.verb.usage}" if method.verb else "")

    def _call(
        self, method: Method, request: Request, given: Mapping[str, Any], reply: Reply
    ) -> Failure | dict[str, object] | None:
        """Raises BadParams."""
        if method.verb is None:
            return self._own(request, given)
        wanted = asked(method.verb, given)
        if is_for_owners(wanted.command) and not self.owner:
            return Failure(jsonrpc.NOT_ALLOWED, "only root and the daemon's own user may ask for that")
        if method.name == "attach":
            return self._attach(request, wanted, given.get("last", DEFAULT_LINES))
        if method.name == "logs.follow":
            return self._follow(request, wanted, reply)
        self._work(request, wanted, reply)
        return None

    def _begin(self, request: Request) -> tuple[int, _Ongoing]:
        """One more thing that goes on."""
        self._last += 1
        return self._last, _Ongoing(request)

    def _work(self, request: Request, wanted: Asked, reply: Reply) -> None:
        """Have it done; it is given up with the client, if it is not through by then."""
        number, work = self._begin(request)
        self._works[number] = work

        def answered(answer: Answer) -> None:
            self._works.pop(number, None)
            reply(_result(answer, wanted.bare))
            self._out.go_on()

        try:
            work.end = self._desk.carry_out(wanted, self.by, answered)
        finally:
            if work.end is _nothing:  # a bug, which is answered: nothing has to wait for it
                self._works.pop(number, None)

    def _follow(self, request: Request, wanted: Asked, reply: Reply) -> Failure | None:
        """Answer, and let what comes be told from then on. It is no subscription, which could be ended, before that."""
        if len(self._told) >= SUBSCRIPTIONS_MOST:
            return _TOO_MANY
        number, following = self._begin(request)
        self._works[number] = following

        def answered(answer: Answer) -> None:
            self._works.pop(number, None)
            following.marks.update(answer.marks)
            if not answer.outcome:
                self._told[number] = following
            marks = {"marks": dict(answer.marks), "subscription": None if answer.outcome else number}
            reply({**_result(answer), **marks})

        following.end = self._desk.follow(wanted, self.by, partial(self._tell, number), answered)
        return None

    def _attach(self, request: Request, wanted: Asked, last: int | None) -> Failure | dict[str, object]:
        if len(self._told) >= SUBSCRIPTIONS_MOST:
            return _TOO_MANY
        number, attached = self._begin(request)
        attached.end = partial(self._attaching.end, number)
        found = self._attaching.begin(number, wanted, last, partial(self._tell, number))
        if found["subscription"] is not None:
            self._told[number] = attached
        return found

    def _attach_again(self, request: Request) -> None:
        """What a terminal has shown between two daemons nobody was told yet; or its process has ended meanwhile."""
        method = METHODS[request.method]
        assert method.verb is not None
        found = self._attach(request, asked(method.verb, settled(method, request.params)), None)
        if isinstance(found, Failure) or found["subscription"] is None:
            why = found.text if isinstance(found, Failure) else _text(found["lines"])
            self._out.answer(jsonrpc.notification(DETACHED, {"subscription": self._last, "text": why}))
        elif isinstance(data := found["data"], dict) and data["base64"]:
            self._tell(self._last, "terminal", {"base64": data["base64"]})

    def _own(self, request: Request, given: Mapping[str, Any]) -> Failure | dict[str, object]:
        """What is no command."""
        match request.method:
            case "unsubscribe":
                return self._unsubscribe(given.get("subscription"))
            case "attach.type" | "attach.resize":
                return self._attaching.call(request.method, given)
            case "events.subscribe":
                return self._subscribe(request, given.get("names", ()))
            case "system.identity":
                return {"lines": [], "data": self._desk.identity(), "outcome": 0}
            case _:
                return {"lines": [], "data": describe(), "outcome": 0}

    def _subscribe(self, request: Request, words: tuple[str, ...]) -> Failure | dict[str, object]:
        if len(self._told) >= SUBSCRIPTIONS_MOST:
            return _TOO_MANY
        number, subscription = self._begin(request)
        answer, end = self._desk.subscribe(words, self.by, partial(self._tell, number))
        if end is not None:
            subscription.end = end
            self._told[number] = subscription
        return {**_result(answer), "subscription": number if end is not None else None}

    def _tell(self, number: int, method: str, params: Mapping[str, object]) -> None:
        if (told := self._told.get(number)) is not None:
            if isinstance(marks := params.get("marks"), Mapping):
                told.marks.update(marks)
            if method == DETACHED:  # which must not be lost
                del self._told[number]
                self._attaching.end(number)
                self._out.answer(jsonrpc.notification(method, {"subscription": number, **params}))
                return
            lines = str(params["text"]).count("\n") + 1 if method == "log" else 0
            self._out.notify(jsonrpc.notification(method, {"subscription": number, **params}), lines)

    def _unsubscribe(self, number: int | None) -> Failure | dict[str, object]:
        subscription = self._told.pop(number, None) if number is not None else None
        if subscription is None:
            return Failure(jsonrpc.PARAMS, "there is no such subscription of this client")
        subscription.end()
        return {"lines": [], "data": None, "outcome": 0}


def _text(lines: object) -> str:
    return "\n".join(lines) if isinstance(lines, list) else ""


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


def _result(answer: Answer, bare: bool = False) -> dict[str, object]:
    noted = {"note": answer.note} if answer.note else {}
    return {"lines": [] if bare else list(answer.lines), "data": answer.data, "outcome": int(answer.outcome), **noted}


def _nothing() -> None:
    """There is nothing to end yet."""
