"""What a stranger can send, and what he can have written: any bytes in any pieces, and files of state that are junk."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fault.kernel import descriptors, instances, number
from tests.fault.test_idle import sleeps_on
from tests.integration.driver import Taskmaster
from tests.rpc import Rpc, listening, request
from tests.waiting import until
from tm.faces.methods import METHODS

CONFIG = """
    defaults: {autoLaunch: true, successfulStartTimeout: 0}
    tasks:
      web: {command: sleep 1000, restart: always}
      says: {command: "echo hello; exec sleep 1001"}
"""
WORDS = st.sampled_from(["web", "says", "all", "w*", "web:*", "*", "nobody", "", "\0", "\udc80", "9" * 400])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.lists(WORDS, max_size=3) | st.just({})
PARAMS = st.dictionaries(st.sampled_from(["words", "options", "lines", "signal", "x"]), VALUES, max_size=3)
HARMLESS = sorted(METHODS.keys() - {"shutdown"})
REQUESTS = st.builds(lambda method, params: request(1, method, **params), st.sampled_from(HARMLESS), PARAMS)
LINES = (
    REQUESTS
    | st.binary(max_size=200).map(lambda some: some + b"\n")
    | st.sampled_from(
        [b"\n", b"[]\n", b"[" * 3000 + b"\n", b"x" * 70_000 + b"\n", b"\r\n", b'{"jsonrpc":"2.0","id":1}\n', b"null\n"]
    )
)
EDITS = st.tuples(
    st.integers(0, 5000), st.integers(0, 9), st.sampled_from([b"", b"\n", b"\0", b"\xff", b'"', b"{", b"1"])
)


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    """Lines, some of them hurt, cut anywhere."""
    data = b"".join(draw(st.lists(LINES, max_size=6)))
    for at, length, instead in draw(st.lists(EDITS, max_size=3)):
        data = data[:at] + instead + data[at + length :]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=5)))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


TALKS = st.lists(st.tuples(pieces(), st.sampled_from(["reads", "half", "goes"])), min_size=1, max_size=3)


def test_any_bytes_in_any_pieces_from_several_at_once_harm_nobody(tmp_path: Path) -> None:
    """One of them reads what he is told to the end, another closes what he sends on, a third just leaves."""
    with (
        Taskmaster(tmp_path, CONFIG) as taskmaster,
        Rpc(listening(tmp_path / "control.sock")) as other,
    ):
        pid = taskmaster.daemon
        other.call("version")
        used, memory = descriptors(pid), number(pid, "VmRSS")

        @settings(max_examples=100)
        @given(TALKS)
        def fuzz(talks: list[tuple[list[bytes], str]]) -> None:
            converse(tmp_path, talks)
            assert other.call("version")["outcome"] == 0

        fuzz()
        until(lambda: descriptors(pid) <= used, "no descriptor more than before")
        assert number(pid, "VmRSS") < memory + 16 * 1024
        assert " bug: " not in taskmaster.log
        until(lambda: other.call("start", words=["all"]) and instances(tmp_path) == ["says", "web"], "both")
        sleeps_on(pid, 2)


def converse(home: Path, talks: list[tuple[list[bytes], str]]) -> None:
    """All talk in turns, a piece each."""
    clients = [(Rpc(home / "control.sock"), list(parts), how) for parts, how in talks]
    try:
        while any(parts for _, parts, _ in clients):
            for rpc, parts, _ in clients:
                with suppress(OSError):
                    rpc.send(parts.pop(0)) if parts else None
        for rpc, _, how in clients:
            if how != "goes":
                with suppress(OSError):
                    rpc.socket.shutdown(socket.SHUT_WR) if how == "half" else rpc.send(b"\n" + request(-7, "version"))
                for answer in answers(rpc, how):
                    assert answer["jsonrpc"] == "2.0"
                    assert ("result" in answer) + ("error" in answer) + ("method" in answer) == 1
    finally:
        for rpc, _, _ in clients:
            rpc.socket.close()


def answers(rpc: Rpc, how: str) -> Iterator[dict[str, Any]]:
    """All to the end, or to the one that was asked for last."""
    with suppress(EOFError, ConnectionResetError):
        while True:
            answer = rpc.next()
            yield answer
            if how == "reads" and answer.get("id") == -7:
                return


@contextmanager
def stopped_by_hand(home: Path) -> Iterator[Path]:
    """The state of a daemon in which an operator has stopped `web`, and which was killed."""
    with Taskmaster(home, CONFIG) as taskmaster:
        taskmaster.wait_for(web="RUNNING", says="RUNNING")
        taskmaster.type("stop web")
        taskmaster.wait_for(web="STOPPED")
        taskmaster.process.kill()
        taskmaster.process.wait()
    yield home / "state"


@pytest.mark.parametrize("name", ["wishes.json", "turns", "history", "lock"])
def test_junk_in_a_file_of_state_keeps_nobody_from_starting_and_costs_no_child(tmp_path: Path, name: str) -> None:
    junk = [b"", b"\0" * 70_000, b"[" * 100_000, os.urandom(65536)]
    with stopped_by_hand(tmp_path) as state:
        for content in junk:
            (state / name).write_bytes(content)
            with Taskmaster(tmp_path, CONFIG) as taskmaster:
                rows = taskmaster.status()
                assert rows["says"]["status"] == "RUNNING"
                assert rows["web"]["status"] == "STOPPED", "the journal knows it too"
                assert instances(tmp_path) == ["says"]
                assert " bug: " not in taskmaster.log
                taskmaster.process.kill()
                taskmaster.process.wait()
            if name == "wishes.json":
                assert "going on without" in taskmaster.log
        with Taskmaster(tmp_path, CONFIG) as taskmaster:
            assert taskmaster.status()["says"]["restarts"] == 0
