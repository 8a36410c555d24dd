"""A command seen through to its outcome: what happens meanwhile is told, and at the end who failed and why.

Guarantees: one line of plain text an event in a pipe; at a terminal a live line below says whom it waits for and how
long each has left. What was begun goes on when the wait is given up.
"""

from __future__ import annotations

from tm.cli.answer import as_json, last_words, now, show
from tm.cli.client import ANSWER_S, Failed, Gone, Late
from tm.cli.codes import DONE, FAILED, INTERRUPTED, NO_DAEMON, TIMED_OUT
from tm.cli.screen import complain
from tm.cli.waiting import UP, Waiting, is_through, progress, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tm.cli.client import Client, Message
    from tm.cli.request import Request
    from tm.cli.screen import Screen
    from tm.cli.waiting import Key
    from tm.cli.wish import Wish

_TICK_S = 1.0
_TOLD_IN_FULL = 10
_ABOUT_TASKS = ("reload", "scale")
"""Verbs that processes come of which are not there yet."""
_TOLD_BY_REPORT = ("BACKOFF", "FATAL", "EXITED")


class Course:
    """One command from its sending to its end."""

    def __init__(self, client: Client, request: Request, wish: Wish, screen: Screen) -> None:
        self.waiting = Waiting(request.verb) if request.verb != "shutdown" else None
        self._client = client
        self._request = request
        self._wish = wish
        self._screen = screen
        self._until = None if wish.timeout_s is None else now() + wish.timeout_s
        self._deadlines: dict[Key, float] = {}
        self._look_at: float | None = None
        self._subscription: int | None = None

    def begin(self) -> Message:
        """Listen, ask, and see how things stand; the answer. Raises Failed, Gone."""
        everybody = self.waiting is None or self._request.verb in _ABOUT_TASKS
        names = None if everybody else self._request.selection
        answer = self._client.call("events.subscribe", {"names": names}, self._left_s())
        self._subscription = answer.get("subscription")
        answer = self._client.call(self._request.verb, self._request.params(self._screen), self._left_s())
        if not self._wish.json:
            show(answer, self._wish, self._screen)
        data = answer.get("data")
        if self.waiting is not None and isinstance(data, dict):
            self._begin_to_wait(self.waiting, data)
        return answer

    def _begin_to_wait(self, waiting: Waiting, data: Message) -> None:
        """Where nothing was begun there is nothing to wait for."""
        if "error" in data or ("asked" in data and len(data["refused"]) == len(data["asked"])):
            waiting.answered((), ())
            return
        rows = self._rows()
        heard, self._client.heard = self._client.heard, []
        for message in heard:
            self._hear(message)
        if "asked" in data:
            waiting.answered(data["asked"], rows)
        else:
            waiting.answered_plan(data, rows)

    def end(self) -> None:
        """Hear no more of it, so that another command can follow."""
        if self._subscription is not None:
            self._client.send(("unsubscribe", {"subscription": self._subscription}))

    def _left_s(self) -> float:
        return ANSWER_S if self._until is None else min(ANSWER_S, max(0.0, self._until - now()))

    def go_on(self) -> int | None:
        """Hear one thing, or that nothing came; the exit code of a wait that has ended without an outcome."""
        left_s = None if self._until is None else self._until - now()
        if left_s is not None and left_s <= 0:
            return self.timed_out()
        wait_s = left_s
        if self._screen.terminal or self._look_at is not None:
            wait_s = _TICK_S if left_s is None else min(left_s, _TICK_S)
        pending = self.waiting.pending if self.waiting else {}
        self._screen.live(progress(pending, self._deadlines, now()))
        message = self._client.next(wait_s)
        if message is not None:
            self._hear(message)
        if self._look_at is not None and now() >= self._look_at and self.waiting is not None:
            self.waiting.look_again(self._rows())
            self._look_at = now() + _TICK_S if self.waiting.doubtful else None
        return None

    def report(self) -> list[str]:
        """Why those that failed did, with what they wrote last and what to type next."""
        assert self.waiting is not None
        failed = list(self.waiting.failed.values())
        lines: list[str] = []
        for change in failed[:_TOLD_IN_FULL]:
            name = str(change["name"])
            lines += why(self._request.verb, change)
            ended = change["state"] in _TOLD_BY_REPORT and not change.get("blocked")
            if ended and change.get("event") != "dropped":
                lines += self._next_attempt(change)
                lines += last_words(self._client, name)
                lines.append(f"  type: {self._wish.prefix} {_advice(name, change)}")
        if len(failed) > _TOLD_IN_FULL:
            lines.append(f"... and {len(failed) - _TOLD_IN_FULL} more; type: {self._wish.prefix} status")
        return lines

    def _next_attempt(self, change: Message) -> list[str]:
        due = self._deadlines.get((change["task"], change["instance"]))
        return [f"  next attempt in {max(0.0, due - now()):.1f}s"] if change["state"] == "BACKOFF" and due else []

    def _hear(self, message: Message) -> None:
        params = message.get("params", {})
        if message.get("method") == "lost" and self._look_at is None:
            self._look_at = now() + _TICK_S
        if message.get("method") != "change" or params.get("subscription") != self._subscription:
            return
        key = (params["task"], params["instance"])
        self._deadlines.pop(key, None)
        if params.get("deadline_s") is not None:
            self._deadlines[key] = now() + params["deadline_s"]
        mine = self.waiting.hear(params) if self.waiting is not None else True
        fails = params.get("stuck") or (params["state"] in _TOLD_BY_REPORT and not is_through(params))
        reported = self.waiting is not None and self.waiting.goal is UP and fails
        if mine and params.get("told") and not reported and not self._wish.json:
            self._screen.out(params["told"])

    def _rows(self) -> list[Message]:
        names = [] if self._request.verb in _ABOUT_TASKS else self._request.selection
        try:
            rows: list[Message] = self._client.call("status", {"words": names}).get("data") or []
        except Failed:
            return []
        return [row for row in rows if "name" in row]

    def timed_out(self) -> int:
        """Tell that it was not enough; the exit code. Raises Late where no time was given."""
        if self._wish.timeout_s is None:
            raise Late("the daemon does not answer")
        pending = self.waiting.pending if self.waiting is not None else {}
        stand = ", ".join(_stand(change) for change in list(pending.values())[:5])
        self._screen.live("")
        complain(f"not within {self._wish.timeout_s:g}s: {stand or 'the daemon is still there'}. It goes on.")
        return TIMED_OUT


def see_through(client: Client, request: Request, wish: Wish, screen: Screen) -> int:
    """Ask and wait; the exit code. Raises Failed, Gone."""
    course = Course(client, request, wish, screen)
    try:
        return _seen_through(course, wish, screen)
    except KeyboardInterrupt:
        screen.live("")
        complain("no longer waiting; what was begun goes on.")
        return INTERRUPTED
    except Late:
        return course.timed_out()
    finally:
        course.end()


def _seen_through(course: Course, wish: Wish, screen: Screen) -> int:
    answer = course.begin()
    code = int(answer.get("outcome", DONE))
    waiting = course.waiting
    if code not in (DONE, FAILED) or (waiting is None and code != DONE):
        _json(answer, None, wish, screen)
        return code
    try:
        while waiting is None or not waiting.over:
            ended = course.go_on()
            if ended is not None:
                _json(answer, waiting, wish, screen)
                return ended
    except Gone as error:
        screen.live("")
        if waiting is None:
            return _left(answer, wish, screen)
        complain(f"{error} before this was through.")
        return NO_DAEMON
    screen.live("")
    screen.err("\n".join(course.report()))
    _json(answer, waiting, wish, screen)
    return FAILED if waiting.failed else code


def _left(answer: Message, wish: Wish, screen: Screen) -> int:
    screen.out(as_json({"left": True, **(answer.get("data") or {})}) if wish.json else "The daemon has left.")
    return DONE


def _json(answer: Message, waiting: Waiting | None, wish: Wish, screen: Screen) -> None:
    """The data of the answer, and what became of each."""
    if wish.json:
        data = answer.get("data")
        if waiting is not None and isinstance(data, dict):
            failed = {change["name"]: _known(change) for change in waiting.failed.values()}
            pending = sorted(change["name"] for change in waiting.pending.values())
            data = {**data, "done": sorted(waiting.done.values()), "failed": failed, "pending": pending}
        screen.out(as_json(data))


def _stand(change: Message) -> str:
    return f"'{change['name']}' {change.get('blocked') or 'is ' + str(change['state'])}"


def _known(change: Message) -> Message:
    return {key: change.get(key) for key in ("state", "cause", "hint", "attempt", "blocked")}


def _advice(name: str, change: Message) -> str:
    return f"start {name}" if change.get("event") == "spawn-failed" else f"logs {name} --stderr"
