"""Whether the probes of a task can work where they stand.

Guarantees: what can never come true is told when the configuration is read, not when a start fails.
Leaves to others: what a probe is in itself (`core.probe_keys`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tm.core.probe import HTTP, LOG, BadAddress, Probe, http_target, tcp_address
from tm.core.task import MERGED, Task

NOWHERE: Final = "/dev/null"


class Misfit(NamedTuple):
    """What does not fit: the key, the problem's stable id, the sentence, and what to write instead."""

    key: str
    id: str
    why: str
    hint: str


def misfits(task: Task) -> Iterator[Misfit]:
    """All that does not fit."""
    for key, probe in (("readiness", task.readiness), ("liveness", task.liveness)):
        if probe is not None:
            yield from _unreachable(key, probe, task)
    if task.readiness is not None:
        yield from _never(task.readiness, task)


def _unreachable(key: str, probe: Probe, task: Task) -> Iterator[Misfit]:
    """An address that is none for the last instance."""
    if probe.address is None:
        return
    text = probe.address.fill(task.name, task.instance(task.instances), task.instances)
    try:
        http_target(text, probe.path) if probe.kind == HTTP else tcp_address(text)
    except BadAddress as error:
        yield Misfit(key, "bad-address", f"of instance {task.instances}, {error.why}", error.hint)


def _never(probe: Probe, task: Task) -> Iterator[Misfit]:
    """What can never be ready."""
    if probe.kind == LOG and _is_silent(task):
        why = "it waits for a line of output, and the task has none: its output goes to /dev/null"
        yield Misfit("readiness", "no-output", why, "leave out 'stdout', so that its end is kept in memory")
    earliest_s = probe.delay_s + (probe.successes - 1) * probe.period_s
    limit_s = task.start_limit_s
    if limit_s is not None and earliest_s >= limit_s:
        why = f"it could be ready after {earliest_s:g}s at the earliest, and has {limit_s:g}s for it"
        yield Misfit("readiness", "out-of-range", why, "give a longer 'successfulStartTimeout', or a shorter 'delay'")


def _is_silent(task: Task) -> bool:
    """Whether nobody can see what it writes."""
    logs = [task.stdout] if task.stderr == MERGED else [task.stdout, task.stderr]
    return all(log is not None and log.text == NOWHERE for log in logs)
