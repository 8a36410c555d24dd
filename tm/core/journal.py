"""The journal of what a daemon keeps alive: its lines, and what they come to when they are read again.

A daemon that dies leaves processes; the journal tells the next one which they are, and what was known of them. It is
append-only: one JSON object a line, compact and ASCII, its `kind` first:

* `head`: of which boot, pid namespace and configuration what follows is. It begins anew, all before it is forgotten;
* `intent`: an instance is about to be spawned; `generation` is the number of this start, `tick` the time of it;
* `row`: what is known of an instance now. It takes the place of an earlier row, and closes an intent of its generation;
* `ended`: the process has ended, in this way; what follows from that its next row tells;
* `gone`: the instance is no longer kept, nor is an intent of it;
* `stopping`: the daemon has begun to shut down, on behalf of somebody.

Guarantees: `replay` takes any bytes and never raises; a line that makes no sense is skipped and its number given, as is
one of an unknown kind or version, while unknown members of a known kind are ignored; a line counts only when it has its
end, so that a torn one never does; nonsense leaves no trace of itself, not even half of it.
Leaves to others: the file (`edge.journal`), whose the head is, and what to do with an intent that is open.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tm.core.exitstatus import ExitStatus
from tm.core.saved import Key, Saved, count, end_members, from_members, members, name, number, read_end, text

VERSION: Final = 1
BEGIN: Final = b'{"kind":"'
"""How every line begins that is ours."""
_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Head(NamedTuple):
    """Whose journal it is: pids and instants mean something only in this boot and pid namespace."""

    boot: str
    pid_namespace: str
    configuration: str


class Intent(NamedTuple):
    """A start that was intended: its number, and when, in clock ticks since boot."""

    generation: int
    tick: int


@dataclass(slots=True)
class Ledger:
    """What a journal comes to. `intents`: those that are open; `ended`: how processes ended whose rows do not say it
    yet, by pid; `pids`: all that it has had on record; `stopping`: on whose behalf, '' for no; `damaged`: more may have
    been on record than is told here.
    """

    head: Head | None = None
    rows: dict[Key, Saved] = field(default_factory=dict)
    intents: dict[Key, Intent] = field(default_factory=dict)
    ended: dict[int, ExitStatus] = field(default_factory=dict)
    pids: set[int] = field(default_factory=set, compare=False)
    stopping: str = ""
    damaged: bool = field(default=False, compare=False)

    def put(self, row: Saved) -> None:
        """What is known of an instance now."""
        before = self.rows.get(row.key)
        if before is not None and before.pid is not None:
            self.ended.pop(before.pid, None)
        self.rows[row.key] = row

    def drop(self, key: Key) -> None:
        """It is no longer kept."""
        before = self.rows.pop(key, None)
        if before is not None and before.pid is not None:
            self.ended.pop(before.pid, None)
        self.intents.pop(key, None)


# ---- lines


def head_line(head: Head) -> bytes:
    """Begin a journal."""
    about = {"boot": head.boot, "pidNamespace": head.pid_namespace, "configuration": head.configuration}
    return _line("head", {"version": VERSION, **about})


def intent_line(task: str, n: int, intent: Intent) -> bytes:
    """Say that it is about to be spawned."""
    return _line("intent", {"task": task, "n": n, **intent._asdict()})


def row_line(row: Saved) -> bytes:
    """Say what is known of it now. Raises ValueError for an instant that is no number."""
    return _line("row", members(row))


def ended_line(pid: int, status: ExitStatus) -> bytes:
    """Say how a process has ended."""
    return _line("ended", {"pid": pid, "exit_status": end_members(status)})


def gone_line(task: str, n: int) -> bytes:
    """Say that it is no longer kept."""
    return _line("gone", {"task": task, "n": n})


def stopping_line(by: str) -> bytes:
    """Say that the daemon has begun to shut down on behalf of `by`, which is not empty."""
    return _line("stopping", {"by": by})


def compacted(ledger: Ledger) -> list[bytes]:
    """The fewest lines that come to the same."""
    lines = [] if ledger.head is None else [head_line(ledger.head)]
    lines += map(row_line, ledger.rows.values())
    lines += [ended_line(pid, status) for pid, status in ledger.ended.items()]
    lines += [intent_line(*key, intent) for key, intent in ledger.intents.items()]
    return [*lines, stopping_line(ledger.stopping)] if ledger.stopping else lines


def _line(kind: str, about: Mapping[str, object]) -> bytes:
    return _encode({"kind": kind, **about}).encode("ascii") + b"\n"


# ---- replay


def replay(lines: Iterable[bytes]) -> tuple[Ledger, list[int]]:
    """What the lines, each with its end, come to; and the numbers, from 1, of those that make no sense."""
    ledger = Ledger()
    nonsense = []
    for at, line in enumerate(lines, 1):
        try:
            ledger = _taken(ledger, _object(line))
        except (ValueError, TypeError, KeyError, RecursionError):
            nonsense.append(at)
    ledger.damaged = bool(nonsense)
    return ledger, nonsense


def _object(line: bytes) -> dict[str, Any]:
    """The line as it was written. Each way in which it may be broken is an error that `replay` knows."""
    if not line.endswith(b"\n"):
        raise ValueError("the line is torn")
    content = json.loads(line.decode("ascii"), object_pairs_hook=_once)
    if not isinstance(content, dict):
        raise TypeError("the line is no object")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a member stands twice")
    return content


def _taken(ledger: Ledger, line: dict[str, Any]) -> Ledger:
    """The ledger with one more line, which is read as a whole before anything is changed."""
    match line["kind"]:
        case "head":
            return Ledger(_head(line))
        case "intent":
            key = _key(line)
            ledger.intents[key] = Intent(count(line["generation"]), count(line.get("tick", 0)))
        case "row":
            _read_row(ledger, from_members(line))
        case "ended":
            pid, status = count(line["pid"]), read_end(line["exit_status"])
            ledger.ended[pid] = status
        case "gone":
            ledger.drop(_key(line))
        case "stopping":
            ledger.stopping = name(line["by"])
        case _:
            raise ValueError("no such kind")
    return ledger


def _read_row(ledger: Ledger, row: Saved) -> None:
    ledger.put(row)
    if row.pid is not None:
        ledger.pids.add(row.pid)
    intent = ledger.intents.get(row.key)
    if intent is not None and intent.generation == row.generation:
        del ledger.intents[row.key]


def _head(line: dict[str, Any]) -> Head:
    if count(line["version"]) != VERSION:
        raise ValueError("another version")
    return Head(text(line["boot"]), text(line["pidNamespace"]), text(line["configuration"]))


def _key(line: dict[str, Any]) -> Key:
    return name(line["task"]), number(line["n"])
