"""Waiting for a condition: with a deadline, and never for a fixed time."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_LOOK_EVERY_S = 0.01


def until(condition: Callable[[], T], what: str, timeout_s: float = 60) -> T:
    """Look until `condition` gives something true, and return it; AssertionError naming `what` when it never does."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        select.select([], [], [], _LOOK_EVERY_S)
    return value
