"""The manual page of the configuration file, taskmaster.yaml(5); `python -m tm.core.manual` prints it.

Guarantees: every key of the tables is in it with its spellings, values, default and what a reload does, in
the words of the table and nowhere else.
Leaves to others: how text becomes mdoc (`core.mdoc`), and the other manual pages (`core.pages`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tm.core import probe_keys, setting_keys, task_keys
from tm.core.chapters import DAEMON, HEAD, LIVENESS, PROBES, SOCKETS, SPEAKING, TAIL, TASKS
from tm.core.field import Field
from tm.core.manual_jobs import JOBS
from tm.core.mdoc import item
from tm.core.task import OnReload

ON_RELOAD: Final = {
    OnReload.RESPAWN: "A change restarts the processes of the task.",
    OnReload.LIVE: "A change takes effect in the running processes.",
    OnReload.SCALE: "A change starts or stops the difference.",
    OnReload.START: "A change takes effect at the next start of taskmaster.",
}


def page(tasks: Iterable[Field], daemon: Iterable[Field]) -> str:
    """The whole page, for the keys of a task and those of the daemon."""
    return "".join([HEAD, TASKS, _listed(tasks), DAEMON, _listed(daemon), *_probes(), SPEAKING, SOCKETS, JOBS, TAIL])


def _probes() -> Iterable[str]:
    """The keys of a probe; those of liveness where they differ."""
    own = [each for each in probe_keys.LIVENESS_FIELDS if each not in probe_keys.READINESS_FIELDS]
    yield from (PROBES, _listed(probe_keys.READINESS_FIELDS, _facts), LIVENESS, _listed(own, _facts))


def _listed(fields: Iterable[Field], facts: Callable[[Field], list[str]] | None = None) -> str:
    entries = [item(f"Cm {' , '.join(each.spellings)}", *(facts or _all_facts)(each)) for each in fields]
    return "\n".join([".Bl -tag -width Ds", *(line for entry in entries for line in entry), ".El", ""])


def _all_facts(each: Field) -> list[str]:
    """The facts, and what a reload does."""
    return [*_facts(each), ON_RELOAD[each.on_reload]]


def _facts(each: Field) -> list[str]:
    """The sentence of the table, then the other facts."""
    facts = [each.doc, f"value: {each.convert.expected}"]
    if each.default:
        facts.append(f"default: `{each.default}`" + (f" {each.unit}" if each.unit else ""))
    return facts


if __name__ == "__main__":
    print(page(task_keys.FIELDS, setting_keys.FIELDS), end="")
