"""One command on a connection: asked, waited for until it has come true or failed, told; its exit code.

Guarantees: the daemon's changes are listened to before the command is sent, so that none is missed; what is told is
what happened, in its order; a wait ends with the outcome, the time allowed, or the daemon.
"""

from __future__ import annotations

from tm.cli.answer import as_json, names, outcome, show
from tm.cli.client import ANSWER_S, SEARCH_S, Failed, Gone, Late
from tm.cli.codes import DONE, FAILED, TIMED_OUT
from tm.cli.request import Request, refusal
from tm.cli.screen import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tm.cli.client import Client
    from tm.cli.screen import Screen
    from tm.cli.wish import Wish

WAITED_FOR = ("start", "restart", "stop", "reload", "scale", "shutdown")
ALONE = ("top", "attach")
"""What has the terminal to itself, as long as it lasts."""


def perform(client: Client, wish: Wish, screen: Screen) -> int:
    """Carry out `wish.words`; the exit code. Raises Gone."""
    request = Request(wish.words)
    try:
        if request.verb in ALONE:
            return _alone(client, request, wish, screen)
        if request.follows:
            from tm.cli.follow import follow

            return follow(client, request, wish, screen)
        if wish.wait and request.verb in WAITED_FOR and not request.has("--dry-run"):
            from tm.cli.outcome import see_through

            return see_through(client, request, wish, screen)
        allowed_s = SEARCH_S if request.verb == "logs" else ANSWER_S
        limit_s = allowed_s if wish.timeout_s is None else wish.timeout_s
        answer = client.call(request.verb, request.params(screen), limit_s)
        show(answer, wish, screen, request.raw)
        return outcome(request, answer)
    except Late as error:
        if wish.timeout_s is None:
            raise
        complain(f"{error}.")
        return TIMED_OUT
    except Failed as error:
        text, code = refusal(error, wish.words)
        if wish.json:
            screen.out(as_json({"error": text}))
        else:
            complain(text)
        return code


def _alone(client: Client, request: Request, wish: Wish, screen: Screen) -> int:
    """What has the terminal to itself."""
    if request.verb == "top":
        from tm.cli.top import top

        return top(client, request, screen)
    from tm.cli.attach import attach

    return attach(client, wish, screen)


def print_names(client: Client) -> int:
    """Every word that means a task or a process, a line each: for the completion of a shell, which no complaint may
    disturb.
    """
    from tm.cli.screen import Screen

    try:
        Screen().out("\n".join(names(client, 1.0)))
    except Gone:
        return FAILED
    return DONE
