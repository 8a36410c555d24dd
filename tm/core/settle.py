"""What a task was given, on top of what it was not, into a `Task`.

Guarantees: a key that is not given takes the value of `defaults:`, else its own default; variables come from the env
files first, then from `environment` of `defaults:`, then from the task's own; a value that is wrong for several tasks
is told once, at its place.
Leaves to others: reading keys (`core.field`), and what holds between tasks (`core.checks`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tm.core import command_line, env_file
from tm.core.context import Context, World, absolute
from tm.core.errors import Missing, Place, Problem, Unreadable, quoted
from tm.core.field import Block, Given, refuse
from tm.core.job_rules import settle_job
from tm.core.nodes import Rejected, Scalar
from tm.core.probe_fit import misfits
from tm.core.source import Report, Source
from tm.core.task import MERGED, Task
from tm.core.task_keys import KEYS
from tm.core.template import Template

_MAY_BE_MISSING = "?"


def over(lower: Block, upper: Block) -> Block:
    """What holds where two blocks were given: the upper one, and variable by variable in `environment`."""
    given = {**lower.given, **upper.given}
    if "environment" in lower.given and "environment" in upper.given:
        both = {**dict(lower.given["environment"].value), **dict(upper.given["environment"].value)}
        given["environment"] = replace(upper.given["environment"], value=tuple(both.items()))
    return Block(given, lower.refused | upper.refused)


def directory_of(path: str, world: World) -> str:
    """The absolute directory of a file: what `{here}` means in it."""
    return absolute(posixpath.dirname(path), world.cwd)


class Settler:
    """Makes the tasks of one reading. Env files are read once each."""

    def __init__(self, world: World, report: Report) -> None:
        self._world = world
        self._report = report
        self._builtin = KEYS.defaults(Context(world, world.cwd))
        self._env_files: dict[str, env_file.Variables] = {}

    def task(self, name: Scalar, block: Block) -> Task | None:
        """The task; None, with a problem told, when there is no command."""
        argv = self._argv(name, block)
        if argv is None:
            return None
        values = dict(self._builtin)
        for each in KEYS.fields:
            if each.key in block.given:
                values[each.attribute] = block.given[each.key].value
        self._settle_delays(values, block)
        settle_job(values, block, f"task {quoted(name.text)}", self._refuse)
        self._settle_terminal(values, block)
        values["env_file"] = tuple(path.fill(name.text, "", "") for path in values["env_file"])
        values["environment"] = self._environment(name.text, block, values)
        places = {key: given.place for key, given in block.given.items()}
        task = Task(name=name.text, argv=argv, places=places, **values)
        for misfit in misfits(task):
            given = block.given[misfit.key]
            rejected = Rejected(given.node, misfit.id, misfit.why, "", misfit.hint)
            refuse(rejected, misfit.key, given.owner, self._report)
        return task

    def _argv(self, name: Scalar, block: Block) -> tuple[Template, ...] | None:
        given = block.given.get("command")
        if given is None:
            if "command" not in block.refused:
                message = f"task {quoted(name.text)} has no command"
                self._report.refuse("no-command", name, message, "'command:' below it")
            return None
        shell = block.given["shell"].value if "shell" in block.given else None
        try:
            return command_line.argv(given.value, shell, directory_of(given.place.path, self._world))
        except command_line.BadCommand as error:
            self._refuse(given, "bad-command", error.why)
            return None

    def _settle_delays(self, values: dict[str, Any], block: Block) -> None:
        if values["restart_delay_s"] <= values["restart_delay_max_s"]:
            return
        if "restartDelayMax" in block.given:
            self._refuse(block.given["restartDelayMax"], "out-of-range", "it is shorter than 'restartDelay'")
        values["restart_delay_max_s"] = values["restart_delay_s"]

    def _settle_terminal(self, values: dict[str, Any], block: Block) -> None:
        """A terminal has one output."""
        if not values["tty"] or values["stderr"] == MERGED:
            return
        if values["stderr"] is not None:
            self._refuse(block.given["stderr"], "tty-stderr", "a task with 'tty' has one output", "leave it out")
        values["stderr"] = MERGED

    def _environment(self, task: str, block: Block, values: Mapping[str, Any]) -> tuple[tuple[str, Template], ...]:
        variables: dict[str, Template] = {}
        if "envFile" in block.given:
            for template in block.given["envFile"].value:
                pairs = self._read(template.fill(task, "", ""), block.given["envFile"])
                variables.update((key, Template.of((value,))) for key, value in pairs)
        variables.update(values["environment"])
        return tuple(sorted(variables.items(), key=lambda pair: pair[0]))

    def _read(self, path: str, given: Given) -> tuple[tuple[str, str], ...]:
        if path not in self._env_files:
            self._env_files[path] = self._parse(path, given)
        return self._env_files[path].pairs

    def _parse(self, path: str, given: Given) -> env_file.Variables:
        name = path.removesuffix(_MAY_BE_MISSING)
        try:
            text = self._world.read(name)
        except Missing as error:
            if not path.endswith(_MAY_BE_MISSING):
                hint = "a path is relative to where taskmaster was started: '{here}/...' is beside this file"
                self._refuse(
                    given, "unreadable", f"{quoted(name)} {error.reason}", f"{hint}, and a final '?' lets it be missing"
                )
            return env_file.Variables()
        except Unreadable as error:
            self._refuse(given, "unreadable", f"{quoted(name)} {error.reason}", error.hint)
            return env_file.Variables()
        self._report.read(Source(name, text, secret=True))
        variables = env_file.parse(text)
        for bad in variables.bad:
            place = Place(name, bad.line, bad.column)
            self._report.add(Problem("bad-env-line", place, 1, "", bad.why, "'NAME=value', a comment, or nothing"))
        return variables

    def _refuse(self, given: Given, identity: str, why: str, suggestion: str = "") -> None:
        expected = "" if identity in ("unreadable", "no-sense") else KEYS.by_spelling[given.key.text].convert.expected
        refuse(Rejected(given.node, identity, why, expected, suggestion), given.key.text, given.owner, self._report)
