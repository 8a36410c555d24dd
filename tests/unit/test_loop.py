"""The turn of the loop: its five steps in their order, on real descriptors and a clock that the test moves."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tm.core.timers import Instant
from tm.edge.loop import FEW, NAP_S, OUTPUT_S, TRICKLE_BYTES, TRICKLE_TURNS, Loop, Rank, output_s


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def loop(clock: Clock, errors: list[BaseException]) -> Iterator[Loop]:
    loop = Loop(errors.append, clock)
    yield loop
    loop.close()


@pytest.fixture
def pipes() -> Iterator[list[tuple[int, int]]]:
    made = [os.pipe() for _ in range(3)]
    yield made
    for ends in made:
        for fd in ends:
            with suppress(OSError):
                os.close(fd)


def test_output_before_deaths_before_commands_before_timers(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    served: list[str] = []
    ranks = [("command", Rank.COMMAND), ("output", Rank.OUTPUT), ("death", Rank.DEATH)]
    for (name, rank), (ours, theirs) in zip(ranks, pipes, strict=True):
        loop.watch(ours, lambda name=name: served.append(name), rank)  # type: ignore[misc]
        os.write(theirs, b"x")
    loop.call_at(loop.now, lambda: served.append("timer"))
    loop.turn()
    assert served == ["output", "death", "command", "timer"]


def test_output_that_found_no_time_keeps_nobody_waiting_and_is_first_in_the_next_turn(
    loop: Loop, clock: Clock, pipes: list[tuple[int, int]]
) -> None:
    served: list[str] = []

    def flood(name: str) -> None:
        served.append(name)
        clock.now += 2 * OUTPUT_S

    for name, (ours, theirs) in zip("abc", pipes, strict=True):
        rank = Rank.COMMAND if name == "c" else Rank.OUTPUT
        loop.watch(ours, lambda name=name: flood(name), rank)  # type: ignore[misc]
        os.write(theirs, b"x")
    loop.turn(0)
    assert served[1] == "c"
    loop.turn(0)
    assert served[0] != served[2], "each has had its turn"
    assert sorted(served[:1] + served[2:3]) == ["a", "b"]
    assert served[3] == "c"


def test_output_now_and_then_goes_before_floods(loop: Loop, clock: Clock, pipes: list[tuple[int, int]]) -> None:
    served: list[str] = []

    def transfer(name: str, ours: int) -> None:
        served.append(name)
        if name == "quiet":
            os.read(ours, 1)
        clock.now += OUTPUT_S * 0.6

    for name, (ours, _) in zip(("one", "two", "quiet"), pipes, strict=True):
        loop.watch(ours, lambda name=name, ours=ours: transfer(name, ours), Rank.OUTPUT)  # type: ignore[misc]
    os.write(pipes[2][1], b"x")
    loop.turn(0)
    os.write(pipes[0][1], b"x")
    os.write(pipes[1][1], b"x")
    for _ in range(4):
        loop.turn(0)
    served.clear()
    os.write(pipes[2][1], b"x")
    loop.turn(0)
    assert served[0] == "quiet"
    loop.turn(0)
    assert {"one", "two"} <= set(served), "none of the floods waits for ever"


def test_output_of_who_is_new_does_not_go_before_what_waits(
    loop: Loop, clock: Clock, pipes: list[tuple[int, int]]
) -> None:
    """Else processes that begin and end all the time would keep a flood from being served at all."""
    served: list[str] = []
    (flood, flooding), (new, writing), _ = pipes

    def transfer(name: str) -> None:
        served.append(name)
        clock.now += 2 * OUTPUT_S
        if name == "new":
            loop.watch(new, lambda: transfer("new"), Rank.OUTPUT)

    loop.watch(flood, lambda: transfer("flood"), Rank.OUTPUT)
    loop.watch(new, lambda: transfer("new"), Rank.OUTPUT)
    os.write(flooding, b"x")
    os.write(writing, b"x")
    for _ in range(10):
        loop.turn(0)
    assert served.count("flood") == served.count("new") == 5


def test_the_more_output_is_found_the_longer_it_is_served(loop: Loop, clock: Clock) -> None:
    """To find and order it takes as long: turns that did no more would grow with the square of the number."""
    served: list[int] = []
    ends = [os.pipe() for _ in range(100)]

    def flood(fd: int) -> None:
        served.append(fd)
        clock.now += 0.99 * output_s(100) / 2

    for ours, theirs in ends:
        loop.watch(ours, lambda ours=ours: flood(ours), Rank.OUTPUT)  # type: ignore[misc]
        os.write(theirs, b"x")
    loop.turn(0)
    assert len(served) == 3
    for each in ends:
        loop.unwatch(each[0])
        os.close(each[0])
        os.close(each[1])


def test_what_happened_before_a_deadline_is_served_before_it_though_the_wait_was_over(
    pipes: list[tuple[int, int]],
) -> None:
    """As in a daemon that was stopped itself, and wakes up when its wait is long over."""
    served: list[str] = []
    (ours, theirs), *_ = pipes
    samples = iter([100.0, 100.0])

    def clock() -> float:
        """After the wait the time is over, and something has happened meanwhile."""
        if (now := next(samples, None)) is None:
            os.write(theirs, b"x")
            return 200.0
        return now

    loop = Loop(lambda error: None, clock)
    loop.watch(ours, lambda: (served.append("death"), loop.unwatch(ours))[1], Rank.DEATH)
    loop.call_at(Instant(100.01), lambda: served.append("timer"))
    loop.turn()
    assert served == ["death", "timer"]
    loop.close()


def test_what_was_unwatched_in_this_turn_is_not_served(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    served: list[str] = []
    (first, write_first), (second, write_second), _ = pipes

    def replace() -> None:
        served.append("first")
        loop.unwatch(second)
        os.close(second)
        os.dup2(first, second)
        loop.watch(second, lambda: served.append("a new life of the number"))

    loop.watch(first, replace, Rank.OUTPUT)
    loop.watch(second, lambda: served.append("second"), Rank.COMMAND)
    os.write(write_first, b"x")
    os.write(write_second, b"x")
    loop.turn()
    assert served == ["first"]


def test_now_is_sampled_once_a_turn(loop: Loop, clock: Clock) -> None:
    seen: list[float] = []

    def look() -> None:
        seen.append(loop.now)
        clock.now += 0.0078125

    loop.call_at(Instant(100), look)
    loop.call_at(Instant(100), look)
    loop.turn()
    assert seen == [100, 100]
    assert loop.sample() == 100.015625


# ---- output that trickles


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def trickle(clock: Clock, errors: list[BaseException], naps: list[float]) -> Iterator[Loop]:
    """A loop whose naps are noted and take no time."""
    loop = Loop(errors.append, clock, naps.append)
    yield loop
    loop.close()


def serve(loop: Loop, turns: int) -> None:
    for _ in range(turns):
        loop.turn()


def output(loop: Loop, ends: tuple[int, int], data: bytes = b"x") -> None:
    """It can be read in every turn, since nobody does."""
    os.write(ends[1], data)
    loop.watch(ends[0], lambda: None, Rank.OUTPUT)


def test_where_output_trickles_the_loop_takes_naps(
    trickle: Loop, naps: list[float], pipes: list[tuple[int, int]]
) -> None:
    output(trickle, pipes[0])
    serve(trickle, TRICKLE_TURNS)
    assert naps == []
    serve(trickle, 3)
    assert naps == [NAP_S] * 3


def test_much_output_does_not_wait(trickle: Loop, naps: list[float], pipes: list[tuple[int, int]]) -> None:
    output(trickle, pipes[0], b"x" * TRICKLE_BYTES)
    serve(trickle, TRICKLE_TURNS + 3)
    assert naps == []


def test_a_command_among_the_output_does_not_wait(
    trickle: Loop, naps: list[float], pipes: list[tuple[int, int]]
) -> None:
    output(trickle, pipes[0])
    serve(trickle, TRICKLE_TURNS)
    os.write(pipes[1][1], b"x")
    trickle.watch(pipes[1][0], lambda: trickle.unwatch(pipes[1][0]))
    serve(trickle, 1 + TRICKLE_TURNS)
    assert naps == []
    serve(trickle, 1)
    assert naps == [NAP_S]


def test_output_now_and_then_does_not_wait(
    trickle: Loop, clock: Clock, naps: list[float], pipes: list[tuple[int, int]]
) -> None:
    output(trickle, pipes[0])
    for _ in range(3 * TRICKLE_TURNS):
        clock.now += 0.0078125
        trickle.turn()
    assert naps == []


def test_output_of_many_does_not_wait(trickle: Loop, naps: list[float]) -> None:
    made = [os.pipe() for _ in range(FEW + 1)]
    for ends in made:
        output(trickle, ends)
    serve(trickle, TRICKLE_TURNS + 3)
    assert naps == []
    trickle.unwatch(made[0][0])
    serve(trickle, TRICKLE_TURNS + 1)
    assert naps == [NAP_S]
    for ends in made:
        for fd in ends:
            os.close(fd)


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll")
def test_output_whose_amount_cannot_be_told_does_not_wait(trickle: Loop, naps: list[float]) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    poll = select.epoll()
    theirs.send(b"x")
    poll.register(ours.fileno(), select.EPOLLIN)
    trickle.watch(poll.fileno(), lambda: None, Rank.OUTPUT)
    serve(trickle, TRICKLE_TURNS + 3)
    assert naps == []
    poll.close()
    ours.close()
    theirs.close()


# ---- timers


def test_due_timers_are_taken_for_a_slice_and_then_in_the_next_turn(loop: Loop, clock: Clock) -> None:
    served: list[int] = []

    def work(n: int) -> None:
        served.append(n)
        clock.now += 0.006

    for n in range(3):
        loop.call_at(Instant(100), lambda n=n: work(n))  # type: ignore[misc]
    loop.turn()
    assert served == [0, 1]
    loop.turn()
    assert served == [0, 1, 2]


def test_what_goes_first_keeps_deadlines_waiting_and_nothing_else(loop: Loop) -> None:
    served: list[str] = []

    def look() -> None:
        served.append("look")
        if served.count("look") < 3:
            loop.first(look)

    loop.call_at(Instant(99), lambda: served.append("deadline"))
    loop.first(look)
    for _ in range(3):
        loop.soon(lambda: served.append("soon"))
        loop.turn()
    assert served == ["look", "soon", "look", "soon", "look", "deadline", "soon"]


def test_what_goes_first_leaves_the_rest_its_slice(loop: Loop, clock: Clock) -> None:
    served: list[str] = []

    def look() -> None:
        clock.now += 1.0

    loop.first(look)
    for n in range(2):
        loop.soon(lambda n=n: served.append(f"soon {n}"))  # type: ignore[misc]
    loop.turn()
    assert served == ["soon 0", "soon 1"]


def test_what_is_put_off_while_such_is_done_comes_in_the_next_turn(loop: Loop) -> None:
    served: list[str] = []
    loop.soon(lambda: (served.append("one"), loop.soon(lambda: served.append("two")))[0])
    loop.turn()
    assert served == ["one"]
    loop.turn()
    assert served == ["one", "two"]


def test_so_long_after_the_beginning_of_the_turn(loop: Loop, clock: Clock) -> None:
    served: list[str] = []
    loop.call_in(0.5, lambda: served.append("due"))
    loop.turn(max_wait_s=0)
    assert served == []
    clock.now += 0.5
    loop.turn()
    assert served == ["due"]


def test_a_cancelled_timer_is_not_served_and_the_wait_is_bounded(loop: Loop) -> None:
    loop.cancel(loop.call_at(Instant(0), lambda: pytest.fail("cancelled")))
    loop.turn(max_wait_s=0)


def test_a_timer_ends_the_wait(loop: Loop, clock: Clock) -> None:
    served: list[str] = []
    loop.call_at(Instant(100.02), lambda: served.append("due"))
    loop.turn()
    assert served == []
    clock.now = 100.02
    loop.turn()
    assert served == ["due"]


def test_a_regular_file_is_always_ready(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    served: list[str] = []
    with path.open() as file:
        loop.watch(file.fileno(), lambda: served.append("ready"))
        loop.turn()
        loop.turn()
        loop.unwatch(file.fileno())
        loop.turn(max_wait_s=0)
    assert served == ["ready", "ready"]


def test_writable_is_watched_too(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    served: list[str] = []
    loop.watch(pipes[0][1], lambda: served.append("room"), write=True)
    loop.turn()
    assert served == ["room"]


def test_one_watch_for_reading_and_writing(loop: Loop) -> None:
    served: list[str] = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        filled = 0
        with suppress(BlockingIOError):
            while True:
                filled += ours.send(bytes(65536))
        loop.watch(ours.fileno(), lambda: served.append("either"), both=True)
        loop.turn(max_wait_s=0)
        assert served == []
        theirs.send(b"x")
        loop.turn()
        assert served == ["either"]
        ours.recv(1)
        loop.turn(max_wait_s=0)
        assert served == ["either"]
        while filled:
            filled -= len(theirs.recv(filled))
        loop.turn()
        assert served == ["either", "either"]
        loop.unwatch(ours.fileno())


def test_a_callback_that_fails_is_told_and_harms_nobody(
    loop: Loop, errors: list[BaseException], pipes: list[tuple[int, int]]
) -> None:
    served: list[str] = []

    def fail() -> None:
        raise RuntimeError("bug")

    loop.watch(pipes[0][0], fail, Rank.OUTPUT)
    loop.watch(pipes[1][0], lambda: served.append("other"))
    for _, theirs in pipes:
        os.write(theirs, b"x")
    loop.turn()
    assert [str(error) for error in errors] == ["bug"]
    assert served == ["other"]


def test_run_goes_on_until_stop(loop: Loop) -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(len(turns))
        if len(turns) == 3:
            loop.stop()
        else:
            loop.call_at(loop.now, turn)

    loop.call_at(loop.now, turn)
    loop.run()
    assert turns == [0, 1, 2]


def test_unwatching_what_is_not_watched_is_nothing(loop: Loop) -> None:
    loop.unwatch(999)
