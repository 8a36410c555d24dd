"""Lines that are made when somebody reads them: the data of the same answer costs nothing of it.

Guarantees: they are made once at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import overload


class WhenRead(Sequence[str]):
    """`make` makes them."""

    def __init__(self, make: Callable[[], Iterator[str]]) -> None:
        self._make = make

    @cached_property
    def _lines(self) -> list[str]:
        return list(self._make())

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._lines[index]
