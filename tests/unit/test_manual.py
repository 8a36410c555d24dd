"""The manual page of the configuration: whole, and safe whatever the tables hold."""

from __future__ import annotations

import re

import pytest

from tm.core import manual, setting_keys, task_keys
from tm.core.field import Field
from tm.core.kinds import DURATION, TEXT
from tm.core.task import OnReload


def field(key: str = "grace", doc: str = "how long", **rest: object) -> Field:
    given: dict[str, object] = {"convert": TEXT, "default": "", "on_reload": OnReload.LIVE, **rest}
    return Field(key=key, attribute=key, doc=doc, **given)  # type: ignore[arg-type]


def entry(each: Field) -> list[str]:
    page = manual.page([each], [])
    return page.split(".Sh TASKS\n")[1].split(".Sh THE DAEMON")[0].splitlines()[3:-1]


def test_an_entry_tells_spellings_meaning_values_default_and_what_a_reload_does() -> None:
    each = field(aliases=("stoptime",), convert=DURATION, default="10", unit="seconds", on_reload=OnReload.RESPAWN)
    assert entry(each) == [
        ".It Cm grace , stoptime",
        "How long.",
        "Value: seconds, or a duration such as 500ms 10s 5m 2h 1d 1m30s.",
        "Default:",
        ".Ql 10",
        "seconds.",
        "A change restarts the processes of the task.",
    ]


def test_an_entry_without_default_has_no_line_for_it() -> None:
    assert not [line for line in entry(field()) if "Default" in line]


def test_a_default_without_unit_closes_its_sentence_on_the_macro() -> None:
    assert ".Ql false ." in entry(field(default="false"))


@pytest.mark.parametrize(
    ("doc", "lines"),
    [
        ("what? this", ["What?", "this."]),
        ("is it so?", ["Is it so?"]),
        ("`a` or `b`; then c", [".Ql a", "or", ".Ql b ;", "then c."]),
        (".so /etc/passwd", [r"\&.so /etc/passwd."]),
        ("'br", [r"\(aqbr."]),
        (r"a \fB b ~/x ^y", [r"A \efB b \(ti/x \(hay."]),
        ("see `Ar` and `.` and `x Fl y`", ["See", r".Ql \&Ar", "and", r".Ql \&.", "and", r".Ql x \&Fl y ."]),
        ("one. two", ["One.", "two."]),
        ("word " * 20, ["Word" + " word" * 14, "word word word word word."]),
    ],
)
def test_prose_becomes_lines_that_mean_themselves(doc: str, lines: list[str]) -> None:
    assert entry(field(doc=doc.strip()))[1 : len(lines) + 1] == lines


@pytest.mark.parametrize("each", OnReload)
def test_every_answer_to_a_reload_has_its_sentence(each: OnReload) -> None:
    assert entry(field(on_reload=each))[-1] == manual.ON_RELOAD[each]


def test_every_key_is_an_entry() -> None:
    page = manual.page(task_keys.FIELDS, setting_keys.FIELDS)
    listed = set(re.findall(r"^\.It Cm (\S+)", page, re.MULTILINE))
    assert {each.key for each in (*task_keys.FIELDS, *setting_keys.FIELDS)} <= listed


def test_no_line_but_a_macro_begins_with_a_dot() -> None:
    page = manual.page(task_keys.FIELDS, setting_keys.FIELDS)
    strange = [
        line for line in page.splitlines() if line.startswith((".", "'")) and not re.match(r"\.([A-Z][a-z]|\\\")", line)
    ]
    assert strange == []
