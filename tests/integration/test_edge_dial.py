"""A connection that is begun and gone on with: real sockets, and what comes over them."""

from __future__ import annotations

import errno
import os
import select
import socket
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.servers import Conversation, answers, free_port, serving
from tm.core.probe import Address, tcp_address
from tm.edge.dial import ANSWER_BYTES, Dial, request

OK = b"HTTP/1.1 200 OK\r\n\r\nfine\n"


def through(dial: Dial) -> Dial:
    """Go on until it is over. Raises what it raises."""
    with closing(dial):
        while True:
            ready = select.select([] if dial.writes else [dial.fd], [dial.fd] if dial.writes else [], [], 20)
            assert any(ready), "nothing for 20 s"
            if dial.go_on():
                return dial


def asked(talk: Conversation, path: Path | None = None) -> Dial:
    with serving(talk, path) as where:
        address = tcp_address(where)
        return through(Dial(address, request("GET", address, "/health?x=1")))


def test_a_connection_that_is_accepted_is_over(tmp_path: Path) -> None:
    with serving(lambda line: None) as where:
        assert through(Dial(tcp_address(where))).fd == -1
        port = tcp_address(where).port
        through(Dial(Address("localhost", port)))
    with serving(lambda line: None, tmp_path / "s") as where:
        through(Dial(tcp_address(where)))


def test_localhost_is_both_its_addresses() -> None:
    with socket.socket(socket.AF_INET6) as listener:
        try:
            listener.bind(("::1", 0))
        except OSError:
            pytest.skip("there is no IPv6 here")
        listener.listen()
        port = listener.getsockname()[1]
        through(Dial(Address("localhost", port)))
        through(Dial(Address("::1", port)))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nobody_there_is_refused(host: str) -> None:
    with pytest.raises(ConnectionRefusedError):
        through(Dial(Address(host, free_port())))


def test_a_socket_that_is_missing_or_dead_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Dial(Address("", 0, str(tmp_path / "none")))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    with pytest.raises(ConnectionRefusedError):
        Dial(Address("", 0, str(tmp_path / "dead")))


def test_a_connection_that_meets_itself_is_none() -> None:
    """Simultaneous open on one machine: a port that nobody has, chosen as our own."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        line.connect(line.getsockname())
        dial = Dial(Address("127.0.0.1", free_port()))
        dial._socket, theirs = socket.socket(fileno=os.dup(line.fileno())), dial._socket
        assert theirs is not None
        theirs.close()
        with closing(dial), pytest.raises(ConnectionRefusedError):
            dial.go_on()


def test_the_status_is_known_and_what_was_said_is_kept(tmp_path: Path) -> None:
    heard: list[bytes] = []
    dial = asked(answers(OK, asked=heard))
    assert (dial.status, dial.said) == (200, b"fine\n")
    assert heard[0].startswith(b"GET /health?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nConnection: close\r\n" in heard[0]
    dial = asked(answers(OK, asked=heard), tmp_path / "s")
    assert (dial.status, heard[1].split(b"\r\n")[1]) == (200, b"Host: localhost")


@pytest.mark.parametrize(
    ("parts", "status", "said"),
    [
        ([b"HTTP/1.0 404 Not Found\n\nno"], 404, b"no"),
        ([b"HTTP/1.1 500\r\n\r\n"], 500, b""),
        ([b"HTTP/1.1 301 Moved\r\nLocation: http://localhost/\r\n\r\n"], 301, b""),
        ([*(bytes([each]) for each in OK)], 200, b"fine\n"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK], 200, b"fine\n"),
        ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"], 101, b""),
        ([b"HTTP/1.1 200 OK\r\nX: y\r\n"], 200, b""),
        ([b"HTTP/1.1 204 "], 204, b""),
    ],
)
def test_answers_that_say_something(parts: list[bytes], status: int, said: bytes) -> None:
    dial = asked(answers(*parts))
    assert (dial.status, dial.said) == (status, said)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nX: y\r\n",
        b"x" * (2 * ANSWER_BYTES),
    ],
)
def test_what_is_no_answer(answer: bytes) -> None:
    with pytest.raises(OSError, match=r"HTTP|reset") as caught:
        asked(answers(answer))
    assert caught.value.errno in (errno.EPROTO, errno.ECONNRESET)


def test_an_answer_without_end_is_over_when_enough_was_read() -> None:
    def flood(line: socket.socket) -> None:
        answers(b"HTTP/1.1 200 OK\r\n\r\n")(line)
        while True:
            line.sendall(b"x" * 65536)

    assert ANSWER_BYTES <= len(asked(flood).said) + 19 <= 2 * ANSWER_BYTES


def test_a_head_without_end_is_over_when_enough_was_read() -> None:
    assert asked(answers(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * ANSWER_BYTES)).status == 200


def test_a_question_without_a_body_says_so() -> None:
    assert b"Content-Length: 0\r\n" in request("POST", Address("::1", 8080), "/")
    assert b"Host: [::1]:8080\r\n" in request("HEAD", Address("::1", 8080), "/")


@settings(max_examples=30)
@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from([b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 1"])), max_size=6
    )
)
def test_any_bytes_are_an_answer_or_none(parts: list[bytes]) -> None:
    try:
        dial = asked(answers(*parts))
    except OSError:
        return
    assert 100 <= dial.status <= 599
