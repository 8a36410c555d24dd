"""The JSON Schema of a configuration, for editors; `python -m tm.core.schema` prints it.

Guarantees: it is made from the tables that the parser reads, so that every key, spelling and word in it is one that is
accepted; what it accepts may still be refused by the parser, which knows more (whether a user exists, say).
Leaves to others: validating anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tm.core import setting_keys, task_keys
from tm.core.field import FREE_PREFIX, Field
from tm.core.loading import NAME, TOP_KEYS

_FREE: dict[str, Any] = {f"^{FREE_PREFIX}": {}}
_NULL = {"type": "null"}


def schema() -> dict[str, Any]:
    """The whole schema, as plain data."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "taskmaster",
        "description": "The configuration of taskmaster.",
        "type": "object",
        "properties": {spelling: _TOP[key] for spelling, key in TOP_KEYS.items()},
        "patternProperties": _FREE,
        "additionalProperties": False,
        "definitions": {
            "task": _mapping("A task.", task_keys.FIELDS),
            "taskmaster": _mapping("The daemon itself.", setting_keys.FIELDS),
        },
    }


_TOP: dict[str, Any] = {
    "tasks": {
        "description": "The programs to keep, by name.",
        "type": ["object", "null"],
        "patternProperties": {f"^{NAME}$": {"$ref": "#/definitions/task"}, **_FREE},
        "additionalProperties": False,
    },
    "defaults": {"description": "Values for all tasks.", "anyOf": [{"$ref": "#/definitions/task"}, _NULL]},
    "include": {
        "description": "Further files: paths or globs, relative to this file.",
        "anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}}],
    },
    "taskmaster": {"anyOf": [{"$ref": "#/definitions/taskmaster"}, _NULL]},
}


def _mapping(description: str, fields: Iterable[Field]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": {spelling: _key(each, spelling) for each in fields for spelling in each.spellings},
        "patternProperties": _FREE,
        "additionalProperties": False,
    }


def _key(each: Field, spelling: str) -> dict[str, Any]:
    """One spelling of a key. What is empty counts as not given."""
    doc = each.doc if spelling == each.key else f"Another spelling of {each.key}. {each.doc}"
    key: dict[str, Any] = {"description": doc, "anyOf": [dict(each.convert.schema), _NULL]}
    if each.default:
        key["default"] = each.default_value
    return key


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
