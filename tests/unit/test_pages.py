"""Pages of prose with printed tables in them: what is kept, what is renewed, what they must not leave out."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.build import row
from tm.cli import desk, options
from tm.cli.pages import ERRORS, REGIONS
from tm.cli.wish import FLAGS
from tm.core.interface import Entry, Exit
from tm.core.pages import BEGIN, ENDS, command, entries, entries_table, exits, exits_table, flag, renewed, table
from tm.core.records import Level, Record
from tm.core.timers import Instant
from tm.core.transitions import Event, State
from tm.core.verbs import VERBS, Option, Takes, Verb
from tm.core.written import Written
from tm.daemon.views import PLAIN, Views
from tm.daemon.wiring import Wiring
from tm.faces import jsonrpc
from tm.faces.methods import METHODS
from tm.faces.session import lost

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "man/taskmaster.8",
    "man/taskmasterctl.1",
    "docs/control-socket.md",
    "docs/notifications.md",
    "docs/hooks.md",
    "README.md",
)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def printed() -> Iterable[str]:
    return ["new"]


# ---- regions


@pytest.mark.parametrize(
    ("begin", "end"), [('.\\" generated: a b', '.\\" end'), ("<!-- generated: a b -->", "<!-- end -->")]
)
def test_a_region_is_renewed_and_the_rest_kept(begin: str, end: str) -> None:
    page = f"before\n{begin}\nold\nolder\n{end}\nafter\n"
    assert renewed(page, {"a b": printed}) == f"before\n{begin}\nnew\n{end}\nafter\n"


def test_what_is_renewed_is_not_changed_by_it_again() -> None:
    once = renewed('.\\" generated: a\n.\\" end\n', {"a": printed})
    assert renewed(once, {"a": printed}) == once


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ('.\\" generated: b\n.\\" end\n', "nobody prints the region 'b'"),
        ('.\\" generated: a\nold\n', "the region 'a' has no end"),
        ('old\n.\\" end\n', "a region ends that has not begun"),
    ],
)
def test_a_page_that_would_lose_something_is_none(page: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        renewed(page, {"a": printed})


@given(st.text())
def test_prose_is_kept_byte_for_byte(page: str) -> None:
    assume(not any(line in ENDS or BEGIN.fullmatch(line) for line in page.split("\n")))
    assert renewed(page, {}) == page


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_as_it_would_be_printed(page: str) -> None:
    assert renewed(text(page), REGIONS) == text(page)


def test_every_region_stands_in_a_page() -> None:
    found = {name for page in PAGES for name in re.findall(r"generated: (.*?)(?: -->)?$", text(page), re.M)}
    assert found == REGIONS.keys()


# ---- tables


def test_a_command_tells_how_it_is_typed_and_what_its_options_do() -> None:
    options = (Option("--all", "everything", "-a"), Option("--dry", "nothing"), Option("--json", "print JSON"))
    verb = Verb("look", Takes.LOG, "look at it", options, aliases=("see",))
    assert command(verb) == [
        ".It Ic look , see Ar SEL Oo Ar N Oc Oo Fl a | -all Oc Oo Fl -dry Oc Oo Fl -json Oc",
        "Look at it.",
        ".Bl -tag -width Ds -compact",
        ".It Fl a , -all",
        "Everything.",
        ".It Fl -dry",
        "Nothing.",
        ".El",
    ]


@pytest.mark.parametrize(
    ("takes", "head"),
    [
        (Takes.NOTHING, ".It Ic go"),
        (Takes.MAYBE_SELECTION, ".It Ic go Oo Ar SEL ... Oc"),
        (Takes.SIGNAL, ".It Ic go Ar SIG SEL ..."),
    ],
)
def test_a_command_without_options_has_no_list_of_them(takes: Takes, head: str) -> None:
    assert command(Verb("go", takes, "leave")) == [head, "Leave."]


def test_rows_become_entries() -> None:
    assert exits([Exit(3, "BUSY", "of `x`: no")]) == [".It 3", "Of", ".Ql x :", "no."]
    assert entries([Entry(("A", "Fl"), "why")], "Ev") == [r".It Ev A , \&Fl", "Why."]
    assert flag("-c", "--config", "FILE", "which") == [".It Fl c Ar FILE , Fl -config Ar FILE", "Which."]
    assert flag("", "--json", "", "how") == [".It Fl -json", "How."]


def test_a_bar_ends_no_cell() -> None:
    assert table(("a", "b"), [("x|y", "z")]) == ["| a | b |", "| --- | --- |", "| x\\|y | z |"]
    assert entries_table("name", [Entry(("a", "b"), "x")]) == ["| name | means |", "| --- | --- |", "| `a`, `b` | x |"]
    assert exits_table([Exit(1, "NO", "no")]) == ["| code | means |", "| --- | --- |", "| 1 | no |"]


# ---- what must not be left out


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_manual_of_the_daemon_has_every_command(verb: Verb) -> None:
    shell = text("man/taskmaster.8").split(".Sh THE SHELL")[1].split(".Sh SIGNALS")[0]
    assert "\n".join(command(verb)) in shell


def test_the_manual_of_the_client_has_every_flag() -> None:
    page = text("man/taskmasterctl.1")
    for _, long, *_ in FLAGS:
        assert f'.\\" generated: flag {long}\n' in page


def test_the_manual_of_the_daemon_has_every_flag() -> None:
    page = text("man/taskmaster.8")
    for action in options.parser()._actions:
        if action.option_strings:
            head = " , ".join(f"Fl {each[1:]}" for each in action.option_strings)
            assert re.search(rf"^\.It {head}{_value(action)}$", page, re.M), head


def _value(action: argparse.Action) -> str:
    """What a flag takes, however the manual calls it."""
    return "" if action.nargs == 0 else " (Ar|Cm) .+"


def test_every_error_of_the_protocol_is_explained() -> None:
    codes = {value for name, value in vars(jsonrpc).items() if name.isupper() and isinstance(value, int) and value < 0}
    assert {code for code, _ in ERRORS} == codes


# ---- the members of what the socket tells


def members(heading: str) -> list[str]:
    """The members that docs/control-socket.md lists under a heading."""
    section = re.split(r"^#+ ", text("docs/control-socket.md").split(f"### {heading}\n")[1], maxsplit=1, flags=re.M)[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.M)


def test_the_members_of_a_change_are_listed() -> None:
    before, after = row(State.STOPPED), row(State.STARTED)
    change = desk._change(before, after, Event.START.value, None, Instant(0.0))
    assert members("`change`") == ["subscription", *change]


def test_the_words_of_what_happened_are_listed() -> None:
    line = next(line for line in text("docs/control-socket.md").splitlines() if line.startswith("| `event` | what hap"))
    assert sorted(re.findall(r"`([\w-]+)`", line)[1:]) == sorted(
        [desk.DROPPED, desk.SPARED, *(event.value for event in Event)]
    )


def test_the_members_of_an_event_are_listed() -> None:
    assert members("`event`") == ["subscription", *Record("now", Level.INFO, "web", "state", "text").as_dict()]


def test_the_members_of_lost_are_listed() -> None:
    assert all(f'"{member}"'.encode() in lost(1, 1) for member in members("`lost`"))


class NoOutputs:
    """Where no process has written anything."""

    def wiring(self, _key: object) -> Wiring:
        return Wiring()

    def troubles(self) -> list[str]:
        return []


def test_the_members_of_a_row_are_listed() -> None:
    views = Views(NoOutputs(), None, {})  # type: ignore[arg-type]
    data = views.status([row()], Instant(100.0), PLAIN, False).data
    assert isinstance(data, Written)
    assert members("A row of `status`") == [*data[0]]


def test_the_data_of_every_method_is_described() -> None:
    section = text("docs/control-socket.md").split("What `data` is")[1].split("###")[0]
    described = {name for line in section.splitlines() for name in _methods(line.split(" | "))}
    assert described == METHODS.keys()


def _methods(cells: Sequence[str]) -> list[str]:
    return re.findall(r"`([\w.-]+)`", cells[0]) if cells[0].startswith("| `") else []
