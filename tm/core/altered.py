"""A copy of a frozen row with other values, at half the price of `dataclasses.replace`.

Guarantees: equal to what `replace` gives, for dataclasses with slots that compute nothing when they are made; a name
that is no field raises TypeError, as it does there.

A row is copied at every step of its process. What `replace` takes is its own loop over the fields
and a call with all of them by name; here each slot is written once, without the guard that freezes a row, which nobody
has seen yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Slots(NamedTuple):
    """Of one class: what reads all of its fields at once, and what writes each, in their order."""

    read: Callable[[object], tuple[Any, ...]]
    write: Mapping[str, Callable[[object, Any], None]]


def altered(row: T, **changes: Any) -> T:
    """The same but for these fields."""
    cls: Any = type(row)
    read, write = _slots(cls)
    copy: T = object.__new__(cls)
    for put, value in zip(write.values(), read(row), strict=True):
        put(copy, value)
    for name, value in changes.items():
        if name not in write:
            raise TypeError(f"{cls.__name__} has no field '{name}'")
        write[name](copy, value)
    return copy


@cache
def _slots(cls: type) -> _Slots:
    names = [field.name for field in fields(cls)]
    return _Slots(attrgetter(*names), {name: getattr(cls, name).__set__ for name in names})
