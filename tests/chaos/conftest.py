"""What holds for the faults holds here."""

from __future__ import annotations

from tests.fault.conftest import nobody_is_left_behind

__all__ = ["nobody_is_left_behind"]
