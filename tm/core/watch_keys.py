"""How `watch` is written: globs alone, or a mapping of `paths`, `debounce` and `signal`.

Guarantees: globs are absolute from here on, and the same for all instances of a task.
Leaves to others: what matches (`core.globs`), and what follows from a change (`daemon.watching`).
"""

from __future__ import annotations

from typing import Any, Final

from tm.core.blocks import items, path
from tm.core.context import Context
from tm.core.field import FREE_PREFIX, Kind
from tm.core.hook_keys import entries
from tm.core.kinds import DURATION, SIGNAL
from tm.core.nodes import Mapping, Node, Rejected, gather
from tm.core.task import DEBOUNCE_S, Watch
from tm.core.template import Slot, Template
from tm.core.values import a_signal, duration

_KEYS: Final = ("paths", "debounce", "signal")


def watch(node: Node, context: Context) -> Watch:
    """What is watched, and what for."""
    if not isinstance(node, Mapping):
        return Watch(_paths(node, context))
    given = {each.key.text: each.value for each in entries(node, _KEYS, "key of 'watch'")}
    if "paths" not in given:
        raise Rejected(node, "wrong-shape", "there is no 'paths' in it, and so nothing to watch")
    debounce_s = duration(given["debounce"], context) if "debounce" in given else DEBOUNCE_S
    signum = a_signal(given["signal"], context) if "signal" in given else None
    return Watch(_paths(given["paths"], context), debounce_s, signum)


def _paths(node: Node, context: Context) -> tuple[Template, ...]:
    def convert(item: Node) -> Template:
        written = path(item, context)
        if not {Slot.INSTANCE, Slot.N}.isdisjoint(written.parts):
            why = "all instances of a task watch the same; only '{task}' can stand in it"
            raise Rejected(item, "bad-path", why)
        return written

    found = tuple(gather(convert, items(node)))
    if not found:
        raise Rejected(node, "wrong-shape", "the list is empty: there is nothing to watch")
    return found


_TEXTS: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}

WATCH: Final = Kind(
    watch,
    "paths or globs: one, a list, or a mapping of 'paths', 'debounce' and 'signal'",
    {
        "anyOf": [
            *_TEXTS["anyOf"],
            {
                "type": "object",
                "properties": {"paths": _TEXTS, "debounce": DURATION.schema, "signal": SIGNAL.schema},
                "patternProperties": {f"^{FREE_PREFIX}": {}},
                "additionalProperties": False,
                "required": ["paths"],
            },
        ]
    },
)
