"""A list whose JSON is at hand: whoever sends it need not make it again."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from tm.core.when_read import WhenRead


class Written(WhenRead[Any]):
    """`text` is its JSON, in ASCII; as values it is made from that when somebody reads them."""

    def __init__(self, text: str) -> None:
        super().__init__(partial(json.loads, text))
        self.text = text
