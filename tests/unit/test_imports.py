"""What a daemon imports that is handed its configuration: nothing that reads one, and nothing of the prompt.

Importing is half of the time in which a daemon is back after a kill, and stays in its memory.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Final

import pytest

from tests.unit.build import TextWorld
from tm.core.config import Config
from tm.core.loading import load

READING: Final = frozenset(
    f"tm.core.{name}"
    for name in (
        "loading",
        "needs",
        "document",
        "nodes",
        "source",
        "field",
        "kinds",
        "blocks",
        "values",
        "settle",
        "checks",
        "command_line",
        "env_file",
        "task_keys",
        "setting_keys",
    )
)
PROMPT: Final = frozenset({"tm.cli.shell", "tm.cli.notices", "tm.edge.console", "tm.edge.linedit", "tm.edge.history"})
LIBRARIES: Final = frozenset({"yaml", "argparse", "difflib", "base64", "shutil", "tempfile", "daemon", "asyncio"})
MODULES_MOST: Final = 170
"""Of our own; a new one on this path is to be weighed before the number is."""

BACK: Final = """
import pickle, sys
import tm.cli.main
from tm.core.reload import plan_for
from tm.daemon.reloading import empty
config = pickle.load(sys.stdin.buffer)
assert [task.name for task in plan_for(empty(config), config).add] == ["web"]
print(*sys.modules)
"""


def imported(code: str, given: bytes = b"") -> set[str]:
    """The names of all modules at the end of a program."""
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, timeout=60, check=False)
    assert done.stderr == b""
    return set(done.stdout.decode().split())


@pytest.fixture(scope="module")
def back() -> set[str]:
    """What a daemon has imported that comes back to the tasks it had."""
    text = "taskmaster: {logLevel: debug}\ntasks: {web: {command: run, stdout: /tmp/log, environment: {A: b}}}"
    config: Config = load("/etc/web.yaml", TextWorld({"/etc/web.yaml": text}))
    return imported(BACK, pickle.dumps(config))


@pytest.mark.parametrize("unneeded", [READING, PROMPT, LIBRARIES], ids=["reading", "prompt", "libraries"])
def test_a_daemon_that_comes_back_imports_nothing_it_does_not_need(back: set[str], unneeded: frozenset[str]) -> None:
    assert "tm.daemon.service" in back
    assert sorted(back & unneeded) == []


def test_its_own_modules_are_counted(back: set[str]) -> None:
    ours = sorted(name for name in back if name.startswith("tm."))
    assert len(ours) <= MODULES_MOST, ours


def test_what_is_missed_is_what_a_file_needs() -> None:
    """The names above are those of modules that there are."""
    everything = imported("import sys, tm.cli.shell, tm.core.loading; print(*sys.modules)")
    assert everything >= READING | PROMPT
