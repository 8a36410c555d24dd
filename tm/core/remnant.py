"""The task of processes that the configuration no longer knows: enough to end them in order.

Guarantees: SIGTERM, ten seconds, SIGKILL, to the process group; nothing of it is ever started again.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any, Final

from tm.core.log_policy import Form
from tm.core.task import KillMode, Restart, Task
from tm.core.template import Template

# fmt: off
_ABSENT: Final[Mapping[str, Any]] = dict.fromkeys((
    "stdout", "stderr", "user", "group", "nice", "readiness", "liveness", "cpu_affinity", "oom_score_adjust",
    "memory_max_bytes", "max_age_s", "watchdog_s",
))
# fmt: on


def remnant(name: str) -> Task:
    """Such a task."""
    return Task(
        name=name,
        command="",
        argv=(),
        shell=False,
        instances=1,
        auto_launch=False,
        restart=Restart.NEVER,
        expected_exit_codes=frozenset({0}),
        successful_start_timeout_s=0.0,
        restarts_attempts=0,
        restart_delay_s=0.0,
        restart_delay_max_s=0.0,
        stop_signal=signal.SIGTERM,
        graceful_stop_timeout_s=10.0,
        kill_mode=KillMode.GROUP,
        log_max_size_bytes=0,
        log_keep=0,
        log_timestamps=False,
        log_format=Form.RAW.value,
        on_log_error="",
        environment=(),
        env_file=(),
        working_directory=Template(("/",)),
        umask=0o022,
        limits=(),
        sockets=(),
        depends_on=(),
        critical=False,
        tty=False,
        description="",
        labels=(),
        priority=0,
        places={},
        **_ABSENT,
    )
