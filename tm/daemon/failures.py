"""Why a program could not be started: the failed step in words, with a hint.

Guarantees: a hint says facts only, looked up at the time of the failure; values of the environment are not told; a
failure that is the machine's, which has too little of something left, is told apart from one of the program's.
Leaves to others: the step and its errno (`daemon.starting`).
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace

from tm.core.launch import Failed, Launch, SpawnFailure
from tm.core.lines import plain

_WORD_BYTES = 131071
"""The longest word that Linux passes to a program."""
_REFUSED = (errno.EPERM, errno.EACCES)
_CPUS_SHOWN = 60
_NO_CPU = "it is not there, or not for taskmaster"
_SHORTAGES = {
    errno.EMFILE: "raise taskmaster's limit of open files: ulimit -n, or LimitNOFILE= of its unit",
    errno.ENFILE: "raise the machine's limit of open files: sysctl fs.file-max",
    errno.EAGAIN: "raise the limit of processes: ulimit -u, TasksMax= of its unit, pids.max of its cgroup",
    errno.ENOMEM: "free memory, or raise MemoryMax= of its unit",
}
"""What the machine can be out of, and what to do about it."""


def explain(launch: Launch, failed: Failed) -> SpawnFailure:
    """The failed step in words, with a hint where the facts give one; one line, whatever the command is called."""
    found = _shortage(launch, failed) or _explain(launch, failed)
    return replace(found, reason=plain(found.reason), hint=plain(found.hint))


def shortage(number: int) -> str:
    """What to do where this errno says that the machine has too little of something; '' where it does not."""
    return _SHORTAGES.get(number, "")


def _shortage(launch: Launch, failed: Failed) -> SpawnFailure | None:
    """The failure of a machine that has too little left; None for any other. What a limit of the task itself has made
    scarce, once it held, is the task's own affair.
    """
    stage, number, _ = failed
    if number not in _SHORTAGES or (stage != "fork" and launch.limits):
        return None
    return SpawnFailure(stage, f"the system gives no new process: {os.strerror(number)}", _SHORTAGES[number], True)


def _explain(launch: Launch, failed: Failed) -> SpawnFailure:
    stage, number, detail = failed
    reason = os.strerror(number)
    match stage:
        case "exec" if detail:
            return SpawnFailure(stage, f"no program can be given {detail}, as command or environment have it")
        case "exec":
            return _explain_exec(launch, number, reason)
        case "workingDirectory":
            hint = f"mkdir -p {launch.directory}" if number == errno.ENOENT else ""
            return SpawnFailure(stage, f"working directory '{launch.directory}': {reason}", hint)
        case "user":
            who = launch.user if launch.user is not None else f"group {launch.group}"
            hint = "" if os.geteuid() == 0 or detail else "run taskmaster as root, or leave the key out"
            return SpawnFailure(stage, detail or f"cannot become '{who}': {reason}", hint)
        case "cpuAffinity":
            shown = detail if len(detail) <= _CPUS_SHOWN else f"{detail[:_CPUS_SHOWN]}..."
            return SpawnFailure(stage, f"cannot run on CPU {shown}: {_NO_CPU}", _hint_for_cpus())
        case "limits" | "nice" | "oomScoreAdjust":
            what = f"{stage} {detail or launch.nice}"
            hint = "" if os.geteuid() == 0 or number not in _REFUSED else "only root may go beyond what taskmaster has"
            return SpawnFailure(stage, f"cannot set {what}: {reason}", hint)
        case _:
            return SpawnFailure(stage, f"the system gives no new process: {reason}")


def _hint_for_cpus() -> str:
    """Which there are, by their numbers."""
    try:
        with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
            return f"this machine has the CPUs {file.read().strip()}"
    except OSError:
        return ""


def _explain_exec(launch: Launch, number: int, reason: str) -> SpawnFailure:
    word = launch.argv[0]
    path = _found(launch)
    shown = word if len(word) <= 200 else word[:200] + "..."
    # EACCES: one of PATH's directories may not be entered, which hides that the others have no such program either.
    if path is None and (number in (errno.ENOENT, errno.ENOTDIR) or (number == errno.EACCES and "/" not in word)):
        where = "" if "/" in word else " on PATH"
        return SpawnFailure("exec", f"command '{shown}' not found{where}", _hint_for_missing(launch))
    if number == errno.E2BIG:
        return SpawnFailure("exec", f"{reason}: {_what_is_long(launch)}")
    return SpawnFailure("exec", f"cannot run '{shown}': {reason}", _hint_for_existing(path, number))


def _what_is_long(launch: Launch) -> str:
    sizes = [("a word of the command", len(os.fsencode(word))) for word in launch.argv]
    sizes += [(name, len(os.fsencode(f"{name}={value}"))) for name, value in launch.environment.items()]
    what, size = max(sizes, key=lambda each: each[1])
    if size > _WORD_BYTES:
        return f"{what} has {size} bytes, {_WORD_BYTES} is the most"
    return f"command and environment together have {sum(size + 1 for _, size in sizes)} bytes"


def _found(launch: Launch) -> str | None:
    """Where the program is, executable or not; None when it is nowhere."""
    word = launch.argv[0]
    folders = [""] if "/" in word else os.get_exec_path(launch.environment)
    places = [os.path.join(launch.directory, each, word) for each in folders]
    return next((place for place in places if os.path.lexists(place)), None)


def _hint_for_missing(launch: Launch) -> str:
    word = launch.argv[0]
    if "/" in word:
        return "" if os.path.isabs(word) else f"it is looked for in {launch.directory}"
    if "PATH" in launch.given:
        return "see PATH in environment"
    return f"PATH is {launch.environment.get('PATH', 'not set')}"


def _hint_for_existing(path: str | None, number: int) -> str:
    if path is None:
        return ""
    match number:
        case errno.EACCES if os.path.isdir(path):
            return f"{path} is a directory"
        case errno.EACCES if _never_executable(path):
            return f"chmod +x {path}"
        case errno.ENOENT:
            return _hint_for_interpreter(path)
        case errno.ENOEXEC:
            return f"{path} is no binary and has no '#!' line: put its interpreter before it"
        case _:
            return ""


def _never_executable(path: str) -> bool:
    """Whether nobody may run it; not, where that cannot be seen."""
    try:
        return not os.stat(path).st_mode & 0o111
    except OSError:
        return False


def _hint_for_interpreter(path: str) -> str:
    """The program is there, and the kernel says that it is not: what it needs is missing."""
    try:
        with open(path, "rb") as file:
            line = file.readline(256)
    except OSError:
        return f"{path} is a link to nothing" if os.path.islink(path) else ""
    if line.startswith(b"\x7fELF"):
        return f"the loader that {path} needs does not exist: it was built for another system"
    words = line[2:].strip(b" \t\n").replace(b"\t", b" ").split(b" ") if line.startswith(b"#!") else [b""]
    if words[0].endswith(b"\r"):
        return f"the first line of {path} ends in CR LF, as on Windows: the CR is taken for a part of the name"
    return f"its interpreter {os.fsdecode(words[0])} (first line of {path}) does not exist" if words[0] else ""


def log_failure(stage: str, path: str | None, error: OSError) -> SpawnFailure:
    """A log that cannot be opened, or a pipe that cannot be had."""
    number = error.errno or 0
    if number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        what = "memory" if number == errno.ENOMEM else "descriptors"
        return SpawnFailure(stage, f"no {what} left: {os.strerror(number)}", _SHORTAGES[number], True)
    return SpawnFailure(
        stage, f"{stage} log '{path}' cannot be opened: {os.strerror(number)}", _log_hint(path or "", number)
    )


class NoTerminal(OSError):
    """There is no terminal to be had."""


def terminal_failure(error: NoTerminal) -> SpawnFailure:
    """A program that is to have a terminal, and there is none."""
    number = error.errno or 0
    if number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        return log_failure("tty", None, error)
    hint = "is /dev/pts mounted? See kernel.pty.max, too" if number in (errno.ENOENT, errno.ENOSPC, errno.EIO) else ""
    return SpawnFailure("tty", f"it can be given no terminal: {os.strerror(number)}", hint)


def syslog_failure(stage: str, path: str, error: OSError) -> SpawnFailure:
    """A stream that is to go to syslog, and nobody takes it there."""
    number = error.errno or 0
    if number in (errno.EMFILE, errno.ENFILE):
        return log_failure(stage, path, error)
    reason = f"{stage} cannot be sent to syslog at '{path}': {os.strerror(number)}"
    return SpawnFailure(stage, reason, _syslog_hint(path, number))


def _syslog_hint(path: str, number: int) -> str:
    name_it = "name its socket with 'syslogSocket' of 'taskmaster'"
    match number:
        case errno.ENOENT | errno.ECONNREFUSED:
            return f"nobody listens there: start a syslog daemon, or {name_it}"
        case errno.EPROTOTYPE:
            return f"it is a socket for streams, and syslog is spoken in datagrams: {name_it}"
        case errno.EACCES:
            return f"uid {os.geteuid()} may not write to {path}"
        case _:
            return name_it


def _log_hint(path: str, number: int) -> str:
    directory = os.path.dirname(path)
    match number:
        case errno.ENOENT if not os.path.isdir(directory):
            return f"mkdir -p {directory}"
        case errno.ENOENT if os.path.islink(path):
            return f"it is a link to {os.path.realpath(path)}"
        case errno.EISDIR:
            return "it is a directory: name a file in it"
        case errno.ENXIO:
            return _hint_for_deaf(path)
        case errno.ELOOP if _is_circle(path):
            return "it is a link that leads back to itself"
        case errno.ELOOP:
            return f"it is a link, and others can write to {directory}"
        case errno.EACCES:
            target = path if os.path.exists(path) else directory
            return f"uid {os.geteuid()} may not write to {target}"
        case _:
            return ""


def _is_circle(path: str) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _hint_for_deaf(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    if stat.S_ISSOCK(mode):
        return "it is a socket: name a file, or a FIFO"
    return "nobody reads this FIFO" if stat.S_ISFIFO(mode) else ""
