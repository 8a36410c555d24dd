"""How the hooks of a task are written: a mapping of moments to commands, each perhaps with a timeout.

Guarantees: as for any key, every part that does not fit is told at its place; an empty hook counts as not given, and
keys that begin with `x-` are free.
Leaves to others: what hooks are (`core.task`, `core.hook`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from tm.core import command_line
from tm.core.blocks import command
from tm.core.context import Context
from tm.core.errors import did_you_mean, quoted
from tm.core.field import FREE_PREFIX, Kind
from tm.core.hook import Moment
from tm.core.kinds import COMMAND, DURATION
from tm.core.nodes import Entry, Mapping, Node, Rejected, Scalar, gather, kind_of
from tm.core.task import HOOK_TIMEOUT_S, Hook
from tm.core.values import some_time

_MOMENTS: Final = tuple(each.value for each in Moment)
_KEYS: Final = ("command", "timeout")


def hooks(node: Node, context: Context) -> tuple[tuple[str, Hook], ...]:
    """The hooks, by the words of their moments, in the order of those."""
    found = dict(gather(lambda entry: _hook(entry, context), entries(node, _MOMENTS, "hook")))
    return tuple((moment, found[moment]) for moment in _MOMENTS if moment in found)


def entries(node: Node, known: Collection[str], what: str) -> list[Entry]:
    """The entries of a mapping that has these keys only. Raises Rejected, AllRejected."""
    if not isinstance(node, Mapping):
        raise Rejected(node, "wrong-shape", f"this is {kind_of(node)}, not a mapping")
    given = [each for each in node.entries if not each.key.text.startswith(FREE_PREFIX)]
    gather(lambda each: _known(each.key, known, what), given)
    return [each for each in given if not (isinstance(each.value, Scalar) and each.value.is_null)]


def _known(key: Scalar, known: Collection[str], what: str) -> None:
    if key.text not in known:
        why = f"there is no {what} {quoted(key.text)}"
        raise Rejected(key, "unknown-key", why, "one of " + " ".join(known), did_you_mean(key.text, known))


def _hook(entry: Entry, context: Context) -> tuple[str, Hook]:
    moment, node = entry.key.text, entry.value
    if not isinstance(node, Mapping):
        return moment, _settled(node, HOOK_TIMEOUT_S, context)
    given = {each.key.text: each.value for each in entries(node, _KEYS, "key of a hook")}
    if "command" not in given:
        raise Rejected(entry.key, "no-command", f"the hook {quoted(moment)} has no command", "'command:' below it")
    timeout_s = some_time(given["timeout"], context) if "timeout" in given else HOOK_TIMEOUT_S
    return moment, _settled(given["command"], timeout_s, context)


def _settled(node: Node, timeout_s: float, context: Context) -> Hook:
    if isinstance(node, Mapping):
        raise Rejected(node, "wrong-shape", "this is a mapping, not a command", COMMAND.expected)
    written = command(node, context)
    try:
        return Hook(written, command_line.argv(written, None, context.here), timeout_s)
    except command_line.BadCommand as error:
        raise Rejected(node, "bad-command", error.why, COMMAND.expected) from None


_ONE: Final[dict[str, Any]] = {
    "anyOf": [
        *COMMAND.schema["anyOf"],
        {
            "type": "object",
            "properties": {"command": COMMAND.schema, "timeout": DURATION.schema},
            "patternProperties": {f"^{FREE_PREFIX}": {}},
            "additionalProperties": False,
            "required": ["command"],
        },
        {"type": "null"},
    ]
}

HOOKS: Final = Kind(
    hooks,
    "a mapping of preStart, postStart, preStop, postStop, onFatal, onReady to commands, "
    "each as text, as a list of words, or as a mapping of 'command' and 'timeout'",
    {
        "type": "object",
        "properties": dict.fromkeys(_MOMENTS, _ONE),
        "patternProperties": {f"^{FREE_PREFIX}": {}},
        "additionalProperties": False,
    },
)
