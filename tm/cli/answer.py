"""What the client does with an answer: lines or JSON for the operator, an exit code, names for completion."""

from __future__ import annotations

from time import monotonic

from tm.cli.client import ANSWER_S, Failed
from tm.cli.codes import DONE, NOT_AS_WANTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tm.cli.client import Client, Message
    from tm.cli.request import Request
    from tm.cli.screen import Screen
    from tm.cli.wish import Wish

_WANTED_UP = ("BACKOFF", "FATAL")


def show(answer: Message, wish: Wish, screen: Screen, raw: bool = False) -> None:
    """The data, where JSON was asked for, or the bytes; else the lines, on stderr where they tell of a failure."""
    if answer.get("note"):
        screen.err(answer["note"])
    if wish.json:
        screen.out(as_json(answer.get("data")))
    elif raw and not answer.get("outcome", DONE):
        screen.raw(answer["data"]["base64"])
    else:
        text = "\n".join(answer.get("lines", ()))
        (screen.err if answer.get("outcome", DONE) else screen.out)(text)


def outcome(request: Request, answer: Message) -> int:
    """The exit code of an answer. Of `status`: whether all that is wanted up is up."""
    code = int(answer.get("outcome", DONE))
    if request.verb == "status" and code == DONE:
        return NOT_AS_WANTED if any(row["status"] in _WANTED_UP for row in answer["data"]) else DONE
    return code


def as_json(data: object, indent: int | None = 2) -> str:
    """As at the daemon's own prompt."""
    import json

    return json.dumps(data, ensure_ascii=True, indent=indent)


def names(client: Client, wait_s: float = ANSWER_S) -> list[str]:
    """Every word that means a task or a process. Raises Gone."""
    try:
        rows = client.call("status", {}, wait_s).get("data") or []
    except Failed:
        return []
    return list(dict.fromkeys(name for row in rows for name in (row["task"], row["name"]) if _is_name(name)))


def _is_name(word: str) -> bool:
    """Whether it can be a name at all: a shell that completes it might carry out what is not."""
    return word.isascii() and word.replace("_", "").replace(".", "").replace("-", "").isalnum()


def last_words(client: Client, name: str) -> list[str]:
    """The last lines that a process wrote to stderr. Raises Gone."""
    try:
        answer = client.call("logs", {"words": [name], "options": ["--stderr"], "lines": 5})
    except Failed:
        return []
    if answer.get("outcome") or not answer.get("data"):
        return []
    lines: list[Any] = answer["lines"]
    return [f"  stderr: {line}" for line in lines if line]


def now() -> float:
    """The clock of the waits."""
    return monotonic()
