"""Whether what was asked for has come true: values from the daemon's changes to done, pending or failed. Pure.

Guarantees: a state counts only when it was reached after the wish had been carried out, where it could also be an old
one; a process that somebody else stopped, or started again, meanwhile is told as that; each process ends in one way.
"""

from __future__ import annotations

from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    Change: TypeAlias = dict[str, Any]
    Key: TypeAlias = tuple[str, int]

UP, DOWN, SETTLED = "up", "down", "settled"
GOALS = {"start": UP, "restart": UP, "stop": DOWN, "reload": SETTLED, "scale": SETTLED}
_MOVING = ("STARTED", "STOPPING", "KILLING")
_FAILED = ("BACKOFF", "FATAL")
_NOTED_MOST = 10
_AT_REST = ("STOPPED", "EXITED", "FATAL")


class Waiting:
    """What is still to come of one command. `pending`: the last change of each that is waited for.

    `doubtful`: changes were lost, and it cannot be told yet what has been carried out: look again.

    A process goes by its task and number, since its name may change while it is waited for.
    """

    def __init__(self, verb: str) -> None:
        self.verb, self.goal = verb, GOALS[verb]
        self.pending: dict[Key, Change] = {}
        self.done: dict[Key, str] = {}
        self.failed: dict[Key, Change] = {}
        self._asked = False
        self._tasks: frozenset[str] = frozenset()
        self._carried: set[Key] = set()
        self._halted: set[Key] = set()
        self._seen: dict[Key, tuple[object, ...]] = {}
        self.doubtful = False
        self._last: dict[Key, Change] = {}

    @property
    def over(self) -> bool:
        """Whether nothing is to come any more."""
        return self._asked and not self.pending

    def answered(self, asked: Iterable[str], rows: Iterable[Change]) -> None:
        """The daemon has answered: these processes are meant, and so they stand at present."""
        meant = frozenset(asked)
        self._asked = True
        for row in rows:
            if row["name"] in meant:
                self._judge(_key(row), {**self._last.get(_key(row), {}), **row, "state": row["status"]})

    def answered_plan(self, plan: dict[str, Any], rows: Iterable[Change]) -> None:
        """The same for a reload: what it touches is meant, and what moves of that is waited for."""
        self._tasks = frozenset(name for part in ("respawn", "add", "scale", "remove") for name in plan.get(part, ()))
        starts = frozenset(plan.get("starts", ()))
        self._asked = True
        for row in rows:
            key = _key(row)
            if row["task"] in self._tasks and row["name"] in starts and key not in self._carried:
                self.pending[key] = {**row, "state": row["status"]}
            elif row["task"] in self._tasks:
                self._judge(key, {**self._last.get(key, {}), **row, "state": row["status"]})

    def hear(self, change: Change) -> bool:
        """A row has changed; whether that concerns this command."""
        key, event = _key(change), change["event"]
        self._last[key] = change
        if event in (self.verb, "spared") or (self.goal is SETTLED and event in ("start", "stop", "restart")):
            self._carried.add(key)
        if change["state"] in ("STOPPING", "KILLING"):
            self._halted.add(key)
        if not self._asked:
            return True
        mine = key in self.pending or change.get("task") in self._tasks
        if mine:
            self._judge(key, change)
        return mine

    def look_again(self, rows: Iterable[Change]) -> None:
        """Some changes were lost on their way: so things stand. What was asked for counts as carried out where a row is
        another one than before, and everywhere when nothing has moved between two looks; what is no longer there will
        not come.
        """
        found = {_key(row): row for row in rows}
        seen = {key: _stand(found[key]) for key in self.pending if key in found}
        at_rest, self._seen = seen.items() <= self._seen.items(), seen
        for key, last in list(self.pending.items()):
            row = found.get(key)
            if at_rest or row is None or _stand(row) != _stand({"status": last["state"], **last}):
                self._carried.add(key)
            self._judge(key, {**last, "event": "dropped"} if row is None else {**last, **row, "state": row["status"]})
        self.doubtful = bool(self.pending) and not at_rest

    def _judge(self, key: Key, change: Change) -> None:
        verdict = {UP: self._up, DOWN: self._down, SETTLED: self._settled}[self.goal](key, change)
        if verdict is None:
            self.pending[key] = change
            return
        self.pending.pop(key, None)
        if verdict:
            self.failed.pop(key, None)
            self.done[key] = change["name"]
        else:
            self.failed[key] = change

    def _up(self, key: Key, change: Change) -> bool | None:
        state, event = change["state"], change.get("event")
        carried = key in self._carried
        if change.get("blocked") and state in _AT_REST:
            return False if change.get("stuck") else None
        if event in ("dropped", "spared") or (event == "stop" and state in _AT_REST and key in self.pending):
            return False
        if state == "RUNNING":
            return True if carried or self.verb == "start" else None
        if carried and state in (*_FAILED, *_AT_REST):
            return is_through(change)
        return None

    def _down(self, key: Key, change: Change) -> bool | None:
        state = change["state"]
        if state in _AT_REST or change.get("event") == "dropped":
            return True
        again = state in ("STARTED", "RUNNING") and key in self._halted and key in self._carried
        return False if again else None

    def _settled(self, key: Key, change: Change) -> bool | None:
        if change.get("event") == "dropped":
            return True
        if change.get("event") == "spared":
            return False
        if change.get("blocked"):
            return False if change.get("stuck") else None
        if change["state"] in _MOVING:
            return None
        return not (change["state"] in _FAILED and key in self._last)


def is_through(change: Change) -> bool:
    """Whether it is a job, and has done its work."""
    return bool(change.get("oneshot")) and change["state"] == "EXITED"


def _key(change: Change) -> Key:
    return change["task"], change["instance"]


def _stand(row: Change) -> tuple[object, ...]:
    """What tells a row from the one that it was."""
    return row["status"], row.get("pid"), row.get("restarts")


def why(verb: str, change: Change) -> list[str]:
    """What became of a process that did not become what was asked for: cause and attempt, hint; without last words."""
    name, state = change["name"], change["state"]
    if verb == "stop":
        return [f"Process '{name}' was stopped, and somebody started it again meanwhile (pid {change.get('pid')})"]
    if change.get("event") == "dropped":
        return [f"Process '{name}' was removed meanwhile: the configuration no longer has it"]
    if change.get("event") == "spared":
        return [f"Process '{name}' was left as it is: {change.get('why')}"]
    if change.get("blocked"):
        return [f"Process '{name}' {change['blocked']}"]
    if state == "STOPPED":
        return [f"Process '{name}' was stopped by somebody else meanwhile"]
    verb_phrase = "ended as expected, and is not up" if state == "EXITED" else f"is {state}"
    detail = ", ".join(str(part) for part in (change.get("cause"), change.get("attempt")) if part)
    lines = [f"Process '{name}' {verb_phrase}" + (f": {detail}" if detail else "")]
    if change.get("hint"):
        lines.append(f"  {change['hint']}")
    if change.get("place"):
        lines.append(f"  see {change['place']}")
    return lines


def noted(waiting: Waiting) -> list[str]:
    """What is said of a wait that is over to somebody who has heard of every change: no more than they do not say."""
    up = list(waiting.done.values()) if waiting.goal is UP else []
    lines = [f"Process '{name}' is RUNNING" for name in up[:_NOTED_MOST]]
    for change in list(waiting.failed.values())[:_NOTED_MOST]:
        told = change.get("blocked") or change["state"] in (*_FAILED, "EXITED")
        if not told or change.get("event") == "dropped":
            lines += why(waiting.verb, change)
    return lines


def progress(pending: dict[Key, Change], deadlines: dict[Key, float], now: float) -> str:
    """The live line: whom it waits for, and how long each has. It costs the same for any number of them."""
    if not pending:
        return ""
    shown = islice(pending.items(), 3)
    parts = [_one(change, deadlines[key] - now if key in deadlines else None) for key, change in shown]
    more = f", and {len(pending) - 3} more" if len(pending) > 3 else ""
    return f"Waiting for {', '.join(parts)}{more} ..."


def _one(change: Change, left_s: float | None) -> str:
    if change.get("blocked"):
        return f"'{change['name']}' ({change['blocked']})"
    what = {"STOPPING": "SIGKILL in ", "STARTED": "RUNNING in "}.get(change["state"])
    counted = f"{what}{max(0, round(left_s))}s" if what and left_s is not None else str(change["state"])
    counted = "its turn is to come" if counted == "RUNNING" else counted
    pid = f"pid {change['pid']}, " if change.get("pid") else ""
    return f"'{change['name']}' ({pid}{counted})"
