"""What several of these tests need."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.place import Place
from tm.edge.pipes import Pipe, pipe


@pytest.fixture
def place() -> Iterator[Place]:
    ours, theirs = pipe()
    assert Pipe(ours).peek() is None  # what is looked through is opened once for all
    os.close(ours)
    os.close(theirs)
    before = set(os.listdir("/proc/self/fd"))
    place = Place()
    yield place
    for writer in place.writers:
        writer.kill()
        writer.wait()
    for key in {*place.outputs._current, *place.outputs._held}:
        place.outputs.process_ended(key)
        place.outputs.forget(key)
    place.outputs.close()
    place.loop.close()
    assert set(os.listdir("/proc/self/fd")) <= before, "a descriptor was leaked"
