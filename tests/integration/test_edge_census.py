"""A look at the processes of the machine in steps, and what a tree of them weighs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tm.edge.census import Census, Seen, trees

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

SEEN = {
    1: Seen(0, 1, 1),
    10: Seen(1, 10, 10),
    11: Seen(10, 10, 100),
    12: Seen(1, 10, 1000),
    13: Seen(12, 13, 10_000),
    14: Seen(1, 14, 100_000),
    20: Seen(1, 20, 1_000_000),
}
"""10 leads a session with a child (11) and an orphan (12), whose child (13) has a session of its own; 14 left both."""


@pytest.mark.parametrize(
    ("roots", "weights"),
    [
        ({10: ()}, {10: 11_110}),
        ({10: (14,)}, {10: 111_110}),
        ({10: (), 20: ()}, {10: 11_110, 20: 1_000_000}),
        ({99: ()}, {99: 0}),
        ({99: (98, 11)}, {99: 100}),
        ({}, {}),
    ],
)
def test_a_tree_is_a_session_and_whoever_descends_from_it(
    roots: dict[int, tuple[int, ...]], weights: dict[int, int]
) -> None:
    assert trees(SEEN, roots) == weights


def test_a_circle_of_parents_as_numbers_that_are_used_again_can_make_it_has_an_end() -> None:
    assert trees({5: Seen(6, 5, 1), 6: Seen(5, 5, 2)}, {5: ()}) == {5: 3}


@pytest.fixture
def many() -> Iterator[set[int]]:
    """More processes than a step takes."""
    started = [subprocess.Popen(["sleep", "1000"], start_new_session=True) for _ in range(80)]
    yield {each.pid for each in started}
    for each in started:
        each.kill()
        each.wait()


def test_everybody_is_seen_in_steps(many: set[int]) -> None:
    census, steps = Census(), 1
    while census.step():
        steps += 1
        assert len(census.seen) <= 64 * steps
    assert steps > 1
    assert many <= set(census.seen)
    mine = census.seen[os.getpid()]
    assert mine.parent == os.getppid()
    assert mine.session == os.getsid(0)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert 0.5 * now < mine.rss_bytes < 2 * now


def test_who_is_gone_when_it_is_his_turn_is_left_out(many: set[int]) -> None:
    census = Census()
    gone = max(many)
    os.kill(gone, 9)
    os.waitid(os.P_PID, gone, os.WEXITED | os.WNOWAIT)
    os.waitpid(gone, 0)
    while census.step():
        pass
    assert gone not in census.seen
