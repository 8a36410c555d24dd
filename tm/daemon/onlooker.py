"""Somebody who looks on at a terminal, as those who show it to him see him. A shape only."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Onlooker(NamedTuple):
    """`show`: takes what the terminal shows; `ended`: takes a sentence, the last that he hears."""

    show: Callable[[bytes], None]
    ended: Callable[[str], None]
