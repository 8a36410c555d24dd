"""Configurations for tests: a world of a few files, and what loading them comes to."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

import pytest

from tm.core.config import Config
from tm.core.context import Context
from tm.core.document import read
from tm.core.errors import ConfigError, Missing, Problem, Unreadable
from tm.core.field import Kind
from tm.core.loading import load
from tm.core.nodes import AllRejected, Node, Rejected
from tm.core.source import Report
from tm.core.task import Task


class Files:
    """A machine that has these files, the users root and www, and the variable HOME."""

    def __init__(self, files: Mapping[str, str | Unreadable], environ: Mapping[str, str] | None = None) -> None:
        self.files = dict(files)
        self.environ = {"HOME": "/home/me", "EMPTY": ""} | dict(environ or {})
        self.cwd = "/start"

    def read(self, path: str) -> str:
        content = self.files.get(path, Missing())
        if isinstance(content, Unreadable):
            raise content
        return content

    def glob(self, pattern: str) -> list[str]:
        return sorted(path for path in self.files if fnmatch.fnmatchcase(path, pattern))

    def has_user(self, name: str) -> bool:
        return name in {"root", "www"}

    def has_group(self, name: str) -> bool:
        return name in {"wheel", "www"}

    def has_zone(self, name: str) -> bool:
        return name in ("UTC", "Europe/Berlin")


def config(text: str, **files: str | Unreadable) -> Config:
    """The configuration `web.yaml`; further files by name, `_` for `.`."""
    return load("web.yaml", Files({"web.yaml": text} | {name.replace("_", "."): each for name, each in files.items()}))


def task(text: str, name: str = "web") -> Task:
    """The task of a configuration of this text below `tasks: web:`, each line a key; there is one task `other` more."""
    lines = "\n".join(f"    {line}" for line in text.splitlines())
    return config(f"tasks:\n  {name}:\n{lines}\n  other: {{command: run}}\n").tasks[name]


def problems(text: str, **files: str | Unreadable) -> tuple[Problem, ...]:
    """The problems of a configuration that has some."""
    with pytest.raises(ConfigError) as caught:
        config(text, **files)
    return caught.value.problems


def found(text: str, **files: str | Unreadable) -> list[tuple[str, str]]:
    """The problems as (place, id)."""
    return [(str(each.place), each.id) for each in problems(text, **files)]


def node(text: str) -> Node:
    """The node of a value."""
    root = read("value", f"value: {text}", Report())
    assert root is not None
    return root.entries[0].value


def convert(kind: Kind, text: str) -> object:
    """What a kind makes of a value."""
    return kind(node(text), Context(Files({}), "/etc/tm"))


def rejected(kind: Kind, text: str) -> Rejected:
    """Why a kind refuses a value, for one reason."""
    with pytest.raises(AllRejected) as caught:
        convert(kind, text)
    (one,) = caught.value.rejections
    return one
