"""What has to hold within a task that runs to completion.

Guarantees: a job is not told to run for ever, and a key that says something of a schedule has one.
Leaves to others: the schedule itself (`core.cron`), where the rest of a task is settled (`core.settle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tm.core.field import Block, Given
from tm.core.task import Restart

_OF_A_SCHEDULE: Final = ("timeZone", "overlap")

Refuse = Callable[[Given, str, str, str], None]


def settle_job(values: dict[str, Any], block: Block, owner: str, refuse: Refuse) -> None:
    """Make `oneshot` of what has a schedule, and refuse what makes no sense. `owner`: that of the task's own keys."""
    if "schedule" in block.refused:
        return
    scheduled = values["schedule"] is not None
    for given, why, hint in _contradictions(values, block, owner):
        refuse(given, "no-sense", why, hint)
    values["oneshot"] = values["oneshot"] or scheduled


def _contradictions(values: dict[str, Any], block: Block, owner: str) -> Iterator[tuple[Given, str, str]]:
    given, scheduled = block.given, values["schedule"] is not None
    which = "has a schedule" if scheduled else "is oneshot"
    if scheduled and "oneshot" in given and not values["oneshot"]:
        yield given["oneshot"], "what has a schedule runs to completion", "remove one of them"
    elif (scheduled or values["oneshot"]) and values["restart"] is Restart.ALWAYS:
        hint = "write 'restart: on-failure' or 'restart: never' in it"
        yield given["restart"], f"the task {which}, and would never be through", hint
    for key in _OF_A_SCHEDULE:
        if not scheduled and key in given and given[key].owner == owner:
            yield given[key], "the task has no schedule", "add 'schedule:', or remove it"
