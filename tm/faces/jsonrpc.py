"""JSON-RPC 2.0, one object a line: bytes into requests, answers and errors into bytes. Pure.

Guarantees: `read` gives a Request, a Failure or None (a blank line) for any bytes and raises nothing: not for text that
is no UTF-8, nesting of any depth, numbers of any length, NaN, keys given twice, members that do not exist. What is
written is one line of ASCII that any JSON reader takes.
Leaves to others: which methods there are (`faces.methods`) and what they do (`faces.session`).

An `id` is text, a number or null, as it came; what else stands there is refused, since it would be sent back. A request
without one is a notification: it is carried out and never answered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from tm.core.written import Written

PARSE, REQUEST, METHOD, PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
BUSY, NOT_ALLOWED = -32000, -32001

Id: TypeAlias = "str | int | float | None"

_MEMBERS: Final = ("jsonrpc", "id", "method", "params")
_SHOWN: Final = 80


class Request(NamedTuple):
    """Something asked. `answered`: whether it has an id, and so hears what became of it."""

    method: str
    params: Mapping[str, Any]
    id: Id = None
    answered: bool = True


class Failure(NamedTuple):
    """Why there is no request, or no result. `answered`: whether that is told, as of a request."""

    code: int
    text: str
    hint: str = ""
    id: Id = None
    answered: bool = True


class _Unfit(ValueError):
    """JSON it may be, a request it is not; the text is the sender's."""


def read(line: bytes) -> Request | Failure | None:
    """What one line asks for."""
    if not line.strip():
        return None
    try:
        value = json.loads(
            line.decode("utf-8"), object_pairs_hook=_once, parse_float=_finite, parse_constant=_no_constant
        )
    except _Unfit as error:
        return Failure(REQUEST, str(error))
    except UnicodeDecodeError as error:
        return Failure(PARSE, f"byte {error.start + 1} of the line is no UTF-8")
    except RecursionError:
        return Failure(PARSE, "the line is nested too deeply")
    except json.JSONDecodeError as error:
        return Failure(PARSE, f"the line is no JSON: {error.msg} at character {error.colno}")
    except ValueError:
        return Failure(PARSE, "the line holds a number with too many digits")
    return _request(value)


def _request(value: object) -> Request | Failure:
    if isinstance(value, list):
        return Failure(REQUEST, "batches are not taken", "Send one object a line.")
    if not isinstance(value, dict):
        return Failure(REQUEST, "a request is an object", 'For example {"jsonrpc":"2.0","id":1,"method":"status"}')
    given = value.get("id")
    if isinstance(given, bool) or not isinstance(given, str | int | float | None):
        return Failure(REQUEST, "an id is text, a number or null")
    if value.get("jsonrpc") != "2.0":
        return Failure(REQUEST, 'a request says "jsonrpc":"2.0"', id=given)
    if unknown := [key for key in value if key not in _MEMBERS]:
        return Failure(
            REQUEST, f"a request has no member '{unknown[0][:_SHOWN]}'", f"It has {', '.join(_MEMBERS)}.", given
        )
    method, params = value.get("method"), value.get("params")
    if not isinstance(method, str):
        return Failure(REQUEST, "a request names its method, as text", id=given)
    if not isinstance(params, dict | None):
        return Failure(PARAMS, "params are an object of names and values", "", given, "id" in value)
    return Request(method, params or {}, given, "id" in value)


def result(asked: Id, value: object) -> bytes:
    """The answer to a request; of an object's members, what is written already goes as it is."""
    if not isinstance(value, dict):
        return _line({"jsonrpc": "2.0", "id": asked, "result": value})
    members = ",".join(f"{_text(name)}:{_text(each)}" for name, each in value.items())
    return f'{{"jsonrpc":"2.0","id":{_text(asked)},"result":{{{members}}}}}\n'.encode()


def error(failure: Failure) -> bytes:
    """The answer to what failed."""
    told: dict[str, object] = {"code": failure.code, "message": failure.text}
    if failure.hint:
        told["data"] = {"hint": failure.hint}
    return _line({"jsonrpc": "2.0", "id": failure.id, "error": told})


def notification(method: str, params: Mapping[str, object]) -> bytes:
    """Something told without being asked."""
    return _line({"jsonrpc": "2.0", "method": method, "params": params})


def _line(value: object) -> bytes:
    return f"{_text(value)}\n".encode()


def _text(value: object) -> str:
    if isinstance(value, Written):
        return value.text
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose keys are given once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Unfit(f"the key '{twice[:_SHOWN]}' is given twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Unfit(f"the number {text[:_SHOWN]} is too large")
    return number


def _no_constant(name: str) -> float:
    raise _Unfit(f"{name} is no JSON")
