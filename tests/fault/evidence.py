"""What is left when it is over, as evidence of what was promised: the lines of writers, the runs of short programs.

The witnesses are the programs themselves: each has written down what it did, and the daemon's words are held against
that.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

LAST_WORDS = 3
_TOLD = 100
_REAPED = re.compile(r" (\S+) state: .*\(reaped\), pid (\d+), (?:exit code (\d+)|(unknown exit status)|(signal \w+))")
_LOOK_AHEAD = 20


class Run(NamedTuple):
    """One run of an instance: its pid and how it ended; `code` '' where nobody could tell."""

    pid: int
    code: str


# ---- lines


def in_order(log: Path) -> Iterator[str]:
    """The lines of a log and of what was rotated away, the oldest first, without their ends."""
    older = sorted(log.parent.glob(f"{log.name}.*"), key=lambda each: -int(each.suffix[1:]))
    for path in [*older, log]:
        with path.open(errors="replace") as file:
            for line in file:
                yield line.rstrip("\n")


@dataclass
class Lines:
    """What is wrong with the lines of numbered floods (`tests/programs/flood_until.py`) in one log, each told in words;
    `count`: how many are there, in order and whole.
    """

    count: int = 0
    lost: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def faults_in_lines(lines: Iterable[str], writers: Iterable[str]) -> Lines:
    """Look at all of them. What is lost is one fault, however long it was."""
    found = Lines()
    due = dict.fromkeys(writers, 0)
    ended: set[str] = set()
    before = ""
    for at, line in enumerate(lines, 1):
        words = line.split(" ")
        told = f"line {at}: {line[:_TOLD]!r} after {before[:_TOLD]!r}"
        before = line
        if len(words) < LAST_WORDS or words[0] not in due or not _whole(words):
            found.torn.append(told)
            continue
        name, number = words[0], int(words[1])
        if words[2] == "end":
            ended.add(name)
        if number < due[name]:
            found.doubled.append(told)
            continue
        if number > due[name]:
            found.lost.append(f"{number - due[name]} before {told}")
        found.count += 1
        due[name] = number + 1
    found.lost += [f"the end of {name}" for name in due.keys() - ended]
    return found


def _whole(words: list[str]) -> bool:
    """Whether it is a line as they are written."""
    if not words[1].isdecimal():
        return False
    if len(words) == LAST_WORDS:
        return words[2] == "end"
    return len(words) == LAST_WORDS + 1 and words[2] == str(int(words[1]) * 7 % 211) and words[3] == "x" * int(words[2])


# ---- runs


def told_runs(log: Iterable[str]) -> dict[str, list[Run]]:
    """The runs that a daemon's event log tells of, in order, by instance."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for line in log:
        if "(reaped)" in line and (found := _REAPED.search(line)):
            name, pid, code, _, signal = found.groups()
            runs[name].append(Run(int(pid), code or signal or ""))
    return runs


def own_runs(path: Path) -> tuple[list[Run], int]:
    """The runs that `tests/programs/short_run.sh` tells of, in order, and how many began before the one before had
    ended. Of a run that never ended the code is ''.
    """
    runs: list[Run] = []
    doubles = 0
    living: list[int] = []
    for line in path.read_text().splitlines():
        word, pid, *code = line.split()
        if word == "begin":
            doubles += bool(living)
            living.append(int(pid))
        else:
            living.remove(int(pid))
            runs.append(Run(int(pid), code[0]))
    return runs + [Run(pid, "") for pid in living], doubles


class Compared(NamedTuple):
    """What the event log says of one instance's runs: `unknown` ends, `wrong` codes, runs that are `untold`, such as
    never were, `made_up`, and such as were told `twice`, in the same words.
    """

    unknown: list[Run]
    wrong: list[Run]
    untold: list[Run]
    made_up: list[Run]
    twice: list[Run]


def compared(own: list[Run], told: list[Run]) -> Compared:
    """Hold the daemon's words against the programs' own; both in order, and a pid may come again."""
    found = Compared([], [], [], [], [])
    queue = [run for at, run in enumerate(told) if told[at - 1 : at] != [run]]
    found.twice.extend(run for at, run in enumerate(told) if told[at - 1 : at] == [run])
    for run in own:
        ahead = next((at for at, each in enumerate(queue[:_LOOK_AHEAD]) if each.pid == run.pid), None)
        if ahead is None:
            found.untold.append(run)
            continue
        found.made_up.extend(queue[:ahead])
        word = queue[ahead]
        del queue[: ahead + 1]
        if not word.code:
            found.unknown.append(run)
        elif word.code != run.code:
            found.wrong.append(run)
    found.made_up.extend(queue)
    return found
