"""The shell of the client: the daemon's prompt, from elsewhere.

Guarantees: what happens is told above the prompt, as in the foreground shell; the end of the input and `exit` only
leave; Ctrl-C ends a follow or a wait, and nothing else; a daemon that goes away is told, and looked for again
with the next command.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable

from tm.cli import places
from tm.cli.allowance import Allowance
from tm.cli.alone import alone
from tm.cli.answer import as_json, names, now
from tm.cli.client import Client, Failed, Gone, NoDaemon, result
from tm.cli.finding import advice
from tm.cli.follow import requests, told
from tm.cli.oneshot import ALONE
from tm.cli.request import Request, refusal
from tm.cli.screen import Screen
from tm.cli.script import meant
from tm.cli.waiting import GOALS, Waiting, noted
from tm.cli.wish import Usage, Wish
from tm.core.commands import UsageError, complete, help_text, parse_words, split
from tm.edge import linedit
from tm.edge.console import Calls, Console, hung_up
from tm.edge.cooked import Cooked
from tm.edge.history import History
from tm.edge.loop import Loop
from tm.edge.outlet import Outlet
from tm.edge.signals import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tm.cli.client import Message

PROMPT = "Taskmaster> "
_AT_ONCE_S = 0.25
"""An answer that comes within this time stands before the next prompt."""


class Session:
    """An operator at a terminal, on a connection that may have to be made anew."""

    def __init__(self, client: Client, wish: Wish) -> None:
        self._client: Client | None = client
        self._path = client.path
        self._outer = wish
        self._screen = Screen(wish.colour)
        self._loop = Loop(_raise)
        self._signals = Signals(self._signalled)
        self._lines: deque[list[str]] = deque()
        self._awaited: dict[int, Callable[[Message], object]] = {}
        self._following: int | None = None
        self._waiting: Waiting | None = None
        history = places.history_path(os.environ)
        self._console = Console(
            self._loop,
            Outlet(self._loop),
            linedit.load(PROMPT, History(history), self._complete) or Cooked(PROMPT),
            Calls(self._line, self._loop.stop, self._interrupt),
        )
        self._allowance = Allowance(self._loop, self._console.tell)

    def run(self) -> int:
        """Until the operator leaves; the exit code. Raises Gone."""
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._loop.watch(self._signals.fd, self._signals.receive)
        try:
            self._console.tell(f"Connected to {self._path}. Type 'help' for a list of commands; 'exit' only leaves.")
            self._attach()
            self._console.open()
            self._loop.run()
        finally:
            self._console.close()
            self._signals.close()
            self._loop.close()
        return 0

    # ---- the connection

    def _attach(self) -> None:
        """Hear of everything that changes. Raises Gone."""
        assert self._client is not None
        self._ask("events.subscribe", {"names": None}, lambda answer: None)
        self._loop.watch(self._client.fileno(), self._arrived)

    def _reach(self) -> bool:
        """Whether there is a connection, by now."""
        if self._client is None:
            try:
                self._client = Client(self._path)
                self._attach()
            except NoDaemon as error:
                told = f"No daemon answers at {error.path}: {error.reason}. {advice(self._outer.config)}"
                self._console.write(told)
            except Gone as error:
                self._lose(error)
        return self._client is not None

    def _ask(self, method: str, params: Message, then: Callable[[Message], object]) -> None:
        """Send a request; `then` gets the whole answer."""
        if self._client is not None:
            (number,) = self._client.send((method, params))
            self._awaited[number] = then

    def _arrived(self) -> None:
        if self._client is None:
            return
        try:
            for message in self._client.arrived():
                self._take(message)
        except Gone as error:
            self._lose(error)
        self._next_line()

    def _take(self, message: Message) -> None:
        if "method" in message:
            self._notified(message)
            return
        then = self._awaited.pop(message.get("id") or 0, None)
        if then is not None:
            then(message)

    def _lose(self, error: Gone) -> None:
        if self._client is not None:
            self._loop.unwatch(self._client.fileno())
            self._client.close()
        self._client = None
        self._awaited.clear()
        self._following = self._waiting = None
        self._lines.clear()
        self._console.tell(f"{str(error)[:1].upper()}{str(error)[1:]}. The next command looks for it again.")

    # ---- lines

    def _line(self, line: str) -> None:
        try:
            words = split(line)
            if not words:
                return
            if words[0] in ("exit", "quit"):
                self._loop.stop()
                return
            if self._answered_here(words):
                return
        except UsageError as error:
            self._console.write(str(error))
            return
        self._lines.append(words)
        self._next_line()

    def _answered_here(self, words: list[str]) -> bool:
        """`help`, and what can only be complained of. Raises UsageError."""
        command = parse_words([word for word in words if word not in ("--json", "--no-wait")])
        if command.verb == "help":
            self._console.write(help_text(command.words[0] if command.words else None))
        elif command.verb in ALONE:
            alone(self._console, self._path, meant(words, self._outer), self._screen)
        return command.verb in ("help", *ALONE)

    def _next_line(self) -> None:
        """Send the next command when the one before has been answered, and give the answer a moment."""
        while self._lines:
            try:
                self._await_answer()
                if self._awaited:
                    return
                if not self._reach():
                    self._lines.clear()  # said to be impossible now, so not to be done later
                    return
                self._send(meant(self._lines.popleft(), self._outer))
                self._await_answer()
            except Usage as error:
                self._console.write(str(error))
            except Gone as error:
                self._lose(error)

    def _send(self, wish: Wish) -> None:
        request = Request(wish.words)
        if request.follows:
            self._end_follow()
        waits = request.verb in GOALS and wish.wait and not request.has("--dry-run")
        self._waiting = Waiting(request.verb) if waits else self._waiting
        if not request.follows:
            params = request.params(self._screen)
            self._ask(request.verb, params, lambda message: self._answered(request, wish, message))
            return
        first, *others = requests(request, self._screen)
        self._ask(*first, lambda message: self._followed(self._answered(request, wish, message)))
        for other in others:
            self._ask(*other, lambda message: self._followed(message.get("result")))

    def _await_answer(self) -> None:
        """So that it stands before the prompt, where the daemon is as quick as usual."""
        until = now() + _AT_ONCE_S
        while self._client is not None and self._awaited and (left_s := until - now()) > 0:
            message = self._client.next(left_s)
            if message is not None:
                self._take(message)
            self._loop.soon(self._arrived)

    def _answered(self, request: Request, wish: Wish, message: Message) -> Message | None:
        try:
            answer = result(message)
        except Failed as error:
            self._console.tell(refusal(error, wish.words)[0])
            self._waiting = None
            return None
        if wish.json:
            self._console.tell(as_json(answer.get("data")))
        else:
            self._console.tell("\n".join([*answer.get("lines", ()), *filter(None, [answer.get("note")])]))
        data = answer.get("data")
        if self._waiting is not None and isinstance(data, dict) and request.verb in GOALS:
            self._ask("status", {}, lambda rows: self._stands(data, rows))
        return answer

    def _stands(self, data: Message, message: Message) -> None:
        """What a wait begins with."""
        rows = message.get("result", {}).get("data") or []
        if self._waiting is None or "error" in data:
            self._waiting = None
        elif "asked" in data:
            self._waiting.answered(data["asked"], rows)
        else:
            self._waiting.answered_plan(data, rows)
        self._see()

    def _followed(self, answer: Message | None) -> None:
        if answer is not None and answer.get("subscription") is not None:
            self._following = answer["subscription"]

    # ---- what comes

    def _notified(self, message: Message) -> None:
        params = message.get("params", {})
        followed = self._following is not None and self._following == params.get("subscription")
        if message["method"] == "change":
            if followed:
                return  # it comes by the other subscription as well
            if params.get("told"):
                self._allowance.tell(params["told"])
            if self._waiting is not None:
                self._waiting.hear(params)
                self._see()
        elif (message["method"] != "event" or followed) and (text := told(message)):
            self._console.tell(text)

    def _see(self) -> None:
        """Whether the wait is over, and how it ended where the notices do not say it."""
        if self._waiting is not None and self._waiting.over:
            ended, self._waiting = self._waiting, None
            if lines := noted(ended):
                self._console.tell("\n".join(lines))

    # ---- keys and signals

    def _interrupt(self) -> None:
        if self._waiting is not None:
            self._waiting = None
            self._console.write("No longer waiting; what was begun goes on.")
        try:
            self._end_follow()
        except Gone as error:
            self._lose(error)

    def _end_follow(self) -> None:
        if self._following is not None:
            self._ask("unsubscribe", {"subscription": self._following}, lambda answer: None)
            self._following = None

    def _signalled(self, signum: int) -> None:
        match signum:
            case signal.SIGWINCH:
                self._console.resized()
            case signal.SIGCONT:
                self._console.foreground()
            case signal.SIGHUP if hung_up():
                self._console.foreground()
            case signal.SIGINT | signal.SIGTERM | signal.SIGHUP | signal.SIGQUIT:
                self._loop.stop()
            case _:
                pass

    def _complete(self, before: str, _word: str) -> list[str]:
        try:
            known = names(self._client, _AT_ONCE_S) if self._client is not None else []
        except Gone:
            known = []
        self._loop.soon(self._arrived)
        return complete(before, ["all", *known])


def _raise(error: BaseException) -> None:
    raise error
