"""The numbers that outlive a process: what the next one finds, and the one after that."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tm.edge.slots import Slots


def note(path: Path, **numbers: int) -> None:
    """A process that notes these, by the names of single letters, and is no more."""
    with closing(Slots(str(path))) as slots:
        for name, number in numbers.items():
            slot = slots.take(ord(name))
            assert slot is not None
            slots.note(slot, number)


def left(path: Path) -> dict[str, int]:
    """What the next one finds, which notes nothing."""
    with closing(Slots(str(path))) as slots:
        return {chr(key): number for key, number in slots.left.items()}


def test_what_was_noted_is_found(tmp_path: Path) -> None:
    note(tmp_path / "turns", a=1, b=2)
    assert left(tmp_path / "turns") == {"a": 1, "b": 2}


def test_who_notes_nothing_leaves_what_it_found(tmp_path: Path) -> None:
    note(tmp_path / "turns", a=1, b=2)
    left(tmp_path / "turns")
    with closing(Slots(str(tmp_path / "turns"))) as slots:
        slots.take(ord("a"))
    assert left(tmp_path / "turns") == {"a": 1, "b": 2}
    note(tmp_path / "turns", a=3, c=4)
    assert left(tmp_path / "turns") == {"a": 3, "b": 2, "c": 4}


def test_nobody_takes_the_place_of_what_was_found_as_long_as_there_is_another(tmp_path: Path) -> None:
    note(tmp_path / "turns", a=1)
    with closing(Slots(str(tmp_path / "turns"))) as slots:
        others = [slots.take(key) for key in range(1000, 1000 + 4095)]
        assert None not in others
        assert slots.take(ord("a")) not in others
        assert slots.take(1) is None


def test_what_nobody_asks_for_makes_room(tmp_path: Path) -> None:
    note(tmp_path / "turns", a=1)
    with closing(Slots(str(tmp_path / "turns"))) as slots:
        assert None not in [slots.take(key) for key in range(1000, 1000 + 4096)]


def test_a_file_of_another_size_is_as_one_that_is_empty(tmp_path: Path) -> None:
    (tmp_path / "turns").write_bytes(b"\1" * 48)
    assert left(tmp_path / "turns") == {}
    assert left(tmp_path / "turns") == {}
