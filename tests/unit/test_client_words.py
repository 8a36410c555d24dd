"""The client's command line, its requests and its JSON."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.cli import wire
from tm.cli.request import VALUED, Request
from tm.cli.screen import Screen
from tm.cli.top import frame
from tm.cli.wish import Usage, Wish
from tm.core.verbs import VERBS

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


@given(st.dictionaries(st.text(), VALUES))
def test_json_as_json_has_it(value: dict[str, Any]) -> None:
    line = wire.encode(value)
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == value
    assert wire.decode(json.dumps(value).encode()) == value


@pytest.mark.parametrize("line", [b"", b"[]", b"1", b"{", b'{"a":1} x', b"\xff", b"nonsense"])
def test_what_is_no_object(line: bytes) -> None:
    with pytest.raises(ValueError):
        wire.decode(line)


@given(st.binary())
def test_any_line_is_an_object_or_a_value_error(line: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(wire.decode(line), dict)


@pytest.mark.parametrize(
    ("line", "words", "given_flags"),
    [
        ("status", ["status"], {}),
        ("-s a.sock status -l", ["status", "-l"], {"--socket": "a.sock"}),
        ("-sa.sock logs web 5 -f", ["logs", "web", "5", "-f"], {"--socket": "a.sock"}),
        ("--socket=a.sock pid", ["pid"], {"--socket": "a.sock"}),
        ("restart web --no-wait --timeout 3", ["restart", "web"], {"--no-wait": "", "--timeout": "3"}),
        ("status --json", ["status"], {"--json": ""}),
        ("start -s web", ["start", "-s", "web"], {}),
        ("start -- --json", ["start", "--json"], {}),
        ("logs web -5", ["logs", "web", "-5"], {}),
    ],
)
def test_command_lines(line: str, words: list[str], given_flags: dict[str, str]) -> None:
    wish = Wish(line.split())
    assert (wish.words, wish.given) == (words, given_flags)


@pytest.mark.parametrize("line", ["-c", "-x status", "--json=yes status", "--timeout -1 pid", "-c a -s b"])
def test_command_lines_that_say_nothing(line: str) -> None:
    with pytest.raises(Usage):
        Wish(line.split())


@given(st.lists(st.text()))
def test_any_command_line(words: list[str]) -> None:
    try:
        Wish(words)
    except Usage as error:
        assert str(error)


@pytest.mark.parametrize(
    ("line", "params"),
    [
        ("reload", {}),
        ("status web -l", {"words": ["web"], "options": ["-l"]}),
        ("signal HUP web db", {"signal": "HUP", "words": ["web", "db"]}),
        ("signal", {}),
        ("logs web 20 --stderr", {"words": ["web"], "lines": 20, "options": ["--stderr"]}),
        ("logs web x", {"words": ["web", "x"]}),
        ("logs web --since 10m --grep=x 5", {"words": ["web"], "lines": 5, "options": ["--since=10m", "--grep=x"]}),
        ("logs web -n 5", {"words": ["web"], "options": ["--lines=5"]}),
        ("logs web --grep", {"words": ["web"], "options": ["--grep"]}),
        ("check /a.yaml", {"words": ["/a.yaml"]}),
    ],
)
def test_requests(line: str, params: dict[str, object]) -> None:
    sent = Request(line.split()).params(Screen("never"))
    assert sent.pop("width", None) is None
    assert sent.pop("colour") is False
    assert sent == params


def test_the_options_that_take_a_value_are_those_declared() -> None:
    valued = [option for verb in VERBS for option in verb.options if option.value]
    assert set(VALUED) == {name for option in valued for name in (option.name, option.short) if name}


def test_a_file_is_named_so_that_the_daemon_finds_it() -> None:
    assert Request(["check", "a.yaml"]).words[0].startswith("/")


@pytest.mark.parametrize(
    ("size", "rows"),
    [((20, 10), ["taskmaster  12:00:00", "", "a", "b", "c"]), ((80, 4), 4), ((80, 2), 2), ((80, 1), 1)],
)
def test_a_frame_fits_the_terminal(size: tuple[int, int], rows: list[str] | int) -> None:
    lines = frame(["a", "b", "c"], size, "12:00:00").removeprefix("\x1b[H").removesuffix("\x1b[J").split("\r\n")
    shown = [line.removesuffix("\x1b[K") for line in lines]
    assert shown == rows or len(shown) == rows
    if size == (80, 4):
        assert shown[2:] == ["a", "... 2 more lines"]
