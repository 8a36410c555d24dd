"""What has to hold between tasks.

Guarantees: no two processes have one name; a log file has one rotation; a socket is given to one task, once; where the
daemon becomes another user no task has a user of its own; the time it takes grows with the number of tasks, not with
that of their instances.
Leaves to others: what has to hold within a task (`core.settle`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tm.core.errors import Problem, quoted
from tm.core.listening import Socket
from tm.core.namesakes import namesakes
from tm.core.nodes import Scalar
from tm.core.source import Report
from tm.core.task import MERGED, SENT, Task


def check(tasks: Mapping[str, Task], names: Mapping[str, Scalar], user: str, report: Report) -> None:
    """Report what clashes. `names`: where each task begins; `user`: where the daemon's own is given, or ''."""
    _check_names(tasks, names, report)
    _check_logs(tasks.values(), report)
    _check_sockets(tasks.values(), report)
    if user:
        _check_users(tasks.values(), user, report)


def _check_names(tasks: Mapping[str, Task], names: Mapping[str, Scalar], report: Report) -> None:
    for task, other in namesakes(tasks):
        message = f"two processes would be named {quoted(task.name)}: this task, and one of the "
        message += f"{other.instances} instances of {quoted(other.name)}"
        hint = f"rename one; {quoted(other.name)} is at {names[other.name].place}"
        report.refuse("two-of-a-name", names[task.name], message, "", hint)


def _check_users(tasks: Iterable[Task], user: str, report: Report) -> None:
    """A daemon that has given up root cannot give a task another user any more."""
    for task in tasks:
        for key, value in (("user", task.user), ("group", task.group)):
            if value is None:
                continue
            message = f"{quoted(key)} of task {quoted(task.name)}: taskmaster itself becomes another user ({user}), "
            message += "and cannot change to one for a task then"
            hint = f"remove one of them: without the user of taskmaster it stays root, and each task has its own {key}"
            report.add(Problem("two-users", task.places[key], len(key), "", message, "", hint))


def _check_logs(tasks: Iterable[Task], report: Report) -> None:
    """Logs that differ between instances are compared by what they have in common: `{n}` is `{n}` in both."""
    owners: dict[str, Task] = {}
    for task in tasks:
        instance = task.name if task.instances == 1 else f"{task.name}_{{n}}"
        for key, template in (("stdout", task.stdout), ("stderr", task.stderr)):
            if template in (None, MERGED, SENT):
                continue
            path = template.fill(task.name, instance, "{n}")
            other = owners.setdefault(path, task)
            if (other.log_max_size_bytes, other.log_keep) != (task.log_max_size_bytes, task.log_keep):
                message = (
                    f"{quoted(key)} of task {quoted(task.name)}: the file is also a log of task {quoted(other.name)}, "
                )
                message += "which rotates it in another way"
                hint = "give both the same 'logMaxSize' and 'logKeep', or two files"
                report.add(Problem("two-rotations", task.places[key], len(key), "", message, "", hint))


def _check_sockets(tasks: Iterable[Task], report: Report) -> None:
    """Two that want one place would take it from one another."""
    owners: dict[str, tuple[Task, Socket]] = {}
    for task in tasks:
        for each in task.sockets:
            address = each.address(task.name)
            if address not in owners:
                owners[address] = task, each
                continue
            other, same = owners[address]
            message = f"'sockets' of task {quoted(task.name)}: {quoted(each.name)} listens at {address}, as "
            message += f"{quoted(same.name)} of task {quoted(other.name)} does"
            hint = "all instances of a task share its sockets; two tasks need two addresses"
            report.add(Problem("two-at-a-socket", task.places["sockets"], len("sockets"), "", message, "", hint))
