"""A list whose JSON is at hand: whoever sends it need not make it again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, overload


class Written(Sequence[Any]):
    """`text` is its JSON, in ASCII; as values it is made from that when somebody reads them."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _values(self) -> list[Any]:
        values: list[Any] = json.loads(self.text)
        return values

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._values[index]
