"""What programs say of themselves: datagrams read, and what is known after them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.utterance import RELOADING, STOPPING, Said, Utterance, after, parse, shown


@pytest.mark.parametrize(
    ("data", "meant"),
    [
        (b"READY=1", Utterance(ready=True)),
        (b"READY=1\n", Utterance(ready=True)),
        (b"READY=1\0", Utterance(ready=True)),
        (b"READY=0", Utterance()),
        (b"READY", Utterance()),
        (b" READY=1", Utterance()),
        (b"ready=1", Utterance()),
        (b"RELOADING=1\nMONOTONIC_USEC=5", Utterance(reloading=True)),
        (b"STOPPING=1\nSTATUS=going", Utterance(stopping=True, status="going")),
        (b"STATUS=\x1b[31mred\x1b[0m \x07 caf\xc3\xa9 \xff", Utterance(status="red \\x07 café \\xff")),
        (b"STATUS=", Utterance(status="")),
        (b"STATUS=" + b"x" * 4000, Utterance(status="x" * 200)),
        (b"STATUS=a=b", Utterance(status="a=b")),
        (b"STATUS=one\nSTATUS=two", Utterance(status="two")),
        (b"WATCHDOG=1", Utterance(alive=True)),
        (b"WATCHDOG=trigger", Utterance(faulty=True)),
        (b"WATCHDOG=2", Utterance()),
        (b"MAINPID=17", Utterance(main_pid=17)),
        (b"MAINPID=0", Utterance()),
        (b"MAINPID=-1", Utterance()),
        (b"MAINPID=2147483648", Utterance()),
        (b"MAINPID=17 ", Utterance()),
        (b"MAINPID=\xd9\xa1", Utterance()),
        (b"EXTEND_TIMEOUT_USEC=2500000", Utterance(extend_s=2.5)),
        (b"EXTEND_TIMEOUT_USEC=0", Utterance()),
        (b"EXTEND_TIMEOUT_USEC=" + b"9" * 5000, Utterance()),
        (b"BARRIER=1", Utterance()),
        (b"FDSTORE=1\nFDNAME=x", Utterance()),
        (b"X_OWN=1\n\n=\n==", Utterance()),
        (b"", Utterance()),
    ],
)
def test_a_datagram_is_read_as_sd_notify_has_it(data: bytes, meant: Utterance) -> None:
    assert parse(data) == meant


names = st.sampled_from(
    [b"READY", b"STATUS", b"MAINPID", b"WATCHDOG", b"EXTEND_TIMEOUT_USEC", b"STOPPING", b"RELOADING"]
)
values = st.one_of(st.binary(max_size=300), st.integers().map(lambda number: b"%d" % number), st.just(b"1"))
lines = st.lists(st.builds(lambda name, value: name + b"=" + value, names, values)).map(b"\n".join)


@given(st.one_of(st.binary(max_size=4096), lines))
def test_any_bytes_are_read_and_harm_no_terminal(data: bytes) -> None:
    what = parse(data)
    assert what.status is None or (len(what.status) <= 200 and what.status.isprintable())
    assert what.main_pid is None or 0 < what.main_pid < 2**31
    assert what.extend_s is None or 0 < what.extend_s < 1e12
    known = after(Said(), what)
    assert known.main_pid is None, "that is judged by others"
    assert shown(known) == "" or shown(known).startswith("  Says: ")


def test_the_end_wins_over_a_reload_and_a_reload_over_being_ready() -> None:
    said = Said("busy", "", 7)
    assert after(said, parse(b"STOPPING=1\nRELOADING=1\nREADY=1")) == Said("busy", STOPPING, 7)
    assert after(said, parse(b"RELOADING=1\nREADY=1")) == Said("busy", RELOADING, 7)
    assert after(Said("busy", RELOADING), parse(b"WATCHDOG=1")) == Said("busy", RELOADING)
    assert after(Said("busy", RELOADING), parse(b"READY=1\nSTATUS=")) == Said()


def test_people_see_all_of_it_and_nothing_where_there_is_nothing() -> None:
    assert shown(None) == shown(Said()) == ""
    assert shown(Said("42 requests", RELOADING, 12)) == "  Says: reloading, 42 requests, its main process is 12"
