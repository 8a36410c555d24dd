"""The keys that the `taskmaster:` block may hold, each declared once.

Guarantees: `FIELDS` is all there is to know of the keys.
Leaves to others: what they come to (`core.settings`), and the flags of the command line, which win over them
(`cli.options`).
"""

from __future__ import annotations

from typing import Final

from tm.core import kinds
from tm.core.field import Field, Table
from tm.core.task import OnReload

_LEVEL: Final = kinds.one_of({word: word for word in ("debug", "info", "warning", "error")}, advertised=4)
_FORMAT: Final = kinds.one_of({word: word for word in ("text", "json")}, advertised=2)

_LIVE, _START = OnReload.LIVE, OnReload.START

# fmt: off
FIELDS: Final[tuple[Field, ...]] = (
    Field("restartFloor", "restart_floor_s", kinds.DURATION, "1", _LIVE,
          "The least time between two automatic starts of a process that had been running.", (), "seconds"),
    Field("stopTimeout", "stop_timeout_s", kinds.DURATION, "", _LIVE,
          "How long the end of the daemon may take before whatever still runs gets SIGKILL. When not given, 8 seconds "
          "for process 1 of a container, else what the tasks themselves ask for.", (), "seconds"),
    Field("tailMemory", "tail_memory_bytes", kinds.SIZE, "32MiB", _LIVE,
          "The memory for the last output of all streams that have no file, together."),
    Field("inheritEnvironment", "inherit_environment", kinds.SWITCH, "true", _LIVE,
          "Hand the daemon's own environment on to the tasks; false: they begin with none. Takes effect at the next "
          "start of each process."),
    Field("onEvent", "on_event", kinds.EVENT_COMMAND, "", _LIVE,
          "A command that is run when somebody should know: a process became FATAL, a reload was refused, a log takes "
          "nothing. It finds the event in its environment."),
    Field("onEventTimeout", "on_event_timeout_s", kinds.SOME_TIME, "30", _LIVE,
          "How long a run of it may take before it gets SIGKILL.", (), "seconds"),
    Field("syslogSocket", "syslog_socket", kinds.DAEMON_PATH, "/dev/log", _LIVE,
          "Where the local syslog daemon listens, at most 107 bytes long. A change moves the output of the tasks at "
          "once, and the event log at the next start of taskmaster."),
    Field("logfile", "logfile", kinds.DAEMON_LOG, "", _START,
          "The event log of the daemon: a file, or `syslog` for a message an event to the local syslog daemon."),
    Field("logMaxSize", "log_max_size_bytes", kinds.SIZE, "10MiB", _START,
          "The size at which the event log is rotated; 0: never."),
    Field("logKeep", "log_keep", kinds.number(0, 10_000), "5", _START,
          "How many rotated event logs are kept."),
    Field("logLevel", "log_level", _LEVEL, "info", _START,
          "What is worth a line in it: `debug`, `info`, `warning` or `error`."),
    Field("logFormat", "log_format", _FORMAT, "text", _START,
          "How a line of it looks: `text`, or `json` for one object a line."),
    Field("stateDir", "state_dir", kinds.DAEMON_PATH, "", _START,
          "The directory for what has to outlive the daemon."),
    Field("socket", "socket", kinds.DAEMON_PATH, "", _START,
          "The control socket, at most 107 bytes long."),
    Field("socketGroup", "socket_group", kinds.GROUP, "", _START,
          "The group whose members may use the control socket too (mode 0660); without it only the daemon's own user "
          "and root may. Its directory has to let them in: `/run/taskmaster` does."),
    Field("pidfile", "pidfile", kinds.DAEMON_PATH, "", _START,
          "The file that holds the process id of the daemon, and is locked while it lives."),
    Field("user", "user", kinds.USER, "", _START,
          "Whom taskmaster becomes when it has opened its files and its socket, and every task with it; it has to be "
          "started by root. Not together with `user` or `group` of a task."),
)
# fmt: on

KEYS: Final = Table("a key of taskmaster", FIELDS)
