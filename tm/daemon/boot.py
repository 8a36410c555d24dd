"""What a daemon does about its processes when it begins, beside what it takes over: what is launched, and what is told.

Guarantees: what an operator wished of an earlier daemon holds, and that it does surprises nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from tm.core.transitions import Event
from tm.daemon.reloading import Reloading
from tm.daemon.supervisor import Supervisor

MOST_TOLD = 10


def start_again(supervisor: Supervisor, reloading: Reloading) -> None:
    """An earlier daemon was just stopping this, in order to leave: what is launched at a start is started again, also
    what had ended already, as if that daemon had come to its end.
    """
    rows = supervisor.rows.items()
    wanted = [key for key, row in rows if (row.stopping or row.at_rest) and reloading.wanted(row)]
    for key in supervisor.held.with_needed(wanted, reloading.wishes.up):
        supervisor.ask(key, Event.START, by="the start of taskmaster")


def kept_down(supervisor: Supervisor, reloading: Reloading) -> Iterator[tuple[str, str]]:
    """Who does not launch by itself though it should, since an operator wished so: the name, or '', and what to say."""
    names = reloading.kept_down(supervisor)
    for name in names[:MOST_TOLD]:
        yield name, f"Process '{name}' stays stopped, as an operator wished; type: start {name}"
    if len(names) > MOST_TOLD:
        yield "", f"... and {len(names) - MOST_TOLD} more; type: status"
