"""Where the event log of a daemon goes, and what is done when it cannot be had.

Guarantees: what somebody named is had or refused; a default that cannot be had is stderr in the foreground, and said.
"""

from __future__ import annotations

import os
import stat
from functools import partial

from tm.cli import places
from tm.cli.forms import Form, Refusal, reason, say
from tm.core.config import Config
from tm.core.records import Level
from tm.core.settings import Settings
from tm.core.syslog import SYSLOG
from tm.edge import files
from tm.edge.eventlog import EventLog, LogFile
from tm.edge.syslog import Reporter, Syslog

DEFAULT_LOG = "taskmaster.log"
LOG = "log"


def event_log(config: Config, form: Form, state: str, given: set[str]) -> EventLog:
    """The event log; a file that is made here is noted in `given`. Raises Refusal."""
    settings = config.settings
    level, as_json = Level[settings.log_level.upper()], settings.log_format == "json"
    if settings.logfile == SYSLOG:
        return EventLog(_to_syslog(settings), level, as_json)
    path = settings.logfile or _default_log(config, form, state)
    try:
        if path is not None and form is Form.DAEMON and not settings.logfile:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        new = path is not None and not os.path.lexists(path)
        file = LogFile(path, settings.log_max_size_bytes, partial(_next_file, settings.log_keep))
        if path is not None and new and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            given.add(LOG)
        return EventLog(file, level, as_json)
    except OSError as error:
        why = f"the event log {path} cannot be opened: {os.strerror(error.errno or 0)}"
    if settings.logfile or form is Form.DAEMON:
        raise Refusal(f"{why}. Name another with --logfile.")
    say(f"{why}; logging to stderr.")
    return EventLog(LogFile(None), level, as_json)


def _to_syslog(settings: Settings) -> Reporter:
    """The event log's way to syslog. Raises Refusal."""
    path = settings.syslog_socket
    try:
        return Reporter(Syslog(path))
    except OSError as error:
        why = f"the event log cannot be sent to syslog at {path}: {reason(error)}"
        advice = "name its socket with 'syslogSocket' of 'taskmaster'"
        raise Refusal(f"{why}. Start a syslog daemon, or {advice}, or name a file with --logfile.") from None


def _next_file(keep: int, path: str, fd: int) -> int:
    return files.open_next(path, keep, fd)


def _default_log(config: Config, form: Form, state: str) -> str | None:
    match form:
        case Form.SHELL:
            return DEFAULT_LOG
        case Form.PLAIN:
            return None
        case Form.DAEMON:
            return places.log_path(config.path, state)
