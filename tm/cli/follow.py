"""`logs -f` and `events -f`: what there is, then what comes, until Ctrl-C or until nobody reads on.

Guarantees: nothing falls between the two: the requests go out in one piece; what was lost on the way is told; what
becomes of the processes is told among their output, in its place. A daemon that goes away is waited for, and output
goes on where it was told last.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import stat
from time import monotonic, sleep

from tm.cli.answer import as_json, show
from tm.cli.client import SEARCH_S, Client, Gone, NoDaemon
from tm.cli.codes import DONE
from tm.cli.screen import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tm.cli.client import Message
    from tm.cli.request import Request
    from tm.cli.screen import Screen
    from tm.cli.wish import Wish

AWAY_S = 30.0
"""How long a daemon that went away is waited for, unless `--timeout` says otherwise."""
_KNOCK_S, _KNOCK_MOST_S = 0.02, 0.5


def requests(
    request: Request, screen: Screen, json: bool = False, events: bool = False, after: Message | None = None
) -> list[tuple[str, Message]]:
    """What is sent: what shows what there is, last what tells what comes. `logs.follow` is both. `events`: those among
    output too; `after`: where output was told up to.
    """
    params = request.params(screen)
    if request.verb != "logs":
        return [("events", params), ("events.subscribe", {"names": request.selection or None})]
    if after is not None:
        params = params | {"after": after}
    if json:
        return [("logs.follow", params | {"options": [*request.options, "--json"]})]
    subscribe = [("events.subscribe", {"names": request.selection})] if events and not request.raw else []
    return [("logs.follow", params), *subscribe]


def follow(client: Client, request: Request, wish: Wish, screen: Screen) -> int:
    """Tell until the end; the exit code. Raises Failed, Gone."""
    following = _Following(request, wish, screen)
    present = client
    try:
        while True:
            try:
                return following.tell(present)
            except Gone as error:
                present.close()
                present = _back(client.path, error, wish)
    except KeyboardInterrupt:
        return DONE
    finally:
        if present is not client:
            present.close()


class _Following:
    """What is followed, over the lives of daemons."""

    def __init__(self, request: Request, wish: Wish, screen: Screen) -> None:
        self._request = request
        self._wish = wish
        self._screen = screen
        self._marks: Message | None = None

    def tell(self, client: Client) -> int:
        """Until the daemon goes away, or has nothing to tell; the exit code. Raises Failed, Gone."""
        first, *others = client.send(*requests(self._request, self._screen, self._wish.json, True, self._marks))
        answer = client.answer(first, SEARCH_S)
        if answer.get("outcome", DONE) or self._marks is None or self._request.verb == "logs":
            self._show(answer)
        if answer.get("outcome", DONE):
            return int(answer["outcome"])
        self._marks = {**(self._marks or {}), **answer.get("marks", {})}
        for number in others:
            client.answer(number)
        while True:
            self._hear(_next(client))

    def _show(self, answer: Message) -> None:
        if not self._wish.json or answer.get("outcome", DONE):
            if self._marks is None or answer.get("data"):  # nothing new after a restart is nothing to tell
                show(answer, self._wish, self._screen, self._request.raw)
        elif isinstance(answer.get("data"), list):
            self._screen.out("\n".join(as_json(each, None) for each in answer["data"]))

    def _hear(self, message: Message) -> None:
        params = message.get("params", {})
        if self._marks is not None:
            self._marks.update(params.get("marks", {}))
        if "base64" in params:
            self._screen.raw(params["base64"])
            return
        line = told(message, self._wish.json, self._request.verb == "logs")
        if line is not None:
            self._screen.out(line)


def _next(client: Client) -> Message:
    """The next notification. Who follows what is silent has to hear of it as well when nobody reads on: then this ends
    as a write would. Raises Gone.
    """
    waited_for = select.poll()
    waited_for.register(client.fileno(), select.POLLIN)
    if stat.S_ISFIFO(os.fstat(1).st_mode):  # a terminal that is gone sends SIGHUP
        waited_for.register(1, 0)
    while (message := client.next(0)) is None:
        if any(fd == 1 for fd, _ in waited_for.poll()):
            signal.raise_signal(signal.SIGPIPE)
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))  # the signal is blocked
    return message


def _back(path: str, error: Gone, wish: Wish) -> Client:
    """The daemon, when it is there again. Raises Gone."""
    complain(f"{error}; waiting for it.")
    until = monotonic() + (AWAY_S if wish.timeout_s is None else wish.timeout_s)
    pause_s = _KNOCK_S
    while monotonic() < until:
        try:
            client = Client(path)
        except NoDaemon:
            sleep(pause_s)
            pause_s = min(2 * pause_s, _KNOCK_MOST_S)
            continue
        complain("it is back.")
        return client
    raise error


def told(message: Message, json: bool = False, beside_output: bool = False) -> str | None:
    """A notification as a line; None for what a follower is not told. `beside_output`: an event stands among lines of
    output, and only what became of a process is worth it.
    """
    params = message.get("params", {})
    match message.get("method"):
        case "log":
            return str(params["text"])
        case "event" if beside_output:
            return f"\u25c6 {params['who']} {params['text']}" if params["event"] == "state" else None
        case "event":
            shown = {key: params[key] for key in ("time", "level", "who", "event", "text")}
            return as_json(shown, None) if json else _record(shown)
        case "lost" if not json:
            what = f"{params['lines']} lines" if params["lines"] else params["count"]
            return f"[{what} lost: this reader was too slow]"
        case _:
            return None


def _record(shown: Message) -> str:
    from tm.core.records import Level, Record

    level = Level[shown["level"].upper()]
    return Record(shown["time"], level, shown["who"], shown["event"], shown["text"]).as_text()
