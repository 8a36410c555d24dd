"""What people read: the table of `status`, what ails a process, and what just happened to one.

Guarantees: the columns and sentences of the manual; one line a process whatever its command holds; colour only when
asked for.
Leaves to others: facts that are not in the row (last line of stderr), which come as arguments.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence
from functools import lru_cache

from tm.core.effects import Send
from tm.core.lines import plain
from tm.core.process import Occurrence, Process, expected, short_of_means
from tm.core.signal_names import signal_name
from tm.core.task import Task
from tm.core.timers import Instant
from tm.core.transitions import Event, State

COLUMNS = ("Task", "Status", "PID", "Uptime", "Restarts", "Command")
COMMAND_WIDTH = 100
"""How much of a command the table shows where no terminal says how wide it is."""

_UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_COLOURS = {
    State.RUNNING: "\x1b[32m",
    State.STARTED: "\x1b[33m",
    State.BACKOFF: "\x1b[33m",
    State.STOPPING: "\x1b[33m",
    State.KILLING: "\x1b[33m",
    State.FATAL: "\x1b[31m",
    State.STOPPED: "\x1b[35m",
    State.EXITED: "\x1b[35m",
}
_HEADER, _PLAIN = "\x1b[1;37m", "\x1b[0m"


def uptime(seconds: float) -> str:
    """`59s`, `2m15s`, `3h0m5s`, `1d2h3m4s`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m{rest}s"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours}h{minutes}m{rest}s" if days else f"{hours}h{minutes}m{rest}s"


def ready(row: Process) -> bool | None:
    """Whether it has said that it can do its work; None where nobody asks it."""
    return row.running if row.task.readiness else None


def size(in_bytes: int) -> str:
    """`512MiB`, `1.5GiB`, `300KiB`: to a tenth."""
    unit = next((each for each in ("GiB", "MiB", "KiB") if in_bytes >= _UNITS[each]), "B")
    return f"{in_bytes / _UNITS[unit]:.1f}".removesuffix(".0") + unit


def lifetime(seconds: float) -> str:
    """How long something lived, fine where it was short: `0.02s`, `4.1s`, `2m15s`."""
    if seconds >= 60:
        return uptime(seconds)
    return f"{seconds:.1f}s" if seconds >= 1 else f"{seconds:.2f}s"


def command_text(task: Task) -> str:
    """The command as one line, as the file has it."""
    return _one_line(task.command)


@lru_cache(maxsize=1024)
def _one_line(command: str | tuple[str, ...]) -> str:
    return plain(command if isinstance(command, str) else shlex.join(command))


def cells(row: Process, now: Instant) -> tuple[str, ...]:
    """One row of the table, in the order of COLUMNS."""
    up = uptime(now - row.spawned_at) if row.alive and row.spawned_at is not None else "-"
    pid = str(row.pid) if row.pid is not None else "-"
    return row.name, row.state.value, pid, up, str(row.restarts), command_text(row.task)


def table(rows: Sequence[Process], body: Sequence[tuple[str, ...]], width: int | None, colour: bool) -> list[str]:
    """The table, a line each, from the `cells` of the rows; commands are cut so that a line has `width` columns, or to
    COMMAND_WIDTH.
    """
    widths = [max(map(len, column)) for column in zip(COLUMNS, *body, strict=True)]
    room = COMMAND_WIDTH if width is None else max(10, width - sum(widths[:-1]) - 2 * (len(COLUMNS) - 1))
    form = "".join(f"%-{width}s  " for width in widths[:-1])
    header = _line(COLUMNS, form, room)
    lines = [f"{_HEADER}{header}{_PLAIN}" if colour else header]
    for row, texts in zip(rows, body, strict=True):
        line = _line(texts, form, room)
        lines.append(_coloured(line, row.state, widths[0] + 2) if colour else line)
    return lines


def _line(texts: tuple[str, ...], form: str, room: int) -> str:
    command = texts[-1]
    return form % texts[:-1] + (command if len(command) <= room else command[: room - 3] + "...")


def _coloured(line: str, state: State, at: int) -> str:
    word = state.value
    return f"{line[:at]}{_COLOURS[state]}{word}{_PLAIN}{line[at + len(word) :]}"


def cause(row: Process) -> str:
    """Why it is where it is: `exit code 3 after 0.02s`, or why it could not be started."""
    if row.failure is not None:
        return row.failure.reason
    if row.exit_status is None:
        return "never started"
    lived = f" after {lifetime(row.lived_s)}" if row.lived_s is not None else ""
    return f"{row.exit_status}{lived}"


def attempt(row: Process) -> str:
    """`attempt 2 of 4`, without the total where there is no end."""
    most = row.task.restarts_attempts
    tried = row.retries + 1
    if row.running or row.retries == 0 or short_of_means(row):
        return ""
    return f"attempt {min(tried, most + 1)} of {most + 1}" if most else f"attempt {tried}"


def end_of(row: Process) -> str:
    """How it ended, at which attempt, and what explains it."""
    tried = attempt(row)
    end = f"{cause(row)}, {tried}" if tried else cause(row)
    return f"{end}; {fact}" if (fact := hint(row)) else end


def place(task: Task, key: str) -> str:
    """`web.yaml:7`: where a key of the task stands, or the task itself."""
    found = task.places.get(key) or task.places.get("command")
    return f"{posixpath.basename(found.path)}:{found.line}" if found else "defaults"


def blamed(row: Process) -> str:
    """Where the key stands that its last start failed for, or its command."""
    return place(row.task, row.failure.stage if row.failure else "command")


def ailment(row: Process, now: Instant, last_words: str) -> str:
    """The line under the table for a process that failed: cause, attempt, last line of stderr, what to type next."""
    parts = [f"{row.name}: {cause(row)}", attempt(row), hint(row), _next_try(row, now)]
    if last_words:
        parts.append(f"stderr: {plain(last_words)[:200]}")
    parts.append(f"see {blamed(row)}")
    line = "; ".join(part for part in parts if part)
    return f"{line}; type: {_advice(row)}"


def lingering(row: Process, now: Instant, why: str) -> str:
    """The line under the table for a process that is being stopped and is still there."""
    reason = f": {why}" if why else ""
    return f"{row.name}: {row.state.value} for {uptime(now - row.since)}, pid {row.pid} is still there{reason}"


def hint(row: Process) -> str:
    """The fact that explains its last end, or ''."""
    return row.failure.hint if row.failure is not None else row.hint


def _next_try(row: Process, now: Instant) -> str:
    return f"next attempt in {max(0.0, row.deadline - now):.1f}s" if row.deadline is not None else ""


def _advice(row: Process) -> str:
    return f"start {row.name}" if row.failure is not None else f"logs {row.name} --stderr"


def told(before: Process, what: Occurrence, after: Process) -> str | None:
    """What an operator at the prompt hears of a change; None for what need not be said."""
    name = after.name
    match what.event, after.state:
        case ((Event.START | Event.STOP | Event.RESTART), _) if after.blocked:
            return f"Process '{name}' {after.blocked}"
        case ((Event.START | Event.STOP), _) if before.blocked:
            return f"Process '{name}' no longer waits"
        case Event.SPAWNED, _:
            return f"Process '{name}' started with PID {after.pid}"
        case Event.TIMEOUT, State.KILLING:
            return f"Process '{name}' did not stop in time, killing..."
        case Event.STOP, State.STOPPED:
            return f"Process '{name}' stopped gracefully"
        case Event.REAPED | Event.SPAWN_FAILED, _:
            return _told_end(before, after)
        case _:
            return _told_of_checks(before, what, after)


def _told_of_checks(before: Process, what: Occurrence, after: Process) -> str | None:
    """What has become of it that nobody has asked for."""
    if not after.stopping or before.stopping:
        return None
    if what.event is Event.AGED:
        return f"Process '{after.name}' is being restarted: {what.hint}"
    return f"Process '{after.name}' is being ended: {after.fault}" if after.fault else None


def _told_end(before: Process, after: Process) -> str | None:
    name = after.name
    if before.stopping and not after.fault:
        return f"Process '{name}' was killed" if before.killing else f"Process '{name}' stopped gracefully"
    why, fact = cause(after), f"; {hint(after)}" if hint(after) else ""
    match after.state:
        case State.EXITED:
            return f"Process '{name}' exited: {why}"
        case State.BACKOFF if short_of_means(after):
            return f"Process '{name}' could not be started: {why}{fact}; trying again in {_wait_s(after):.1f}s"
        case State.BACKOFF if after.retries:
            return f"Process '{name}' failed to start: {why}{fact}; {attempt(after)} in {_wait_s(after):.1f}s"
        case State.BACKOFF:
            how = "ended" if expected(after) else "ended unexpectedly"
            return f"Process '{name}' {how}: {why}{fact}; starting it again"
        case _:
            return f"Process '{name}' failed: {why}{fact}; type: status {name}"


def _wait_s(row: Process) -> float:
    return (row.deadline or row.since) - row.since


def transition(before: Process, what: Occurrence, after: Process, sent: Sequence[Send]) -> str:
    """The event log's words for a change: states, pid, cause."""
    change = f"{before.state.value} -> {after.state.value}" if before.state is not after.state else after.state.value
    parts = [f"{change} ({_reason(before, what, after)})", after.blocked]
    if what.event is Event.SPAWNED:
        parts.append(f"pid {after.pid}")
    if what.event in (Event.UNHEALTHY, Event.AGED) or (after.fault and not before.fault):
        parts.append(what.hint)
    if what.event in (Event.REAPED, Event.SPAWN_FAILED):
        parts += [f"pid {before.pid}" if before.pid else "", _end(what, after), attempt(after), hint(after)]
    parts += [f"{signal_name(each.signum)} to pid {each.pid}" for each in sent]
    return ", ".join(part for part in parts if part)


def _reason(before: Process, what: Occurrence, after: Process) -> str:
    """The event's name; of a deadline, which one it was."""
    match what.event, before.state:
        case Event.TIMEOUT, State.STARTED if after.fault:
            return "it is not ready"
        case Event.TIMEOUT, State.STARTED:
            return "it stayed up"
        case Event.TIMEOUT, State.BACKOFF:
            return "the wait is over"
        case Event.TIMEOUT, State.STOPPING if before.held:
            return "preStop is over"
        case Event.TIMEOUT, _:
            return "the grace is over"
        case _:
            return str(what.event.value)


def _end(what: Occurrence, after: Process) -> str:
    """How it ended, also where the row has begun anew with the same step."""
    return cause(after) if after.exit_status or after.failure else str(what.status)
