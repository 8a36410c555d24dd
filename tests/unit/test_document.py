"""YAML into nodes: what is written is kept, and what cannot be read is a problem with its place."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tm.core.document import DEPTH_MOST, TEXT_MOST, read
from tm.core.errors import Problem
from tm.core.nodes import Mapping, Node, Scalar, Sequence
from tm.core.source import COMPARED_MOST, PROBLEMS_MOST, SUGGESTION_COST, Flood, Report

LOADERS = [pytest.param(yaml.SafeLoader, id="python")]
if hasattr(yaml, "CSafeLoader"):
    LOADERS.append(pytest.param(yaml.CSafeLoader, id="libyaml"))


def plain(node: Node | None) -> object:
    if isinstance(node, Mapping):
        return {entry.key.text: plain(entry.value) for entry in node.entries}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.text if node else None


def parsed(text: str, loader: type[object] = yaml.SafeLoader) -> Mapping:
    report = Report()
    root = read("f", text, report, loader)
    assert root is not None and not len(report), str(report.error())
    return root


def problems(text: str, loader: type[object] = yaml.SafeLoader) -> tuple[Problem, ...]:
    report = Report()
    read("f", text, report, loader)
    return report.error().problems


def found(text: str, loader: type[object] = yaml.SafeLoader) -> list[str]:
    return [f"{each.place.line}:{each.place.column} {each.id}" for each in problems(text, loader)]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a: 022\nb: yes\nc: 3.50\nd: 1:30\ne:\n", {"a": "022", "b": "yes", "c": "3.50", "d": "1:30", "e": ""}),
        ("\ufeffa: [1, {b: c}]", {"a": ["1", {"b": "c"}]}),
        ("a: !!str 5\nb: !!int 7\nc: ! 8\nd: !!map {x: y}\n", {"a": "5", "b": "7", "c": "8", "d": {"x": "y"}}),
        ("a: |\n  one\n  two\nb: >-\n  x\n  y\n", {"a": "one\ntwo\n", "b": "x y"}),
        ("a: &x {k: v}\nb: *x\n", {"a": {"k": "v"}, "b": {"k": "v"}}),
        ("a: &x 1\nb: &x 2\nc: *x\n", {"a": "1", "b": "2", "c": "2"}),
        ("a: &x {k: v, l: w}\nb: {<<: *x, k: own}\n", {"a": {"k": "v", "l": "w"}, "b": {"l": "w", "k": "own"}}),
        (
            "a: &a {k: 1}\nb: &b {k: 2, l: 3}\nc: {<<: [*a, *b]}\n",
            {"a": {"k": "1"}, "b": {"k": "2", "l": "3"}, "c": {"k": "1", "l": "3"}},
        ),
        ("'<<': x", {"<<": "x"}),
        ("---\na: 1\n...\n", {"a": "1"}),
        ("{}", {}),
    ],
)
def test_a_text_is_read_as(text: str, tree: object, loader: type[object]) -> None:
    assert plain(parsed(text, loader)) == tree


def test_a_node_knows_where_it_stands_and_how_it_was_written() -> None:
    first, second = parsed("a: x\nlong:   'it''s'\n").entries
    assert (str(second.key.place), second.key.width) == ("f:2:1", 4)
    value = second.value
    assert isinstance(value, Scalar)
    assert (str(value.place), value.width, value.plain) == ("f:2:9", 7, False)
    assert isinstance(first.value, Scalar) and first.value.plain


@pytest.mark.parametrize(("written", "null"), [("", True), ("~", True), ("null", True), ("''", False), ("nil", False)])
def test_what_is_empty(written: str, null: bool) -> None:
    value = parsed(f"a: {written}").entries[0].value
    assert isinstance(value, Scalar) and value.is_null is null


def test_what_was_merged_in_is_marked() -> None:
    entries = parsed("a: &x {k: v}\nb: {<<: *x, l: w}\n").entries[1].value
    assert isinstance(entries, Mapping)
    assert [(each.key.text, each.merged) for each in entries.entries] == [("k", True), ("l", False)]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", ["1:1 no-mapping"]),
        ("# only a comment\n", ["1:1 no-mapping"]),
        ("~", ["1:1 no-mapping"]),
        ("just text", ["1:1 no-mapping"]),
        ("- a", ["1:1 no-mapping"]),
        ("a: 'x\n\nb", ["1:4 yaml-quote"]),
        ("a: '\n---\nb'", ["1:4 yaml-quote"]),
        ("a: [1, 2\nb: 3", ["1:4 yaml-bracket"]),
        ("a: {x: 1\nb: 2\n", ["1:4 yaml-bracket"]),
        ("a: b: c", ["1:5 yaml-colon"]),
        ("a: 1\n b: 2", ["2:3 yaml-colon"]),
        ("a:\n\tb: 1\n", ["2:1 tab"]),
        ("a: @x", ["1:4 yaml-start"]),
        ("a: `x`", ["1:4 yaml-start"]),
        ("a: - b", ["1:4 yaml-dash"]),
        ("a:\n  b: 1\n c: 2\n", ["3:2 yaml-indentation"]),
        ('a: "b" c', ["1:8 yaml-indentation"]),
        ("a: 1\n...\nb: 2", ["3:1 yaml-indentation"]),
        ("a: !x!y z", ["1:4 yaml-syntax"]),
        ("a: 1\n---\nb: 2\n", ["2:1 second-document"]),
        ("a: 1\na: 2\nb: {c: 1, c: 2}\n", ["2:1 duplicate-key", "3:11 duplicate-key"]),
        ("[a]: 1\n{b: c}: 2\n", ["1:1 key-not-text", "2:1 key-not-text"]),
        ("a: *x\nb: *y\n", ["1:4 unknown-alias", "2:4 unknown-alias"]),
        ("a: &x [*x]\nb: &y {c: {d: *y}}\n", ["1:8 alias-cycle", "2:15 alias-cycle"]),
        ("a: {<<: 1}\nb: {<<: [{}, 2]}\n", ["1:9 bad-merge", "2:14 bad-merge"]),
        ("a: !secret x\nb: !!binary eA==\nc: !x []\n", ["1:4 unknown-tag", "2:4 unknown-tag", "3:4 unknown-tag"]),
        ('a: "\\0"\n', ["1:4 control-character"]),
        ("a: \x00\nb: \x1b[31m\n", ["1:4 control-character", "2:4 control-character"]),
        ("a: \ud800", ["1:4 control-character"]),
    ],
)
def test_what_cannot_be_read_is_told_where_it_is(text: str, places: list[str], loader: type[object]) -> None:
    assert found(text, loader) == places


@pytest.mark.parametrize(("text", "column"), [('a: "\\q"', {5, 6}), ('a: "\\UFFFFFFFF"', {2, 7})])
@pytest.mark.parametrize("loader", LOADERS)
def test_an_escape_that_does_not_exist(text: str, column: set[int], loader: type[object]) -> None:
    (one,) = problems(text, loader)
    assert one.id in {"yaml-escape", "yaml-syntax"} and one.place.column in column


@pytest.mark.parametrize("end", list("\x08\x0b\x0c\x0e\x1f\x7f\x84\x86\x9f\ud800\udfff\ufeff\ufffe\uffff"))
def test_what_yaml_calls_no_text_is_refused_to_its_last_character(end: str) -> None:
    assert found(f"a: b{end}") == ["1:5 control-character"]


@pytest.mark.parametrize("end", list("\x20\x7e\xa0\ud7ff\ue000\ufefe\uff00\ufffd\U00010000\U0010ffff"))
def test_what_stands_beside_it_is_text(end: str) -> None:
    assert found(f"a: b{end}c") == []


def test_half_a_character_is_refused() -> None:
    assert found('a: "\\ud800"') == ["1:4 control-character"]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
@pytest.mark.parametrize("depth", [DEPTH_MOST + 1, 100_000])
def test_deep_nesting_is_refused_before_it_hurts(opening: str, depth: int, loader: type[object]) -> None:
    assert [each.id for each in problems("x:\n " + opening * depth, loader)] == ["too-deep"]


def test_nesting_up_to_the_limit_is_fine() -> None:
    deep = "[" * (DEPTH_MOST - 1) + "]" * (DEPTH_MOST - 1)
    assert parsed(f"x: {deep}")


@pytest.mark.parametrize("merge", ["[{0}, {0}]", "{{<<: {0}, k{1}: {0}}}"])
def test_a_billion_laughs_are_refused_before_they_unfold(merge: str) -> None:
    lines = ["a0: &a0 {x: y}"] + [f"a{n}: &a{n} " + merge.format(f"*a{n - 1}", n) for n in range(1, 40)]
    assert [each.id for each in problems("\n".join(lines))] == ["too-many-values"]


def test_too_large_a_text_is_refused() -> None:
    assert found("a: " + "x" * TEXT_MOST) == ["1:1 too-big"]


def test_lines_are_counted_as_yaml_counts_them() -> None:
    (one,) = problems("a: 1\r\nb: 2\rb: 3\n")
    assert (str(one.place), one.source) == ("f:3:1", "b: 3")


def test_more_problems_than_anyone_reads_end_the_reading() -> None:
    report = Report()
    with pytest.raises(Flood):
        read("f", "a: [" + "*x, " * 2 * PROBLEMS_MOST + "]", report)
    assert len(report) == PROBLEMS_MOST


@pytest.mark.parametrize("loader", LOADERS)
@given(text=st.one_of(st.text(), st.text(alphabet="ab:-[]{}&*!|>'\"%@`#?,\n \t\\<=~0", max_size=60)))
def test_any_text_is_a_tree_or_problems(text: str, loader: type[object]) -> None:
    report = Report()
    root = read("f", text, report, loader)
    assert (root is None) <= bool(len(report))
    assert str(report.error())


def test_a_reading_makes_so_many_suggestions_and_no_more() -> None:
    anchors = "a:\n" + "".join(f"- &anchor{number} x\n" for number in range(COMPARED_MOST // 4 - SUGGESTION_COST))
    report = Report()
    read("f", anchors + "- *ancho\n" * 8, report)
    meant = [each.suggestion for each in report.error().problems]
    assert meant == ["did you mean 'anchor0'?"] * 4 + ["a text that begins with '*' needs quotes"] * 4
    assert report.did_you_mean("wbe", ["web"]) == ""


def test_long_names_get_so_many_suggestions_and_no_more() -> None:
    report = Report()
    meant = [report.did_you_mean("wbe", ["web"]) for _ in range(COMPARED_MOST // SUGGESTION_COST)]
    assert meant == ["did you mean 'web'?"] * (len(meant) - 1) + [""]
