"""Every region of the pages that is printed from a table; `python -m tm.cli.pages <PAGE` prints PAGE with them renewed.

Guarantees: a command, a flag, a method, a limit stands in a page as it is declared in the code, and nowhere else.
Leaves to others: how a table looks, and where it goes (`core.pages`); the prose, which is in the pages.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import Final

from tm.cli.wish import FLAGS
from tm.core import interface, pages
from tm.core.mdoc import item
from tm.core.pages import Region
from tm.core.ports import LINE_BYTES
from tm.core.verbs import VERBS
from tm.edge import connection
from tm.edge.sockets import PATH_BYTES
from tm.faces import hub, jsonrpc, session
from tm.faces.methods import METHODS, WIDTH_MOST

# fmt: off
ERRORS: Final = (
    (jsonrpc.PARSE,       "the line is no JSON: no UTF-8, nested too deeply, a number of too many digits"),
    (jsonrpc.REQUEST,     "it is JSON and no request: a batch, a member that does not exist, a key given twice, "
                          "an `id` that is neither text nor a number nor null"),
    (jsonrpc.METHOD,      "there is no such method"),
    (jsonrpc.PARAMS,      "params that do not fit the method, or a subscription that does not exist"),
    (jsonrpc.INTERNAL,    "a bug; the event log has the traceback"),
    (jsonrpc.BUSY,        "a limit is reached; nothing was carried out, unless it is the answer that is too long"),
    (jsonrpc.NOT_ALLOWED, "the socket is not for this user; the daemon hangs up"),
)
# fmt: on

LIMITS: Final = (
    ("the path of the socket", f"{PATH_BYTES} bytes", "a daemon does not start with a longer one"),
    (
        "a line from a client",
        f"{LINE_BYTES:,} bytes",
        f"it is skipped to its end, error {jsonrpc.BUSY}; the next one is taken",
    ),
    (
        "an answer",
        f"{session.ANSWER_BYTES:,} bytes",
        f"error {jsonrpc.BUSY} in its place; what was asked has been carried out",
    ),
    ("`width`", f"{WIDTH_MOST:,} columns", f"error {jsonrpc.PARAMS}"),
    ("subscriptions of a client", f"{session.SUBSCRIPTIONS_MOST:,}", f"error {jsonrpc.BUSY}"),
    (
        "clients",
        f"{hub.CLIENTS_MOST:,}, or a quarter of the daemon's limit of open files where that is less, but 8 at least",
        f"whoever has been silent longest, {hub.SILENT_S:.0f} s at least, and neither subscribes nor has anything left "
        f"to read, is hung up on; where there is none, the new client hears error {jsonrpc.BUSY} and is hung up on",
    ),
    (
        "answers that a client has not read",
        f"{connection.OWED_BYTES:,} bytes",
        "no further line is taken from it until it has read",
    ),
    (
        "notifications that a client has not read",
        f"{connection.NOTICE_BYTES:,} bytes",
        "further ones are lost, and counted",
    ),
    (
        "what all clients together have not read",
        f"{hub.HELD_BYTES:,} bytes",
        f"requests are refused, error {jsonrpc.BUSY}; notifications are lost, and counted",
    ),
    (
        "requests in one turn of the daemon",
        f"{connection.LINES_A_TURN} a client, {hub.SLICE_S * 1000:.0f} ms all together, one of each client at least",
        "the rest is carried out in the next turns",
    ),
    (
        "reading on after `shutdown`",
        f"{hub.LAST_CHANCE_S:.0f} s, all clients together",
        "what is not read by then is lost",
    ),
)


def methods() -> list[str]:
    """Every method, a line each."""
    rows = []
    for method in METHODS.values():
        params = ", ".join(f"`{param.name}`" for param in method.params)
        options = ", ".join(f"`{option.name}`" for option in method.verb.options) if method.verb else ""
        rows.append((f"`{method.name}`", params, options, method.doc))
    return pages.table(("method", "params", "options", "does"), rows)


def params() -> list[str]:
    """Every parameter, a line each."""
    known = {param.name: param for method in METHODS.values() for param in method.params}
    rows = [(f"`{param.name}`", param.kind, param.doc) for param in known.values()]
    return pages.table(("param", "is", "means"), rows)


def own_methods() -> list[str]:
    """The methods that are no commands, for a manual page."""
    own = [method for method in METHODS.values() if method.verb is None or method.verb.name != method.name]
    return [line for method in own for line in item(f"Ic {method.name}", method.doc)]


def _errors() -> list[str]:
    return pages.table(("code", "means"), ((f"`{code}`", text) for code, text in ERRORS))


def _limits() -> list[str]:
    return pages.table(("of", "at most", "beyond that"), LIMITS)


REGIONS: Final[Mapping[str, Region]] = {
    "commands": pages.commands,
    **{f"command {verb.name}": partial(pages.command, verb) for verb in VERBS},
    **{f"flag {long}": partial(pages.flag, short, long, takes, doc) for short, long, takes, doc, _ in FLAGS},
    "exit codes of taskmaster": partial(pages.exits, interface.DAEMON_EXITS),
    "exit codes of taskmasterctl": partial(pages.exits, interface.CLIENT_EXITS),
    "signals": partial(pages.entries, interface.SIGNALS, "Dv"),
    "environment of taskmaster": partial(pages.entries, interface.DAEMON_VARIABLES, "Ev"),
    "environment of taskmasterctl": partial(pages.entries, interface.CLIENT_VARIABLES, "Ev"),
    "environment of a process": partial(pages.entries, interface.CHILD_VARIABLES, "Ev"),
    "events": partial(pages.entries, interface.EVENTS, "Cm"),
    "environment of an event": partial(pages.entries, interface.EVENT_VARIABLES, "Ev"),
    "table of events": partial(pages.entries_table, "`TASKMASTER_EVENT`", interface.EVENTS),
    "table of the environment of an event": partial(pages.entries_table, "variable", interface.EVENT_VARIABLES),
    "environment of a hook": partial(pages.entries, interface.HOOK_VARIABLES, "Ev"),
    "table of the environment of a hook": partial(pages.entries_table, "variable", interface.HOOK_VARIABLES),
    "files of taskmaster": partial(pages.entries, interface.DAEMON_FILES, "Pa"),
    "files of taskmasterctl": partial(pages.entries, interface.CLIENT_FILES, "Pa"),
    "methods": own_methods,
    "table of commands": pages.commands_table,
    "table of exit codes of taskmaster": partial(pages.exits_table, interface.DAEMON_EXITS),
    "table of exit codes of taskmasterctl": partial(pages.exits_table, interface.CLIENT_EXITS),
    "table of methods": methods,
    "table of params": params,
    "table of errors": _errors,
    "table of limits": _limits,
}

if __name__ == "__main__":
    print(pages.renewed(sys.stdin.read(), REGIONS), end="")
