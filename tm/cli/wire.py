"""JSON for the client, by the interpreter's own C functions: the package `json` costs more than the whole rest.

Guarantees: `decode` takes what any JSON encoder writes on a line, and raises ValueError for anything else; what
`encode` gives is one line of ASCII.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def encode(value: object) -> str:
    """`value`, made of dicts, lists, text, whole numbers and None, as one line."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _quote(value)
        case dict():
            return "{" + ",".join(f"{_quote(str(key))}:{encode(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(encode, value)) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} is not sent")


def decode(line: bytes) -> dict[str, Any]:
    """The object on `line`. Raises ValueError."""
    text = line.decode(errors="replace").strip()
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("not JSON") from None
    if end != len(text) or not isinstance(value, dict):
        raise ValueError("not one object")
    return value


class _Reading:
    """How the scanner is to read: as `json.JSONDecoder()` does."""

    strict = False
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int
    parse_constant = float


def _functions() -> tuple[Callable[[str], str], Callable[[str, int], tuple[Any, int]]]:
    """Quoting a text, and scanning a value; from the package where the interpreter has no such C functions."""
    try:
        import _json
    except ImportError:
        import json

        return json.dumps, json.JSONDecoder().raw_decode
    make: Any = _json.make_scanner
    return _json.encode_basestring_ascii, make(_Reading)


_quote, _scan = _functions()
