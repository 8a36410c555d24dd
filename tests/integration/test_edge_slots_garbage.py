"""Whose turn it was at each log, in a file that outlives its daemon: what was noted, and what makes no sense."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.driver import ROOT
from tests.mounts import tmpfs
from tm.edge.slots import Slots

ROOM = 4096
PAIR = struct.Struct("=QQ")


def left(path: Path) -> dict[int, int]:
    """What the next one finds."""
    slots = Slots(str(path))
    slots.close()
    return slots.left


def test_a_killed_process_has_noted_what_it_had_noted(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from tm.edge.slots import Slots\n"
        "slots = Slots(sys.argv[1])\n"
        "slots.note(slots.take(7), 70)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path / "turns")], cwd=ROOT).returncode == -9
    assert left(tmp_path / "turns") == {7: 70}


def test_there_is_an_end_of_slots(tmp_path: Path) -> None:
    slots = Slots(str(tmp_path / "turns"))
    assert len({slots.take(1) for _ in range(ROOM)}) == ROOM
    assert slots.take(2) is None
    slots.give_back(5)
    assert slots.take(2) == 5
    slots.close()
    assert slots.take(3) is None


SOME = st.binary(max_size=64)
WHOLE = st.lists(st.tuples(st.integers(0, ROOM - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=9)


@given(SOME | WHOLE, st.sampled_from([0, -1, 1, 4096]))
@settings(max_examples=200)
def test_any_bytes_are_pairs_or_nothing(some: bytes | list[tuple[int, int, int]], more: int) -> None:
    """Only a file of its whole size counts; it has that size afterwards, and is empty."""
    if isinstance(some, bytes):
        content, pairs = some, {}
    else:
        whole = bytearray(ROOM * PAIR.size)
        for slot, key, number in some:
            PAIR.pack_into(whole, slot * PAIR.size, key, number)
        pairs = {key: number for key, number in PAIR.iter_unpack(whole) if key and number}
        content = bytes(whole[:more] if more < 0 else whole + bytes(more))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "turns")
        path.write_bytes(content)
        assert left(path) == ({} if more < 0 else pairs)


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path)]
)
def test_what_is_no_file_counts_as_none(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "turns"
    make(path)
    slots = Slots(str(path))
    assert (slots.left, slots.take(1)) == ({}, None)
    slots.note(0, 1)
    slots.give_back(0)
    slots.remove()
    slots.close()


def test_a_full_disk_takes_its_room_before_anything_is_noted(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=16k") as disk:
        slots = Slots(str(disk / "turns"))
        assert slots.take(1) is None
        slots.close()
