"""The JSON Schema says what the parser's tables say, and the file in etc/ is what is printed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tm.core.field import Field
from tm.core.loading import TOP_KEYS
from tm.core.schema import schema
from tm.core.setting_keys import FIELDS as SETTING_FIELDS
from tm.core.task_keys import FIELDS

ETC = Path(__file__).resolve().parents[2] / "etc"


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema()["definitions"][name]["properties"]
    return found


def test_the_printed_file_is_up_to_date() -> None:
    assert json.loads((ETC / "taskmaster.schema.json").read_text(encoding="utf-8")) == schema()


@pytest.mark.parametrize(("name", "fields"), [("task", FIELDS), ("taskmaster", SETTING_FIELDS)])
def test_every_spelling_of_every_key_and_no_other_is_known(name: str, fields: tuple[Field, ...]) -> None:
    assert list(properties(name)) == [spelling for each in fields for spelling in each.spellings]
    assert schema()["definitions"][name]["additionalProperties"] is False


def test_the_top_of_the_file_has_the_keys_that_the_parser_knows() -> None:
    assert list(schema()["properties"]) == list(TOP_KEYS)
    assert schema()["additionalProperties"] is False


def test_x_keys_are_free_at_every_level() -> None:
    whole = schema()
    tasks = whole["properties"]["tasks"]
    for level in (whole, tasks, *whole["definitions"].values()):
        assert level["patternProperties"]["^x-"] == {}


def test_a_key_has_its_text_its_default_and_may_be_empty() -> None:
    instances = properties("task")["instances"]
    assert instances["default"] == 1
    assert instances["description"].startswith("How many")
    assert {"type": "null"} in instances["anyOf"]
    assert "default" not in properties("task")["command"]
    assert properties("task")["numprocs"]["description"].startswith("Another spelling of instances.")


def test_defaults_are_plain_data_of_the_type_that_is_meant() -> None:
    defaults = {key: each["default"] for key, each in properties("task").items() if "default" in each}
    assert defaults["umask"] == "022"
    assert defaults["autoLaunch"] is False
    assert defaults["expectedExitCodes"] == [0]
    assert defaults["environment"] == {}


def test_words_are_listed() -> None:
    assert properties("task")["restart"]["anyOf"][0]["enum"] == [
        "always",
        "on-failure",
        "never",
        "unexpected",
        True,
        False,
    ]


def test_every_reference_leads_somewhere() -> None:
    wanted = set(re.findall(r'"\$ref": "#/definitions/(\w+)"', json.dumps(schema())))
    assert wanted == set(schema()["definitions"])
