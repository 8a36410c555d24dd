"""The task of processes that the configuration no longer knows: enough to end them in order.

Guarantees: SIGTERM, ten seconds, SIGKILL, to the process group; nothing of it is ever started again.
"""

from __future__ import annotations

import signal

from tm.core.log_policy import Form
from tm.core.task import KillMode, Restart, Task
from tm.core.template import Template


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
        stdout=None,
        stderr=None,
        log_max_size_bytes=0,
        log_keep=0,
        log_timestamps=False,
        log_format=Form.RAW.value,
        on_log_error="",
        environment=(),
        env_file=(),
        working_directory=Template(("/",)),
        umask=0o022,
        user=None,
        group=None,
        limits=(),
        nice=None,
        hooks=(),
        watch=None,
        description="",
        labels=(),
        priority=0,
        places={},
    )
