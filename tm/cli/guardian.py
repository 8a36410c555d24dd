"""The guardian's process, with everything that a daemon needs imported: the one that was started, or a fresh one.

Guarantees: the next daemon is a fork of it, and has nothing left to import; what it imports late comes from the version
that is kept, whatever is installed by now.
Leaves to others: what a guardian does (`daemon.guardian`), and what the daemon begins with (`cli.running`).

It is in no hurry: while the daemon before it starts, it keeps what that has, and prepares itself, by imports or by
putting down its version, a bit whenever nothing else is to be done.
"""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tm.daemon.guardian import Guardian
from tm.edge import faults
from tm.edge.hall import VARIABLE, read_state
from tm.edge.ps import show

_BITS = ("dataclasses", "tm.core.config", "tm.core.process", "tm.daemon.outputs", "tm.daemon.service", "tm.cli.running")
"""Each imports what those before it have left."""


def main() -> int:
    """Be the guardian, from the state in a file in memory; the exit code."""
    return be_guardian(read_state(int(os.environ.pop(VARIABLE))), _imports())


def be_guardian(state: dict[str, Any], preparations: Iterator[None]) -> int:
    """Be the guardian as the calling process; the exit code."""
    guardian = Guardian(state, _daemon, preparations)
    show(state["title"], "taskmaster", state["path"])  # who is called so takes signals as the guardian does
    return guardian.run()


def _imports() -> Iterator[None]:
    """Import what a daemon needs, a bit at a time. What cannot be had now, the next daemon tries again."""
    for name in _BITS:
        with suppress(ImportError, OSError):
            importlib.import_module(name)
        yield
    gc.collect()
    gc.freeze()  # what is never looked at is never copied


def _daemon(state: dict[str, Any]) -> int:
    """In the fork: be the daemon; the exit code."""
    faults.disarm()
    show(state["called"], "taskmaster", state["path"])
    return int(importlib.import_module(_BITS[-1]).go_on(state))
