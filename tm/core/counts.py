"""What the actions of counting set in a row: attempts, restarts, shortages, and whether it is wanted up.

Leaves to others: when they are done (`core.transitions`), and the row (`core.process`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tm.core.timers import Instant
from tm.core.transitions import Action


class Counted(NamedTuple):
    """How it stood before. `oneshot`: being up is no success yet."""

    retries: int
    shortages: int
    restarts: int
    oneshot: bool = False


def counts(action: Action, was: Counted, now: Instant) -> dict[str, Any]:
    """The members of a row that the action sets, and to what."""
    forgiven = {"retries": 0, "shortages": 0, "fault": "", "proven": False}
    counts: dict[Action, dict[str, Any]] = {
        Action.COUNT_RETRY: {"retries": was.retries + 1, "shortages": 0},
        Action.COUNT_SHORTAGE: {"shortages": was.shortages + 1},
        Action.COUNT_RESTART: {"restarts": was.restarts + 1, "auto_started_at": now},
        Action.RESET_RETRIES: {"retries": was.retries if was.oneshot else 0},
        Action.WANT_UP: {**forgiven, "wanted_up": True, "restarts": 0, "auto_started_at": None},
        Action.WANT_DOWN: {**forgiven, "wanted_up": False},
    }
    return counts[action]
