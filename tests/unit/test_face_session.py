"""A client's conversation, before a desk of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.commands import Command
from tm.core.ports import LINE_BYTES
from tm.core.when_read import WhenRead
from tm.faces.counter import Tell
from tm.faces.methods import Asked
from tm.faces.session import ANSWER_BYTES, SUBSCRIPTIONS_MOST, Session, lost


@dataclass
class Answered:
    lines: Sequence[str] = ()
    data: object = None
    outcome: int = 0
    note: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeLine:
    """A terminal that reads one line, and no more."""

    last: int | None
    typed: list[bytes] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    ended: int = 0

    def type(self, data: bytes) -> bool:
        self.typed.append(data)
        return len(self.typed) == 1

    def resize(self, rows: int, columns: int) -> None:
        self.sizes.append((rows, columns))

    def end(self) -> None:
        self.ended += 1


@dataclass
class FakeDesk:
    """Notes what it is asked, and answers what the test has put there."""

    answer: Answered = field(default_factory=Answered)
    asked: list[tuple[Command, str]] = field(default_factory=list)
    tells: list[Tell] = field(default_factory=list)
    later: list[Callable[[Answered], None]] = field(default_factory=list)
    ended: int = 0
    lines: list[FakeLine] = field(default_factory=list)

    def attach(self, asked: Asked, last: int | None, by: str, tell: Tell) -> tuple[Answered, FakeLine | None]:
        if asked.command.words == ("nobody",):
            return Answered(["Nobody."], {"error": "Nobody."}, 6), None
        self.asked.append((asked.command, by))
        self.tells.append(tell)
        self.lines.append(FakeLine(last))
        return Answered((), {"name": "web", "base64": "Zmlyc3Q="}), self.lines[-1]

    def carry_out(self, asked: Asked, by: str, answered: Callable[[Answered], None]) -> Callable[[], None]:
        if asked.command.verb == "reload":
            raise RuntimeError("a bug")
        self.asked.append((asked.command, by))
        if asked.command.verb in ("logs", "check"):
            self.later.append(answered)
        else:
            answered(self.answer)
        return self._end

    def follow(self, asked: Asked, by: str, tell: Tell, answered: Callable[[Answered], None]) -> Callable[[], None]:
        if asked.command.words == ("slow",):
            self.later.append(answered)
            return self._end
        answer, end = self.subscribe(asked.command.words, by, tell)
        if asked.after is not None:
            answer = Answered(marks=asked.after)
        answered(answer)
        return end or self._end

    def _end(self) -> None:
        self.ended += 1

    def subscribe(self, words: tuple[str, ...], by: str, tell: Tell) -> tuple[Answered, Callable[[], None] | None]:
        if words == ("nobody",):
            return Answered(["Task 'nobody' not found."], None, 6), None
        self.tells.append(tell)
        return self.answer, lambda: self.tells.remove(tell)


@dataclass
class Line:
    """The way back: keeps what is sent."""

    sent: list[Any] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    went_on: int = 0

    def answer(self, data: bytes) -> None:
        self.sent.append(json.loads(data))

    def notify(self, data: bytes, lines: int = 0) -> None:
        self.lines.append(lines)
        self.sent.append(json.loads(data))

    def go_on(self) -> None:
        self.went_on += 1


class Talk:
    """A session and its two ends."""

    def __init__(self) -> None:
        self.desk, self.out = FakeDesk(), Line()
        self.session = Session(self.desk, self.out, "uid 7 (pid 8)")

    def say(self, method: str, params: Mapping[str, object] | None = None, **members: object) -> list[Any]:
        """What comes back for one request."""
        before = len(self.out.sent)
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **members}
        self.session.line(json.dumps({k: v for k, v in request.items() if v is not ...}).encode(), False)
        return self.out.sent[before:]


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_a_command_is_carried_out_on_behalf_of_the_peer_and_answered(talk: Talk) -> None:
    talk.desk.answer = Answered(["a line"], {"a": 1}, 1)
    assert talk.say("stop", {"words": ["web"]}) == [
        {"jsonrpc": "2.0", "id": 1, "result": {"lines": ["a line"], "data": {"a": 1}, "outcome": 1}}
    ]
    assert talk.desk.asked == [(Command("stop", ("web",)), "uid 7 (pid 8)")]


def test_a_notification_is_carried_out_without_an_answer(talk: Talk) -> None:
    assert talk.say("stop", {"words": ["web"]}, id=...) == []
    assert talk.say("statsu", id=...) == []
    assert talk.say("stop", {"words": 1}, id=...) == []
    assert [command.verb for command, _ in talk.desk.asked] == ["stop"]


def test_errors_have_their_code_id_and_hint(talk: Talk) -> None:
    assert talk.say("statsu", id="x")[0]["error"]["code"] == -32601
    (refused,) = talk.say("stop", {}, id="x")
    assert refused["id"] == "x"
    assert refused["error"] == {
        "code": -32602,
        "message": "Please specify the task to stop",
        "data": {"hint": "Usage: stop SEL ..."},
    }


def test_a_line_too_long_is_an_error_without_an_id(talk: Talk) -> None:
    talk.session.line(None, False)
    assert talk.out.sent[0]["id"] is None
    assert f"{LINE_BYTES:,}" in talk.out.sent[0]["error"]["message"]


def test_an_answer_too_large_is_an_error(talk: Talk) -> None:
    talk.desk.answer = Answered(["x" * ANSWER_BYTES])
    assert talk.say("status")[0]["error"]["code"] == -32000


def test_who_wants_only_the_data_has_no_lines_made(talk: Talk) -> None:
    talk.desk.answer = Answered(WhenRead(lambda: pytest.fail("made though nobody reads them")), data=[1])
    (told,) = talk.say("status", {"bare": True})
    assert told["result"] == {"lines": [], "data": [1], "outcome": 0}


def test_a_busy_face_carries_out_nothing(talk: Talk) -> None:
    talk.session.line(b'{"jsonrpc":"2.0","id":5,"method":"stop","params":{"words":["web"]}}', True)
    assert (talk.out.sent[0]["id"], talk.out.sent[0]["error"]["code"]) == (5, -32000)
    assert talk.desk.asked == []


def test_a_bug_is_answered_and_goes_on_to_whoever_logs_it(talk: Talk) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        talk.say("reload")
    assert talk.out.sent[0]["error"]["code"] == -32603


def test_an_answer_that_no_json_holds_is_a_bug_and_answered(talk: Talk) -> None:
    talk.desk.answer = Answered(data={1, 2})
    with pytest.raises(TypeError):
        talk.say("status")
    assert talk.out.sent[0]["error"]["code"] == -32603


def test_a_subscription_is_told_of_by_its_number_until_it_ends(talk: Talk) -> None:
    (first,) = talk.say("events.subscribe")
    (second,) = talk.say("logs.follow", {"words": ["web"]})
    assert (first["result"]["subscription"], second["result"]["subscription"]) == (1, 2)
    talk.desk.tells[1]("log", {"text": "hello"})
    assert talk.out.sent[-1] == {"jsonrpc": "2.0", "method": "log", "params": {"subscription": 2, "text": "hello"}}
    assert talk.say("unsubscribe", {"subscription": 2})[0]["result"]["outcome"] == 0
    assert len(talk.desk.tells) == 1
    assert talk.say("unsubscribe", {"subscription": 2})[0]["error"]["code"] == -32602
    assert talk.say("unsubscribe")[0]["error"]["code"] == -32602
    assert talk.session.waits
    tell = talk.desk.tells[0]
    talk.session.end()
    assert talk.desk.tells == []
    before = len(talk.out.sent)
    tell("event", {})
    assert len(talk.out.sent) == before


def test_an_answer_may_come_later_and_is_given_up_with_the_client(talk: Talk) -> None:
    assert talk.say("logs", {"words": ["web"]}, id=5) == []
    assert talk.say("pid", id=6)[0]["id"] == 6
    talk.desk.later[0](Answered(["found"], note="not all"))
    assert talk.out.sent[-1] == {
        "jsonrpc": "2.0",
        "id": 5,
        "result": {"lines": ["found"], "data": None, "outcome": 0, "note": "not all"},
    }
    talk.say("logs", {"words": ["web"]})
    talk.session.end()
    assert talk.desk.ended == 1


def test_what_is_followed_begins_where_it_was_left(talk: Talk) -> None:
    (answer,) = talk.say("logs.follow", {"words": ["web"], "after": {"/log": "1:2:3"}})
    assert answer["result"]["marks"] == {"/log": "1:2:3"}
    for wrong in (1, {"/log": 1}, {"/log": "\0"}, {str(each): "" for each in range(1001)}):
        assert talk.say("logs.follow", {"words": ["web"], "after": wrong})[0]["error"]["code"] == -32602


def test_what_is_not_answered_yet_cannot_be_unsubscribed(talk: Talk) -> None:
    assert not talk.session.waits
    assert talk.say("logs.follow", {"words": ["slow"]}) == []
    assert talk.session.waits
    (refused,) = talk.say("unsubscribe", {"subscription": 1})
    assert refused["error"]["message"] == "there is no such subscription of this client"
    talk.desk.later[0](Answered())
    assert talk.out.sent[-1]["result"]["subscription"] == 1
    assert "result" in talk.say("unsubscribe", {"subscription": 1})[0]
    assert not talk.session.waits
    assert talk.desk.ended == 1


def test_what_cannot_be_followed_is_no_subscription(talk: Talk) -> None:
    (answer,) = talk.say("logs.follow", {"words": ["nobody"]})
    assert (answer["result"]["outcome"], answer["result"]["subscription"]) == (6, None)
    assert not talk.session.waits


def test_what_selects_nothing_is_no_subscription(talk: Talk) -> None:
    (answer,) = talk.say("events.subscribe", {"names": ["nobody"]})
    assert answer["result"] == {"lines": ["Task 'nobody' not found."], "data": None, "outcome": 6, "subscription": None}
    assert not talk.session.waits


def test_subscriptions_are_bounded(talk: Talk) -> None:
    for _ in range(SUBSCRIPTIONS_MOST):
        assert "result" in talk.say("events.subscribe")[0]
    assert talk.say("events.subscribe")[0]["error"]["code"] == -32000
    assert talk.say("logs.follow", {"words": ["web"]})[0]["error"]["code"] == -32000


def test_describe_lists_every_method(talk: Talk) -> None:
    listed = talk.say("system.describe")[0]["result"]["data"]
    assert {"status", "shutdown", "events.subscribe", "unsubscribe"} <= {each["method"] for each in listed}


def test_lost_is_told_with_a_count() -> None:
    assert json.loads(lost(3, 5)) == {"jsonrpc": "2.0", "method": "lost", "params": {"count": 3, "lines": 5}}


def test_the_lines_of_a_notification_are_counted_in_case_it_is_lost(talk: Talk) -> None:
    """A bug: what a follower was told to have missed were messages, each of any number of lines."""
    talk.say("logs.follow", {"words": ["web"]})
    (tell,) = talk.desk.tells
    tell("log", {"text": "one\ntwo\n\nfour"})
    tell("event", {"text": "no\noutput"})
    assert talk.out.lines == [4, 0]


@given(st.lists(st.binary()))
def test_any_lines_are_answered_once_each_and_raise_nothing(lines: list[bytes]) -> None:
    talk = Talk()
    for line in lines:
        talk.session.line(line, False)
    assert len(talk.out.sent) == sum(bool(line.strip()) for line in lines)


# ---- attached


def test_who_is_attached_types_and_asks_for_a_size(talk: Talk) -> None:
    (answer,) = talk.say("attach", {"words": ["web"], "last": 3})
    assert answer["result"] == {
        "lines": [],
        "data": {"name": "web", "base64": "Zmlyc3Q="},
        "outcome": 0,
        "subscription": 1,
    }
    assert talk.say("attach.type", {"subscription": 1, "base64": "aGkK"})[0]["result"]["outcome"] == 0
    assert talk.say("attach.type", {"subscription": 1, "base64": "aGkK"})[0]["error"]["code"] == -32000
    assert talk.say("attach.resize", {"subscription": 1, "rows": 5, "columns": 7})[0]["result"]["outcome"] == 0
    assert talk.say("attach.resize", {"subscription": 1, "rows": 5})[0]["error"]["code"] == -32602
    (line,) = talk.desk.lines
    assert (line.last, line.typed, line.sizes) == (3, [b"hi\n", b"hi\n"], [(5, 7)])
    talk.say("unsubscribe", {"subscription": 1})
    assert line.ended == 1
    assert talk.say("attach.type", {"subscription": 1, "base64": "aGkK"})[0]["error"]["code"] == -32602
    assert talk.say("attach.type", {"base64": "aGkK"})[0]["error"]["code"] == -32602


def test_the_end_of_what_one_is_attached_to_is_an_answer_that_is_not_lost(talk: Talk) -> None:
    talk.say("attach", {"words": ["web"]})
    talk.desk.tells[0]("detached", {"text": "over"})
    assert talk.out.sent[-1] == {
        "jsonrpc": "2.0",
        "method": "detached",
        "params": {"subscription": 1, "text": "over"},
    }
    assert talk.out.lines == [], "no notification, which could be lost"
    assert (talk.desk.lines[0].ended, talk.session.waits) == (1, False)
    talk.desk.tells[0]("terminal", {"base64": "eA=="})
    assert talk.out.sent[-1]["method"] == "detached"


def test_the_next_daemon_goes_on_with_it_or_tells_its_end(talk: Talk) -> None:
    talk.say("attach", {"words": ["nobody"]})
    talk.say("attach", {"words": ["web"], "last": 3})
    left = talk.session.leave()
    assert [number for number, _, _ in left.subscriptions] == [2]
    after = Talk()
    after.session.go_on(left)
    assert after.desk.lines[0].last is None
    assert after.out.sent == [
        {"jsonrpc": "2.0", "method": "terminal", "params": {"subscription": 2, "base64": "Zmlyc3Q="}}
    ]
    assert after.say("attach.type", {"subscription": 2, "base64": "aGkK"})[0]["result"]["outcome"] == 0
    gone = Talk()
    number, request, marks = left.subscriptions[0]
    gone.session.go_on(left._replace(subscriptions=[(number, request._replace(params={"words": ["nobody"]}), marks)]))
    assert gone.out.sent == [{"jsonrpc": "2.0", "method": "detached", "params": {"subscription": 2, "text": "Nobody."}}]


def test_attaching_is_bounded_as_any_subscription(talk: Talk) -> None:
    for _ in range(SUBSCRIPTIONS_MOST):
        talk.say("attach", {"words": ["web"]})
    assert talk.say("attach", {"words": ["web"]})[0]["error"]["code"] == -32000
    talk.session.end()
    assert [line.ended for line in talk.desk.lines] == [1] * SUBSCRIPTIONS_MOST


def test_what_takes_long_holds_up_further_requests_until_it_is_answered_but_logs_do_not(talk: Talk) -> None:
    talk.say("logs", {"words": ["web"]})
    assert not talk.session.holds
    assert talk.say("check") == []
    assert talk.session.holds
    before = talk.out.went_on
    talk.desk.later[1](Answered(["no problems"]))
    assert (talk.session.holds, talk.out.went_on) == (False, before + 1)


def test_a_bug_holds_nothing_up(talk: Talk) -> None:
    with pytest.raises(RuntimeError):
        talk.say("reload")
    assert not talk.session.holds
    assert not talk.session.works


def test_of_who_is_gone_only_what_changes_something_is_carried_out(talk: Talk) -> None:
    talk.session.end(gone=True)
    for method in ("status", "show", "logs", "logs.follow", "pid"):
        talk.say(method, {"words": ["web"]})
    assert talk.desk.asked == []
    talk.say("stop", {"words": ["web"]})
    assert [command.verb for command, _ in talk.desk.asked] == ["stop"]


def test_who_has_only_ended_his_input_is_answered(talk: Talk) -> None:
    talk.session.end(gone=False)
    assert len(talk.say("status")) == 1
