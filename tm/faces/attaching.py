"""A client's part in terminals: what he types, and the sizes that he asks for.

Guarantees: a client types into no terminal but those that he is attached to; what he has typed and the process does not
read is refused, in his answer, and never kept without bounds.
Leaves to others: what a terminal shows, which is told as a subscription (`faces.session`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tm.faces import jsonrpc
from tm.faces.counter import Desk, Line, Tell
from tm.faces.jsonrpc import Failure
from tm.faces.methods import Asked

DETACHED: Final = "detached"
"""The last notification of an attach: the process has ended."""
_NOT_ATTACHED: Final = Failure(jsonrpc.PARAMS, "this client is attached to nothing by that number", "Ask for 'attach'.")
_UNREAD: Final = Failure(jsonrpc.BUSY, "the process does not read what is typed", "Nothing of it was typed. Try again.")


class Attaching:
    """What one client is attached to, by the numbers of his subscriptions."""

    def __init__(self, desk: Desk, by: str) -> None:
        self._desk = desk
        self._by = by
        self._lines: dict[int, Line] = {}

    def begin(self, number: int, wanted: Asked, last: int | None, tell: Tell) -> dict[str, object]:
        """Attach him; `subscription` is None where that cannot be."""
        answer, line = self._desk.attach(wanted, last, self._by, tell)
        if line is not None:
            self._lines[number] = line
        told = {"lines": list(answer.lines), "data": answer.data, "outcome": int(answer.outcome)}
        return {**told, "subscription": None if line is None else number}

    def end(self, number: int) -> None:
        """He looks on no more."""
        if (line := self._lines.pop(number, None)) is not None:
            line.end()

    def call(self, method: str, given: Mapping[str, Any]) -> Failure | dict[str, object]:
        """What he types, or the size that he asks for."""
        line = self._lines.get(given.get("subscription", 0))
        if line is None:
            return _NOT_ATTACHED
        if method == "attach.resize":
            if "rows" not in given or "columns" not in given:
                return Failure(jsonrpc.PARAMS, "'attach.resize' needs 'rows' and 'columns'.")
            line.resize(given["rows"], given["columns"])
        elif not line.type(given.get("base64", b"")):
            return _UNREAD
        return {"lines": [], "data": None, "outcome": 0}
