"""The table: a row for each peer at each number of processes, a column for each value.

Guarantees: a value is the median of the rounds; behind it, times what taskmaster has, the median of the ratios within a
round. Leaves to others: the values.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

OURS = "taskmaster"


class Column(NamedTuple):
    """What is measured, the measure that has it, and what the values of all rounds come to."""

    key: str
    measure: str
    head: str
    value: Callable[[list[float]], float] = statistics.median


def p99(values: list[float]) -> float:
    """The value that one in a hundred exceeds; of less than a hundred, the largest."""
    return sorted(values)[min(len(values) - 1, 99 * len(values) // 100)]


COLUMNS = (
    Column("boot", "boot", "boot, s"),
    Column("kill", "kill", "kill of one, ms"),
    Column("kill", "kill", "p99, ms", p99),
    Column("deaths", "deaths", "all killed, s"),
    Column("rss", "memory", "RSS, MiB"),
    Column("pss", "memory", "PSS, MiB"),
    Column("private", "memory", "private, MiB"),
    Column("idle_cpu", "idle", "idle CPU, ms"),
    Column("idle_wakes", "idle", "idle wake-ups"),
    Column("status", "status", "status, ms"),
    Column("request", "status", "request, ms"),
    Column("stop", "stop", "stop, s"),
)


class Cells:
    """What all rounds have shown of one peer with so many processes."""

    def __init__(self) -> None:
        self.rounds: dict[int, dict[str, list[float]]] = {}
        self.failed: dict[str, str] = {}

    def has(self, turn: int, values: dict[str, list[float]]) -> None:
        """Of one round."""
        self.rounds.setdefault(turn, {}).update(values)

    def value(self, column: Column) -> float | None:
        """Over all rounds, single values together."""
        found = [each for values in self.rounds.values() for each in values.get(column.key, ())]
        return column.value(found) if found else None

    def ratio(self, column: Column, beside: Cells | None) -> float | None:
        """The median of the ratios to somebody else within a round."""
        if beside is None:
            return None
        pairs = [
            (column.value(mine[column.key]), column.value(beside.rounds[turn][column.key]))
            for turn, mine in self.rounds.items()
            if column.key in mine and column.key in beside.rounds.get(turn, ())
        ]
        ratios = [mine / theirs for mine, theirs in pairs if theirs]
        return statistics.median(ratios) if ratios else None

    def text(self, column: Column, ours: Cells | None) -> str:
        """What stands in the table."""
        if column.measure in self.failed:
            return f"failed: {self.failed[column.measure]}"
        value = self.value(column)
        if value is None:
            return "failed with the boot" if "boot" in self.failed else "-"
        ratio = self.ratio(column, ours) if ours is not self else None
        return number(value) + (f" ({number(ratio)} x)" if ratio is not None else "")


def number(value: float) -> str:
    """Three digits, and no more zeros than are known."""
    digits = next((digits for limit, digits in ((0.0005, 0), (1, 3), (10, 2), (100, 1)) if value < limit), 0)
    return f"{value:,.{digits}f}"


def rows(cells: dict[tuple[int, str], Cells], floors: list[str], measures: list[str]) -> Iterator[str]:
    """The table's lines in Markdown, by number of processes; under taskmaster's own, its ratios to the floors."""
    columns = [each for each in COLUMNS if each.measure in measures]
    yield line("processes", "", *(each.head for each in columns))
    yield line("--:", "---", *("--:" for _ in columns))
    for (count, name), mine in cells.items():
        ours = cells.get((count, OURS))
        yield line(f"{count:,}", name, *(mine.text(each, ours) for each in columns))
        for floor in floors if name == OURS else ():
            ratios = [mine.ratio(each, cells.get((count, floor))) for each in columns]
            yield line(f"{count:,}", f"… x {floor}", *("-" if each is None else number(each) for each in ratios))


def line(*cells: str) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"
