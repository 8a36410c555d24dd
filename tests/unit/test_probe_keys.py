"""The keys below readiness and liveness: what they come to, and what is refused, each at its place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.build import TextWorld, tasks
from tm.core.errors import ConfigError, Problem
from tm.core.loading import load
from tm.core.probe import Probe
from tm.core.probe_keys import KINDS, LIVENESS_FIELDS, READINESS_FIELDS
from tm.core.schema import schema
from tm.core.task import Task
from tm.core.template import Slot, Template


def web(*lines: str, **keys: str) -> Task:
    """The task with these keys."""
    written = "".join(f"    {key}: {value}\n" for key, value in keys.items())
    return tasks("tasks:\n  web:\n    command: run\n" + written + "".join(f"    {line}\n" for line in lines))["web"]


def problems(**keys: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        web(**keys)
    return list(caught.value.problems)


def test_a_task_has_none() -> None:
    assert (web().readiness, web().liveness) == (None, None)
    assert (web(readiness="").readiness, web(liveness="~").liveness) == (None, None)


def test_what_is_not_given_has_its_default() -> None:
    assert web(readiness="{tcp: 'localhost:80{n}'}").readiness == Probe(
        "tcp", address=Template(("localhost:80", Slot.N)), period_s=0.5
    )
    assert web(liveness="{tcp: '[::1]:1', successes: }").liveness == Probe(
        "tcp", address=Template(("[::1]:1",)), period_s=10, failures=3
    )
    assert web(readiness="{log: '^ready$'}").readiness == Probe("log", pattern="^ready$")


def test_http_with_all_its_keys() -> None:
    probe = web(
        liveness="{http: 'unix:///{task}.sock', path: /h, status: [204, 200-201], method: HEAD, period: 1m, timeout: 3,"
        " failures: 5, successes: 2, delay: 500ms, x-note: [1]}"
    ).liveness
    assert probe == Probe(
        "http",
        address=Template(("unix:///", Slot.TASK, ".sock")),
        path="/h",
        method="HEAD",
        status=((200, 201), (204, 204)),
        period_s=60,
        timeout_s=3,
        failures=5,
        successes=2,
        delay_s=0.5,
    )
    assert web(readiness="{http: 'http://localhost/'}").readiness == Probe(
        "http", address=Template(("http://localhost/",)), method="GET", status=((200, 399),), period_s=0.5
    )


def test_a_command_is_read_as_one() -> None:
    text, words = web(readiness="{exec: 'ping -c 1 {n}'}").readiness, web(readiness="{exec: [ping, '{n}']}").readiness
    assert text is not None
    assert words is not None
    assert [each.text for each in text.words] == ["ping", "-c", "1", "{n}"]
    assert [each.text for each in words.words] == ["ping", "{n}"]
    shell = web(readiness="{exec: 'test -e a && exit 3'}").readiness
    assert shell is not None
    assert shell.words[0].text == "/bin/sh"


def test_variables_are_expanded_in_addresses_and_nothing_in_a_pattern() -> None:
    world = TextWorld({"/c": "tasks: {web: {command: x, readiness: {tcp: 'localhost:${PORT}'}}}"}, {"PORT": "81"})
    probe = load("/c", world).tasks["web"].readiness
    assert probe is not None
    assert probe.address == Template(("localhost:81",))
    pattern = web(readiness="{log: 'in ${x} {n}'}").readiness
    assert pattern is not None
    assert pattern.pattern == "in ${x} {n}"


def test_a_merged_key_yields() -> None:
    text = "x-p: &p {tcp: 'localhost:1', period: 9}\ntasks: {web: {command: x, liveness: {<<: *p, period: 8}}}"
    probe = tasks(text)["web"].liveness
    assert probe is not None
    assert probe.period_s == 8


@pytest.mark.parametrize(
    ("key", "value", "identity", "words"),
    [
        ("readiness", "yes", "wrong-shape", "this is text, not a mapping"),
        ("readiness", "[]", "wrong-shape", "this is a list, not a mapping"),
        ("readiness", "{}", "no-probe", "does not say how to ask"),
        ("readiness", "{period: 1}", "no-probe", "does not say how to ask"),
        ("readiness", "{tcp: 'localhost:1', exec: x}", "two-probes", "'tcp' and 'exec' are two ways"),
        ("readiness", "{tcp: 'localhost:1', perid: 1}", "unknown-key", "unknown key 'perid'"),
        ("liveness", "{log: x}", "unknown-key", "unknown key 'log'"),
        ("readiness", "{tcp: 'localhost:1', period: 0}", "out-of-range", "'period': this is no time at all"),
        ("readiness", "{tcp: 'localhost:1', period: -1}", "bad-duration", "'period': '-1' is not a duration"),
        ("readiness", "{tcp: 'localhost:1', timeout: 2h}", "out-of-range", "'timeout': '2h' is longer than an hour"),
        ("readiness", "{tcp: 'localhost:1', failures: -1}", "out-of-range", "'failures': -1 is not from 0"),
        ("liveness", "{tcp: 'localhost:1', failures: 0}", "out-of-range", "'failures': 0 is not from 1"),
        ("liveness", "{tcp: 'localhost:1', successes: 0}", "out-of-range", "'successes': 0 is not from 1"),
        ("liveness", "{tcp: 'localhost:1', delay: x}", "bad-duration", "'delay': 'x' is not a duration"),
        ("readiness", "{tcp: 'localhost:1', status: 200}", "meaningless", "'status' means nothing beside 'tcp'"),
        ("readiness", "{exec: x, path: /a}", "meaningless", "'path' means nothing beside 'exec'"),
        ("readiness", "{log: x, period: 1}", "meaningless", "'period' means nothing beside 'log'"),
        ("readiness", "{http: 'file:///etc/passwd'}", "bad-address", "'http': 'file:///etc/passwd' is no URL of http"),
        ("readiness", "{http: 'http://localhost/', path: /a}", "bad-address", "has a path of its own"),
        ("readiness", "{http: 'unix:///s', path: a}", "bad-path", "begins with '/'"),
        ("readiness", "{http: 'unix:///s', path: '/a#b'}", "bad-path", "begins with '/'"),
        ("readiness", "{http: 'http://localhost/', status: 99}", "bad-status", "'99' is neither a status"),
        ("readiness", "{http: 'http://localhost/', status: 300-200}", "bad-status", "'300-200' is neither"),
        ("readiness", "{http: 'http://localhost/', method: DELETE}", "bad-choice", "'DELETE' is none of its words"),
        ("readiness", "{tcp: 'db:1'}", "bad-address", "would have to be looked up"),
        ("readiness", "{tcp: '${NO}'}", "unset-variable", "'NO' is not set"),
        ("readiness", '{exec: "a \'b"}', "bad-command", "a quote is not closed"),
        ("readiness", "{exec: {a: b}}", "wrong-shape", "this is a mapping"),
        ("readiness", "{log: 'a('}", "bad-pattern", "is not a regular expression"),
        ("readiness", "{log: 'a*'}", "bad-pattern", "found in every line"),
        ("readiness", "{tcp: 'localhost:1', delay: 5}", "out-of-range", "after 5s at the earliest, and has 5s"),
        ("readiness", "{tcp: 'localhost:1', period: 3, successes: 3}", "out-of-range", "after 6s at the earliest"),
    ],
)
def test_nonsense_is_refused(key: str, value: str, identity: str, words: str) -> None:
    (problem,) = problems(**{key: value})
    assert (problem.id, problem.place.line) == (identity, 4)
    assert problem.message.startswith(f"'{key}' of task 'web': ")
    assert words in problem.message


def test_all_that_is_wrong_is_told_at_once() -> None:
    told = problems(readiness="{tcp: 'localhost:1', period: 0, failures: x}", liveness="{a: 1, b: 2}")
    assert [each.id for each in told] == ["out-of-range", "bad-number", "unknown-key", "unknown-key"]
    assert len({each.place for each in told}) == 4
    told = problems(readiness="{log: x, period: 1, delay: 1}")
    assert [each.id for each in told] == ["meaningless", "meaningless"]
    (one,) = problems(readiness="{http: 'http://localhost/', status: [1]}")
    assert one.expected == "a status such as 200, a range such as 200-299, or a list of them"


def test_the_nearest_key_is_suggested() -> None:
    (problem,) = problems(liveness="{tcp: 'localhost:1', failurs: 1}")
    assert (problem.suggestion, problem.expected) == ("did you mean 'failures'?", "a key of liveness")


def test_a_line_is_not_waited_for_where_there_is_no_output() -> None:
    for logs in ({"stdout": "/dev/null", "stderr": "stdout"}, {"stdout": "/dev/null", "stderr": "/dev/null"}):
        (problem,) = problems(readiness="{log: ready}", **logs)
        assert problem.id == "no-output"
    for logs in ({"stdout": "/dev/null"}, {"stderr": "/dev/null"}, {"stdout": "syslog", "stderr": "stdout"}):
        assert web(readiness="{log: ready}", **logs).readiness
    assert web(readiness="{tcp: 'localhost:1'}", stdout="/dev/null", stderr="stdout").readiness


def test_an_address_has_to_be_one_for_every_instance() -> None:
    (problem,) = problems(instances="100", liveness="{tcp: 'localhost:655{n}'}")
    assert "of instance 100, there is no port 655100" in problem.message
    assert web(instances="9", liveness="{tcp: 'localhost:655{n}'}").liveness
    assert web(instances="9", readiness="{http: 'http://localhost:808{n}/'}").readiness
    (problem,) = problems(instances="100", readiness="{http: 'http://localhost:655{n}/'}")
    assert problem.id == "bad-address"


def test_without_limit_nothing_is_too_late() -> None:
    task = web(readiness="{tcp: 'localhost:1', delay: 1h}", successfulStartTimeout="0")
    assert (task.start_limit_s, web(successfulStartTimeout="0").start_limit_s) == (None, 0)


def test_the_schema_knows_every_key() -> None:
    keys = schema()["definitions"]["task"]["properties"]
    for key, fields in (("readiness", READINESS_FIELDS), ("liveness", LIVENESS_FIELDS)):
        known = keys[key]["anyOf"][0]
        assert list(known["properties"]) == [each.key for each in fields]
        assert known["additionalProperties"] is False
    assert set(KINDS) <= {each.key for each in READINESS_FIELDS}


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from([each.key for each in READINESS_FIELDS]), st.text("0123456789ab:/.-' ", max_size=9))
)
def test_any_text_is_read_or_refused(given_keys: dict[str, str]) -> None:
    written = ", ".join(f'{key}: "{value}"' for key, value in given_keys.items())
    try:
        web(readiness=f"{{{written}}}")
    except ConfigError as error:
        assert error.problems


def test_one_that_says_itself_that_it_is_ready_is_asked_nothing() -> None:
    assert web(readiness="{notify: true}").readiness == Probe("notify", notify=True)
    refused = [problems(readiness="{notify: false}"), problems(readiness="{notify: true, delay: 3}")]
    refused.append(problems(liveness="{notify: true}"))
    assert [each[0].id for each in refused] == ["no-probe", "meaningless", "unknown-key"]
    assert "asks for nothing" in refused[0][0].message
