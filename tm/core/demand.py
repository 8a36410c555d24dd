"""What a configuration may need of the machine at most, and what is said where the machine does not allow it.

Guarantees: what is counted is in the tables `DESCRIPTORS` and `PROCESSES`, an entry for each thing, but for log files,
of which only so many are open at a time; a sentence says who needs how much of what, where the limit is, what follows,
and what to type.
Leaves to others: the limits of this machine, and raising them (`edge.capacity`); what becomes of a start for which
nothing is left (`daemon.failures`).

It is the most that may be needed at once, and an honest guess at what taskmaster needs for itself. What a program opens
or forks is its own affair, and in nobody's count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from tm.core.config import Config
from tm.core.probe import EXEC, HTTP, NOTIFY, TCP
from tm.core.task import MERGED, Task

OPEN_LOGS: Final = 256
"""Log files that have a descriptor at a time: others are opened again when there is something to write."""
OWN_DESCRIPTORS: Final = 64
"""Of the daemon itself: its files, its sockets, some clients, and what a start has open for a moment."""
OWN_PROCESSES: Final = 8
"""The daemon, its guardian, and short commands."""
_STEP: Final = 1024


class Part(NamedTuple):
    """Something that is needed, and how much of it by all instances of a task together."""

    what: str
    of: Callable[[Task], int]


def _pipes(task: Task) -> int:
    """A terminal takes their place: its own end, the way to it, and what the program has."""
    return task.instances * (3 if task.tty else 1 if task.stderr == MERGED else 2)


def _files(task: Task) -> int:
    """One for each instance, where its name says which that is; else one for all."""
    return sum(1 if log.is_common else task.instances for log in set(task.log_files.values()))


def _asked(task: Task) -> int:
    """One at a time: readiness first, then liveness."""
    return 0 if _kinds(task).isdisjoint((EXEC, HTTP, TCP)) else task.instances


def _speaks(task: Task) -> int:
    return 2 * task.instances if task.watchdog_s is not None or NOTIFY in _kinds(task) else 0


def _hooks(task: Task) -> int:
    return task.instances if task.hooks else 0


def _commands(task: Task) -> int:
    return task.instances if task.hooks or EXEC in _kinds(task) else 0


def _kinds(task: Task) -> set[str]:
    return {each.kind for each in (task.readiness, task.liveness) if each is not None}


DESCRIPTORS: Final = (
    Part("pipes of its output", _pipes),
    Part("the process, by its pidfd, when the daemon that has started it is no more", lambda task: task.instances),
)
ALL_DESCRIPTORS: Final = (
    *DESCRIPTORS,
    Part("a probe that is being asked", _asked),
    Part("its NOTIFY_SOCKET, and the process that it names as its own", _speaks),
    Part("a hook that runs", _hooks),
    Part("the sockets that all instances are given", lambda task: len(task.sockets)),
)
"""With those of tasks that ask for more than a process with output: few do."""
PROCESSES: Final = (Part("the process", lambda task: task.instances),)
ALL_PROCESSES: Final = (
    *PROCESSES,
    Part("a probe or a hook that is a command", _commands),
)


class Demand(NamedTuple):
    """What a configuration may need. `instances`: how many there are; `processes`: by their user, '' who the daemon is;
    `descriptors`: of the daemon. The guardian needs fewer.
    """

    instances: int
    descriptors: int
    processes: Mapping[str, int]


class Bound(NamedTuple):
    """So many processes there may be at most, by what, and what to type for more, with `{}` where the number stands."""

    most: int
    what: str
    remedy: str


class Room(NamedTuple):
    """What the machine allows. `descriptors`: how many one process may have (the hard limit); `bounds`: how many
    processes there may be; `of_a_user`: how many of one user; None: as many as he likes. `root`: we are, and for root
    that does not count.
    """

    descriptors: int | None
    bounds: Sequence[Bound]
    of_a_user: int | None
    root: bool


def demand(config: Config) -> Demand:
    """Of all its tasks."""
    descriptors, processes = OWN_DESCRIPTORS, Counter({"": OWN_PROCESSES})
    tasks = [task for task in config.tasks.values() if task.instances]
    for task in tasks:
        further = task.readiness or task.liveness or task.watchdog_s or task.hooks or task.sockets
        descriptors += sum([part.of(task) for part in (ALL_DESCRIPTORS if further else DESCRIPTORS)])
        processes[task.user or ""] += sum([part.of(task) for part in (ALL_PROCESSES if further else PROCESSES)])
    descriptors += min(OPEN_LOGS, sum(map(_files, tasks)))
    return Demand(sum(task.instances for task in tasks), descriptors, processes)


def lacking(config: Config, need: Demand, room: Room) -> list[str]:
    """What may not suffice for that demand of a configuration, a sentence each."""
    who = f"{config.path}: {need.instances:,} process{'es' if need.instances != 1 else ''} may need"
    then = "one that finds none left is not started, but tried again where `restart` says so"
    found = (*_of_files(need, room), *_of_processes(need, room), *_of_users(need, room, config.settings.user))
    return [f"{who} {what}: {then}. For more room {remedy}" for what, remedy in found]


def _of_files(need: Demand, room: Room) -> Iterator[tuple[str, str]]:
    if room.descriptors is not None and need.descriptors > room.descriptors:
        limit = f"whose hard limit of open files is {room.descriptors:,}"
        yield (
            f"{need.descriptors:,} descriptors in taskmaster, {limit}",
            _start_with("ulimit -n", "LimitNOFILE", need.descriptors),
        )


def _of_processes(need: Demand, room: Room) -> Iterator[tuple[str, str]]:
    total = sum(need.processes.values())
    for most, what, remedy in room.bounds:
        if total > most:
            yield f"{total:,} process ids with its own, and {what} is {most:,}", remedy.replace("{}", str(_more(total)))


def _of_users(need: Demand, room: Room, own: str | None) -> Iterator[tuple[str, str]]:
    """Each user's, `own` is whom the daemon becomes. For root there is no limit of its own."""
    if (most := room.of_a_user) is None:
        return
    exempt = {"root", "0", *([""] if room.root and own is None else [])}
    for user, count in need.processes.items():
        if user not in exempt and count > most:
            who = f"user '{user or own}'" if user or own else "its user"
            yield (
                f"{count:,} process ids for {who}, and the limit of one user is {most:,}",
                _start_with("ulimit -u", "LimitNPROC", count),
            )


def _start_with(command: str, key: str, need: int) -> str:
    return f"start taskmaster after `{command} {_more(need)}` as root, or with {key}={_more(need)} in its unit"


def _more(need: int) -> int:
    """A round number that suffices."""
    return -(-need // _STEP) * _STEP
