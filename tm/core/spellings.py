"""The keys by what they are called in a `Task` and in `Settings`, and what a reload does for each.

Guarantees: the same as the tables that say how a value is read (`core.task_keys`, `core.setting_keys`), in their order,
without what that takes: a daemon, which is handed what was read, has no need of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tm.core.task import OnReload


class Key(NamedTuple):
    """A key by its first spelling."""

    spelling: str
    on_reload: OnReload


_RESPAWN, _LIVE, _SCALE = OnReload.RESPAWN, OnReload.LIVE, OnReload.SCALE

OF_A_TASK: Final[Mapping[str, Key]] = {
    "command": Key("command", _RESPAWN),
    "shell": Key("shell", _RESPAWN),
    "instances": Key("instances", _SCALE),
    "auto_launch": Key("autoLaunch", _LIVE),
    "restart": Key("restart", _LIVE),
    "expected_exit_codes": Key("expectedExitCodes", _LIVE),
    "successful_start_timeout_s": Key("successfulStartTimeout", _LIVE),
    "restarts_attempts": Key("restartsAttempts", _LIVE),
    "restart_delay_s": Key("restartDelay", _LIVE),
    "restart_delay_max_s": Key("restartDelayMax", _LIVE),
    "stop_signal": Key("stopSignal", _LIVE),
    "graceful_stop_timeout_s": Key("gracefulStopTimeout", _LIVE),
    "kill_mode": Key("killMode", _LIVE),
    "stdout": Key("stdout", _RESPAWN),
    "stderr": Key("stderr", _RESPAWN),
    "log_max_size_bytes": Key("logMaxSize", _LIVE),
    "log_keep": Key("logKeep", _LIVE),
    "log_timestamps": Key("logTimestamps", _LIVE),
    "log_format": Key("logFormat", _LIVE),
    "on_log_error": Key("onLogError", _LIVE),
    "environment": Key("environment", _RESPAWN),
    "env_file": Key("envFile", _RESPAWN),
    "working_directory": Key("workingDirectory", _RESPAWN),
    "umask": Key("umask", _RESPAWN),
    "user": Key("user", _RESPAWN),
    "group": Key("group", _RESPAWN),
    "limits": Key("limits", _RESPAWN),
    "nice": Key("nice", _RESPAWN),
    "readiness": Key("readiness", _RESPAWN),
    "liveness": Key("liveness", _LIVE),
    "cpu_affinity": Key("cpuAffinity", _RESPAWN),
    "oom_score_adjust": Key("oomScoreAdjust", _RESPAWN),
    "memory_max_bytes": Key("memoryMax", _LIVE),
    "max_age_s": Key("maxAge", _LIVE),
    "sockets": Key("sockets", _RESPAWN),
    "depends_on": Key("dependsOn", _LIVE),
    "watchdog_s": Key("watchdog", _RESPAWN),
    "critical": Key("critical", _LIVE),
    "hooks": Key("hooks", _LIVE),
    "watch": Key("watch", _LIVE),
    "oneshot": Key("oneshot", _LIVE),
    "schedule": Key("schedule", _LIVE),
    "time_zone": Key("timeZone", _LIVE),
    "overlap": Key("overlap", _LIVE),
    "deadline_s": Key("deadline", _LIVE),
    "tty": Key("tty", _RESPAWN),
    "description": Key("description", _LIVE),
    "labels": Key("labels", _LIVE),
    "priority": Key("priority", _LIVE),
}

OF_THE_DAEMON: Final[Mapping[str, str]] = {
    "restart_floor_s": "restartFloor",
    "stop_timeout_s": "stopTimeout",
    "tail_memory_bytes": "tailMemory",
    "inherit_environment": "inheritEnvironment",
    "on_event": "onEvent",
    "on_event_timeout_s": "onEventTimeout",
    "syslog_socket": "syslogSocket",
    "logfile": "logfile",
    "log_max_size_bytes": "logMaxSize",
    "log_keep": "logKeep",
    "log_level": "logLevel",
    "log_format": "logFormat",
    "state_dir": "stateDir",
    "socket": "socket",
    "socket_group": "socketGroup",
    "pidfile": "pidfile",
    "user": "user",
}
