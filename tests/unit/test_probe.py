"""Probes as values: addresses that need nobody to be asked, and answers that are counted."""

from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from tm.core.probe import Address, BadAddress, Probe, Tally, Target, given, http_target, late, tcp_address
from tm.core.template import Template


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80), "127.0.0.1:80"),
        ("localhost:65535", Address("localhost", 65535), "localhost:65535"),
        ("tcp://10.0.0.7:6379", Address("10.0.0.7", 6379), "10.0.0.7:6379"),
        ("[::1]:1", Address("::1", 1), "[::1]:1"),
        ("unix:///run/app.sock", Address("", 0, "/run/app.sock"), "/run/app.sock"),
        ("/run/app.sock", Address("", 0, "/run/app.sock"), "/run/app.sock"),
    ],
)
def test_an_address_to_connect_to(text: str, address: Address, shown: str) -> None:
    assert tcp_address(text) == address
    assert str(address) == shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("db:5432", "looked up"),
        ("1.2.3:80", "looked up"),
        ("1.2.3.256:80", "looked up"),
        ("1.2.3.4444:80", "looked up"),
        ("127.0.0.1", "is not 'host:port'"),
        ("127.0.0.1:", "is not 'host:port'"),
        ("::1:80", "is not 'host:port'"),
        ("127.0.0.1:0", "no port 0"),
        ("127.0.0.1:65536", "no port 65536"),
        ("me@localhost:1", "user or password"),
        ("udp://127.0.0.1:53", "neither tcp nor unix"),
        ("unix://run/app.sock", "is absolute"),
        ("unix:///" + "x" * 107, "107 bytes"),
        ("/a\0b", "107 bytes"),
        ("", "is not 'host:port'"),
    ],
)
def test_no_address_to_connect_to(text: str, why: str) -> None:
    with pytest.raises(BadAddress) as caught:
        tcp_address(text)
    assert why in caught.value.why


@pytest.mark.parametrize(
    ("text", "path", "target"),
    [
        ("http://localhost", "", Target(Address("localhost", 80), "/")),
        ("http://localhost:8080/health?deep=1", "", Target(Address("localhost", 8080), "/health?deep=1")),
        ("http://127.0.0.1:1?x", "", Target(Address("127.0.0.1", 1), "/?x")),
        ("http://[::1]/", "", Target(Address("::1", 80), "/")),
        ("http://[::1]:81/", "", Target(Address("::1", 81), "/")),
        ("unix:///run/app.sock", "/health", Target(Address("", 0, "/run/app.sock"), "/health")),
        ("unix:///run/app.sock", "", Target(Address("", 0, "/run/app.sock"), "/")),
    ],
)
def test_whom_to_ask_over_http(text: str, path: str, target: Target) -> None:
    assert http_target(text, path) == target


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        ("file:///etc/passwd", "", "is no URL of http"),
        ("https://localhost/", "", "https is not spoken"),
        ("localhost:80", "", "is no URL of http"),
        ("http://", "", "is not 'host:port'"),
        ("http://example.org/", "", "looked up"),
        ("http://me:secret@localhost/", "", "user or password"),
        ("http://localhost/a b", "", "a space"),
        ("http://localhost/#top", "", "'#'"),
        ("http://localhost/ä", "", "not ASCII"),
        ("http://localhost/a", "/b", "has a path of its own"),
        ("unix://app.sock", "/", "is absolute"),
    ],
)
def test_no_target_of_http(text: str, path: str, why: str) -> None:
    with pytest.raises(BadAddress) as caught:
        http_target(text, path)
    assert why in caught.value.why


@drawn(st.text(), st.text())
def test_any_text_is_an_address_or_refused(text: str, path: str) -> None:
    for read in (tcp_address, lambda each: http_target(each, path)):
        for each in (text, f"http://{text}", f"unix://{text}", f"http://localhost/{text}"):
            try:
                read(each)
            except BadAddress as error:
                assert error.why


def test_failures_in_a_row_decide_once() -> None:
    tally = Tally(successes=1, failures=3)
    assert [tally.failed("a"), tally.failed("b"), tally.passed()] == [False, False, True]
    assert (tally.last, tally.bad) == ("", 0)
    assert [tally.failed(each) for each in "abcd"] == [False, False, True, False]
    assert (tally.last, tally.bad) == ("d", 4)


def test_failures_without_limit_never_decide() -> None:
    tally = Tally(successes=1, failures=0)
    assert not any(tally.failed("no") for _ in range(1000))


def test_so_many_successes_in_a_row_decide_and_forget_failures() -> None:
    tally = Tally(successes=2, failures=2)
    assert [tally.failed("a"), tally.passed(), tally.bad] == [False, False, 1]
    assert tally.failed("b"), "one success of two forgets nothing"
    assert [tally.passed(), tally.passed(), tally.bad, tally.passed()] == [False, True, 0, False]


def test_what_a_probe_holds_is_what_means_something() -> None:
    held = given(Probe("tcp", address=Template(("localhost:1",))))
    assert held == {
        "kind": "tcp",
        "address": Template(("localhost:1",)),
        "period_s": 1.0,
        "timeout_s": 1.0,
        "failures": 0,
        "successes": 1,
        "delay_s": 0.0,
    }


def test_why_it_is_late() -> None:
    assert late(5.0, "") == "not ready within 5s"
    assert late(0.5, "exit code 1") == "not ready within 0.5s: exit code 1"
