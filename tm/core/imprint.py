"""The imprint of a task: what tells whether a process runs with what the configuration says by now.

Guarantees: two tasks have one imprint when no key that needs a restart differs (`core.reload.changed`), and practically
only then; it holds no value of the configuration, and none of the environment, but a digest of all of them together. A
key that nobody gave, and that means nothing then, leaves no trace: a taskmaster that knows a key more makes of an old
file what the old one made of it, so that nothing is restarted for that.
Leaves to others: where imprints are kept (`core.saved`), and what follows from one that differs (`daemon.adoption`).

Whoever changes what goes in gives the member in the journal another name: what is not known is taken for the same.
"""

from __future__ import annotations

import json
from typing import Final

from tm.core.probe import Probe, given
from tm.core.task import Task
from tm.core.template import Slot

try:
    from _blake2 import blake2s
except ImportError:  # hashlib loads all of OpenSSL first: half a megabyte and some milliseconds of every comeback
    from hashlib import blake2s

# fmt: off
KEYS: Final = ("command", "argv", "shell", "stdout", "stderr", "environment", "env_file", "working_directory", "umask",
               "user", "group", "limits", "nice", "readiness", "cpu_affinity", "oom_score_adjust", "sockets",
               "watchdog_s", "tty")
# fmt: on
"""What a reload restarts for, as `Task` names it. Not asked of `core.task_keys`, which a comeback does without."""
_DIGEST_BYTES = 8
_UNGIVEN = (None, ())
_OFF: Final = frozenset({"tty"})
"""Those that mean nothing where they are false."""


def imprint(task: Task) -> str:
    """The imprint, in hexadecimal digits."""
    given = {key: value for key in KEYS if (value := getattr(task, key)) not in _UNGIVEN}
    for key in _OFF:
        if not given[key]:
            del given[key]
    content = json.dumps(given, sort_keys=True, default=_plain)
    return blake2s(content.encode("ascii"), digest_size=_DIGEST_BYTES).hexdigest()


def _plain(value: Slot | Probe) -> object:
    return {"slot": value.value} if isinstance(value, Slot) else given(value)
