"""What the actions of counting set in a row: attempts, restarts, shortages, and whether it is wanted up.

Leaves to others: when they are done (`core.transitions`), and the row (`core.process`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tm.core.timers import Instant
from tm.core.transitions import Action

_FORGIVEN: Final = {"retries": 0, "shortages": 0, "fault": "", "proven": False}


class Counted(NamedTuple):
    """How it stood before. `oneshot`: being up is no success yet."""

    retries: int
    shortages: int
    restarts: int
    oneshot: bool = False


def counts(action: Action, was: Counted, now: Instant) -> dict[str, Any]:
    """The members of a row that the action sets, and to what."""
    match action:
        case Action.COUNT_RETRY:
            return {"retries": was.retries + 1, "shortages": 0}
        case Action.COUNT_SHORTAGE:
            return {"shortages": was.shortages + 1}
        case Action.COUNT_RESTART:
            return {"restarts": was.restarts + 1, "auto_started_at": now}
        case Action.RESET_RETRIES:
            return {"retries": was.retries if was.oneshot else 0}
        case Action.WANT_UP:
            return {**_FORGIVEN, "wanted_up": True, "restarts": 0, "auto_started_at": None}
        case Action.WANT_DOWN:
            return {**_FORGIVEN, "wanted_up": False}
        case _:
            raise ValueError(f"{action.value} counts nothing")
