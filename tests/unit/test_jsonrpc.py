"""The face: any bytes give a request, an error or nothing; any params a command or a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.commands import Command
from tm.core.verbs import VERBS
from tm.faces import jsonrpc
from tm.faces.jsonrpc import PARAMS, PARSE, REQUEST, Failure, Request, read
from tm.faces.methods import METHODS, BadParams, asked, describe, settled, unknown

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | JSON,
        "id": JSON,
        "method": st.sampled_from(sorted(METHODS)) | JSON,
        "params": JSON,
        "x": JSON,
    },
)


def one_line(data: bytes) -> Any:
    """What an answer says: one line of ASCII, of JSON."""
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    return json.loads(data.decode("ascii"), parse_constant=pytest.fail)


def answer_to(found: Request | Failure | None) -> Any:
    match found:
        case None:
            return None
        case Failure():
            return one_line(jsonrpc.error(found))
        case Request():
            return one_line(jsonrpc.result(found.id, {"method": found.method}))


@given(st.binary())
def test_any_bytes_can_be_answered(line: bytes) -> None:
    answer_to(read(line))


@given(MEMBERS | JSON)
def test_any_json_can_be_answered_and_ids_come_back(value: Any) -> None:
    text = json.dumps(value)
    found = answer_to(read(text.encode()))
    if isinstance(value, dict) and "result" in found:
        assert found["id"] == value.get("id")


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        (b"nonsense", PARSE, "the line is no JSON: Expecting value at character 1"),
        (b'{"jsonrpc":"2.0"', PARSE, "the line is no JSON: Expecting ',' delimiter at character 17"),
        (b"\xff", PARSE, "byte 1 of the line is no UTF-8"),
        (b"\xef\xbb\xbf{}", PARSE, "the line is no JSON: Unexpected UTF-8 BOM (decode using utf-8-sig) at character 1"),
        (b"[" * 10_000, PARSE, "the line is nested too deeply"),
        (b"[" * 10_000 + b"]" * 10_000, PARSE, "the line is nested too deeply"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, PARSE, "the line is nested too deeply"),
        (b"9" * 60_000, PARSE, "the line holds a number with too many digits"),
        (b"NaN", REQUEST, "NaN is no JSON"),
        (b'{"id":-Infinity}', REQUEST, "-Infinity is no JSON"),
        (b'{"id":1e999}', REQUEST, "the number 1e999 is too large"),
        (b'{"method":"a","method":"b"}', REQUEST, "the key 'method' is given twice"),
        (b"[]", REQUEST, "batches are not taken"),
        (b'"status"', REQUEST, "a request is an object"),
        (b"{}", REQUEST, 'a request says "jsonrpc":"2.0"'),
        (b'{"jsonrpc":2.0,"method":"status"}', REQUEST, 'a request says "jsonrpc":"2.0"'),
        (b'{"jsonrpc":"2.0"}', REQUEST, "a request names its method, as text"),
        (b'{"jsonrpc":"2.0","method":["status"]}', REQUEST, "a request names its method, as text"),
        (b'{"jsonrpc":"2.0","method":"a","parms":{}}', REQUEST, "a request has no member 'parms'"),
        (b'{"jsonrpc":"2.0","method":"a","params":[]}', PARAMS, "params are an object of names and values"),
        (b'{"jsonrpc":"2.0","method":"a","id":true}', REQUEST, "an id is text, a number or null"),
        (b'{"jsonrpc":"2.0","method":"a","id":{}}', REQUEST, "an id is text, a number or null"),
        (b'{"jsonrpc":"2.0","method":"a","id":[1]}', REQUEST, "an id is text, a number or null"),
    ],
)
def test_what_is_no_request(line: bytes, code: int, text: str) -> None:
    found = read(line)
    assert isinstance(found, Failure)
    assert (found.code, found.text) == (code, text)


@pytest.mark.parametrize("given_id", ["1", '"a"', "null", "1.5", "-0", '"\\ud800"', "9" * 4000])
def test_an_id_comes_back_as_it_was(given_id: str) -> None:
    found = read(f'{{"jsonrpc":"2.0","method":"status","id":{given_id}}}'.encode())
    assert isinstance(found, Request)
    assert found.answered
    assert one_line(jsonrpc.result(found.id, None))["id"] == json.loads(given_id)


def test_without_an_id_it_is_a_notification() -> None:
    found = read(b' {"jsonrpc":"2.0","method":"status","params":null}\r')
    assert found == Request("status", {}, None, False)


@pytest.mark.parametrize("line", [b"", b" ", b"\r", b"\t "])
def test_a_blank_line_is_nothing(line: bytes) -> None:
    assert read(line) is None


def test_a_notification_is_one_line_whatever_it_holds() -> None:
    line = jsonrpc.notification("log", {"text": "a\nb\u2028\ud800\x00"})
    assert one_line(line)["params"]["text"] == "a\nb\u2028\ud800\x00"


# ---- methods


def command(method: str, **params: object) -> Command:
    declared = METHODS[method]
    assert declared.verb is not None
    return asked(declared.verb, settled(declared, params)).command


def test_every_verb_is_a_method_but_those_of_the_prompt_and_the_client() -> None:
    verbs = {verb.name for verb in VERBS if not verb.client} - {"exit"}
    assert {name for name, method in METHODS.items() if method.verb and method.verb.name == name} == verbs
    assert [each["method"] for each in describe()] == list(METHODS)
    assert json.loads(json.dumps(describe()))


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("status", {}, Command("status")),
        ("status", {"words": ["web"], "options": ["-l"]}, Command("status", ("web",), frozenset({"--long"}))),
        ("status", {"words": None, "width": 80, "colour": True}, Command("status")),
        ("start", {"words": ["a", "b c"]}, Command("start", ("a", "b c"))),
        ("logs", {"words": ["web"], "lines": 5}, Command("logs", ("web",), lines=5)),
        ("logs.follow", {"words": ["web"], "options": ["--all"]}, Command("logs", ("web",), frozenset({"--all"}))),
        ("signal", {"words": ["web"], "signal": "HUP"}, Command("signal", ("web",), signal="HUP")),
        ("shutdown", {}, Command("shutdown")),
    ],
)
def test_params_become_commands(method: str, params: dict[str, object], expected: Command) -> None:
    assert command(method, **params) == expected


@pytest.mark.parametrize(
    ("method", "params", "text"),
    [
        ("status", {"wrods": []}, "'status' has no parameter 'wrods'. Did you mean 'words'?"),
        ("status", {"lines": 5}, "'status' has no parameter 'lines'."),
        ("version", {"words": ["now"]}, "'version' has no parameter 'words'."),
        ("status", {"words": "web"}, "'words' of 'status' is an array of text, 1,000 at most."),
        ("status", {"words": [1]}, "'words' of 'status' is an array of text, 1,000 at most."),
        ("status", {"words": ["a\0"]}, "'words' of 'status' is an array of text, 1,000 at most."),
        ("check", {"words": ["\ud800"]}, "'words' of 'check' is an array of text, 1,000 at most."),
        ("status", {"options": ["web"]}, "'options' of 'status' is an array of options."),
        ("status", {"width": 0}, "'width' of 'status' is a number from 1 to 10000."),
        ("status", {"width": True}, "'width' of 'status' is a number from 1 to 10000."),
        ("status", {"colour": 1}, "'colour' of 'status' is true or false."),
        ("logs", {"words": ["web"], "lines": -1}, "'lines' of 'logs' is a number."),
        ("logs", {"words": ["web"], "lines": 0}, "Please provide a valid number of lines to display."),
        ("signal", {"words": ["web"], "signal": 1}, "'signal' of 'signal' is text."),
        ("start", {}, "Please specify the task to start"),
        ("status", {"options": ["--jsno"]}, "'status' has no option '--jsno'. Did you mean '--json'?"),
    ],
)
def test_params_that_do_not_fit(method: str, params: dict[str, object], text: str) -> None:
    with pytest.raises(BadParams) as error:
        command(method, **params)
    assert str(error.value).startswith(text)


@given(
    st.sampled_from(sorted(METHODS)), st.dictionaries(st.sampled_from(["words", "options", "lines"]) | st.text(), JSON)
)
def test_any_params_are_taken_or_refused(name: str, params: dict[str, Any]) -> None:
    method = METHODS[name]
    try:
        given_params = settled(method, params)
        if method.verb is not None:
            assert asked(method.verb, given_params).command.verb == method.verb.name
    except BadParams as error:
        assert str(error)


def test_what_is_said_of_a_method_that_does_not_exist() -> None:
    assert unknown("statsu") == "There is no method 'statsu'. Did you mean 'status'? 'system.describe' lists them."
    assert unknown("exit") == "'exit' is for a prompt and no method; the daemon is ended by 'shutdown'."
    assert "top" in unknown("top")
