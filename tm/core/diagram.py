"""The table of states as a page: `python -m tm.core.diagram` prints docs/state-machine.md.

Guarantees: everything on the page is read from `core.transitions`; the same table prints the same page.
"""

from __future__ import annotations

from collections.abc import Iterator

from tm.core.transitions import TABLE, Edge, Event, Guard, Never, Refused, State

_PAGE = """# The states of a process

Printed from the table in `tm/core/transitions.py` by `python -m tm.core.diagram`; `make generate` brings it up to date.

An event is an operator's wish (start, stop, restart), what came of a spawn (spawned, spawn-failed), a death (reaped), a
deadline (timeout), or what a check says of a living process (ready, unhealthy). Edges of a cell are tried in order.

## The table

{table}

## The same as a picture

Edges that stay in their state and refusals are left out.

```mermaid
stateDiagram-v2
    [*] --> STOPPED
{edges}
```
"""


def page() -> str:
    """The whole page, Markdown."""
    return _PAGE.format(table="\n".join(_table()), edges="\n".join(_edges()))


def _table() -> Iterator[str]:
    yield "| state | alive | deadline | event | when | then | does |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for state, row in TABLE.items():
        for event, cell in row.cells.items():
            head = f"| {state.value} | {_yes(row.alive)} | {_yes(row.timed)} | {event.value} |"
            if isinstance(cell, Refused):
                yield f"{head} | refused | {cell.reason.format(name='x')} |"
            elif not isinstance(cell, Never):
                yield from (f"{head} {_edge(edge)}" for edge in cell)


def _edge(edge: Edge) -> str:
    return f"{edge.guard.value} | {edge.to.value} | {', '.join(action.value for action in edge.actions) or '-'} |"


def _edges() -> Iterator[str]:
    for state, row in TABLE.items():
        for event, cell in row.cells.items():
            if isinstance(cell, Refused | Never):
                continue
            yield from (_arrow(state, event, edge) for edge in cell if edge.to is not state)


def _arrow(state: State, event: Event, edge: Edge) -> str:
    guard = "" if edge.guard is Guard.ALWAYS else f" [{edge.guard.value}]"
    return f"    {state.value} --> {edge.to.value}: {event.value}{guard}"


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


if __name__ == "__main__":
    print(page(), end="")
