"""The daemon's own settings: what the `taskmaster:` block comes to.

Guarantees: `Settings()` is what holds when nothing is given.
Leaves to others: the keys (`core.setting_keys`), flags of the command line, which win over it (`cli.options`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The `taskmaster:` block, settled. Paths are absolute, but for SYSLOG as `logfile`; None: not given."""

    restart_floor_s: float = 1.0
    stop_timeout_s: float | None = None
    tail_memory_bytes: int = 32 * 1024 * 1024
    inherit_environment: bool = True
    on_event: tuple[str, ...] | None = None
    on_event_timeout_s: float = 30.0
    syslog_socket: str = "/dev/log"
    logfile: str | None = None
    log_max_size_bytes: int = 10 * 1024 * 1024
    log_keep: int = 5
    log_level: str = "info"
    log_format: str = "text"
    state_dir: str | None = None
    socket: str | None = None
    socket_group: str | None = None
    pidfile: str | None = None
    user: str | None = None
