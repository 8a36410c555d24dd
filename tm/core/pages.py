"""Pages whose tables are printed and whose prose is written by hand: the tables, and putting them in their places.

A region of a page begins with a comment that names it, and ends with one:

    .\\" generated: signals        <!-- generated: signals -->
    .\\" end                       <!-- end -->

Guarantees: what stands outside of a region is kept byte for byte; a region that nobody prints, or that has no end,
is a ValueError and no page at all.
Leaves to others: which regions there are, and what the higher rooms know (`cli.pages`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from tm.core.interface import Entry, Exit
from tm.core.mdoc import arguments, item
from tm.core.verbs import VERBS, Option, Verb

Region: TypeAlias = Callable[[], Iterable[str]]

BEGIN: Final = re.compile(r'(?:\.\\" |<!-- )generated: ([^>]*?)(?: -->)?')
ENDS: Final = ('.\\" end', "<!-- end -->")

EXPLAINED_ONCE: Final = frozenset({"--json"})
"""Options that most commands have."""


def renewed(page: str, regions: Mapping[str, Region]) -> str:
    """The page with each region printed anew. Raises ValueError."""
    lines: list[str] = []
    inside = ""
    for line in page.split("\n"):
        if line in ENDS:
            if not inside:
                raise ValueError("a region ends that has not begun")
            inside = ""
        if not inside:
            lines.append(line)
            if begin := BEGIN.fullmatch(line):
                inside = begin[1]
                if inside not in regions:
                    raise ValueError(f"nobody prints the region '{inside}'")
                lines += regions[inside]()
    if inside:
        raise ValueError(f"the region '{inside}' has no end")
    return "\n".join(lines)


# ---- for manual pages


def command(verb: Verb) -> list[str]:
    """The entry of a command: how it is typed, what it does, its options."""
    flags = [f"Oo {_flag(option)} Oc" for option in verb.options]
    head = " ".join(["Ic", " , ".join((verb.name, *verb.aliases)), *_words(verb), *flags])
    options = [option for option in verb.options if option.name not in EXPLAINED_ONCE]
    return [*item(head, verb.doc), *(tagged((_flag(each, " , "), each.doc) for each in options) if options else [])]


def commands() -> list[str]:
    """The entries of all commands."""
    return [line for verb in VERBS for line in command(verb)]


def exits(rows: Iterable[Exit]) -> list[str]:
    """The entries of exit codes."""
    return [line for row in rows for line in item(str(row.code), row.doc)]


def entries(rows: Iterable[Entry], macro: str) -> list[str]:
    """The entries of what has names; `macro` is what a name is to mdoc."""
    return [line for row in rows for line in item(f"{macro} {' , '.join(map(arguments, row.names))}", row.doc)]


def flag(short: str, long: str, takes: str, doc: str) -> list[str]:
    """The entry of a flag of a program; `short` and `takes` may be ''."""
    value = f" Ar {arguments(takes)}" if takes else ""
    return item(" , ".join(f"Fl {name[1:]}{value}" for name in filter(None, (short, long))), doc)


def tagged(rows: Iterable[tuple[str, str]]) -> list[str]:
    """A list of heads, which are mdoc, and what is said of each."""
    return [".Bl -tag -width Ds -compact", *(line for head, doc in rows for line in item(head, doc)), ".El"]


def _flag(option: Option, between: str = " | ") -> str:
    value = f" Ar {option.value}" if option.value else ""
    return f"Fl {between.join(name[1:] for name in filter(None, (option.short, option.name)))}{value}"


def _words(verb: Verb) -> list[str]:
    """`[SEL ...]` and the like in mdoc."""
    pieces = re.findall(r"\[([^]]+)\]|([^][]+)", verb.takes.value)
    return [f"Oo Ar {free} Oc" if free else f"Ar {needed.strip()}" for free, needed in pieces]


# ---- for Markdown


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table. A bar would end its cell, so it is escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [_row(heads), _row(["---"] * len(heads)), *map(_row, cells)]


def commands_table() -> list[str]:
    """All commands, a line each."""
    usages = (f"`{verb.usage}`" + "".join(f", `{alias}`" for alias in verb.aliases) for verb in VERBS)
    return table(("command", "does"), zip(usages, (verb.doc for verb in VERBS), strict=True))


def exits_table(rows: Iterable[Exit]) -> list[str]:
    """Exit codes, a line each."""
    return table(("code", "means"), ((str(row.code), row.doc) for row in rows))


def entries_table(head: str, rows: Iterable[Entry]) -> list[str]:
    """What has names, a line each."""
    return table((head, "means"), ((", ".join(f"`{name}`" for name in row.names), row.doc) for row in rows))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
