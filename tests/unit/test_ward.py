"""What the daemon tells its guardian to keep, and to keep no more."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tm.daemon.ward import Ward
from tm.edge.hall import Hall
from tm.edge.loop import Loop


class Pair:
    """A daemon's ward and what its guardian hears."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.errors: list[BaseException] = []
        self.time = 0.0
        self.loop = Loop(self.errors.append, lambda: self.time)
        self.ward = Ward(ours, {}, os.getpid())
        self.ward.open(self.loop)
        self.guardian = Hall(theirs, {})
        self.ends = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]

    def heard(self) -> list[tuple[str, str]]:
        """What was said since the last time, or soon is."""
        self.time += 1
        self.loop.turn(0)
        found = []
        while (message := self.guardian.hear()) is not None:
            word, rest, fds = message
            found.append((word, rest))
            for fd in fds:
                os.close(fd)
        return found

    def close(self) -> None:
        self.guardian.close()
        self.loop.turn(0)
        self.loop.close()
        for fd in self.ends:
            os.close(fd)
        assert not self.errors


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def test_what_is_closed_is_told_soon_and_together(pair: Pair) -> None:
    one, two, three = pair.ends
    pair.ward.keep({"one": one, "two": two, "three": three})
    assert pair.heard() == [("keep", "one two three")]
    pair.ward.drop(one)
    pair.ward.drop(three)
    pair.ward.drop(three)
    assert pair.ward.kept == {"two": two}
    assert pair.heard() == [("drop", "one three")]
    assert pair.heard() == []


def test_a_name_that_means_another_one_by_then_is_not_dropped(pair: Pair) -> None:
    one, two, three = pair.ends
    pair.ward.keep({"a": one, "b": three})
    pair.ward.drop(one)
    pair.ward.drop(three)
    pair.ward.keep({"a": two})
    assert pair.heard() == [("keep", "a b"), ("keep", "a"), ("drop", "b")]
    assert pair.ward.kept == {"a": two}
