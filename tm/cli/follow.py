"""`logs -f` and `events -f`: what there is, then what comes, until Ctrl-C or until nobody reads on.

Guarantees: nothing falls between the two: the requests go out in one piece; what was lost on the way is told; what
becomes of the processes is told among their output, in its place.
"""

from __future__ import annotations

from tm.cli.answer import as_json, show
from tm.cli.codes import DONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tm.cli.client import Client, Message
    from tm.cli.request import Request
    from tm.cli.screen import Screen
    from tm.cli.wish import Wish


def requests(request: Request, screen: Screen, json: bool = False, events: bool = False) -> list[tuple[str, Message]]:
    """What is sent: what shows what there is, last what tells what comes. `logs.follow` is both. `events`: those among
    output too.
    """
    params = request.params(screen)
    if request.verb == "logs" and json:
        return [("logs.follow", params | {"options": [*request.options, "--json"]})]
    if request.verb == "logs":
        return [("logs.follow", params), *([("events.subscribe", {"names": request.selection})] if events else [])]
    return [("events", params), ("events.subscribe", {"names": request.selection or None})]


def follow(client: Client, request: Request, wish: Wish, screen: Screen) -> int:
    """Tell until the end; the exit code. Raises Failed, Gone."""
    try:
        first, *others = client.send(*requests(request, screen, wish.json, True))
        answer = client.answer(first)
        if not wish.json or answer.get("outcome", DONE):
            show(answer, wish, screen)
        elif isinstance(answer.get("data"), list):
            screen.out("\n".join(as_json(each, None) for each in answer["data"]))
        if answer.get("outcome", DONE):
            return int(answer["outcome"])
        for number in others:
            client.answer(number)
        while True:
            message = client.next(None)
            line = None if message is None else told(message, wish.json, request.verb == "logs")
            if line is not None:
                screen.out(line)
    except KeyboardInterrupt:
        return DONE


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
            return f"[{params['count']} lost: this reader was too slow]"
        case _:
            return None


def _record(shown: Message) -> str:
    from tm.core.records import Level, Record

    level = Level[shown["level"].upper()]
    return Record(shown["time"], level, shown["who"], shown["event"], shown["text"]).as_text()
