"""Values of more than one part: lists, mappings, paths and commands.

Guarantees: every part that does not fit is told, not the first only; where one value is enough, it need not be put into
a list; a value of the environment is in no message.
Leaves to others: single values (`core.values`), and which key takes which (`core.kinds`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Final

from tm.core import command_line
from tm.core.context import Context
from tm.core.errors import did_you_mean, quoted
from tm.core.field import FREE_PREFIX
from tm.core.nodes import Mapping, Node, Rejected, Scalar, Sequence, gather, kind_of, scalar
from tm.core.signal_names import signal_number
from tm.core.syslog import SYSLOG
from tm.core.task import MERGED, SENT, UNLIMITED
from tm.core.template import Slot, Template, Unexpandable, expand
from tm.core.values import size_of, yaml_reading

_BYTES: Final = frozenset(["as", "core", "data", "fsize", "memlock", "msgqueue", "rss", "stack"])
_COUNTS: Final = frozenset(["cpu", "nice", "nofile", "nproc", "rtprio", "rttime", "sigpending"])
_NO_LIMIT: Final = frozenset({"unlimited", "infinity", "-1"})
_NO_FILE: Final = "none"
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_CODE = re.compile(r"0|[1-9][0-9]{0,2}")
_OF_AN_EVENT: Final = {
    Slot.TASK: "TASKMASTER_TASK",
    Slot.INSTANCE: "TASKMASTER_INSTANCE",
    Slot.N: "TASKMASTER_INSTANCE",
}
CPU_MOST: Final = 8191
"""The highest number that Linux can be built for."""
_CPUS = re.compile(r"(0|[1-9][0-9]{0,3})(?:-(0|[1-9][0-9]{0,3}))?")
_HOLE = re.compile("\0(task|instance|n)\0")


def items(node: Node) -> tuple[Node, ...]:
    """The items of a list, or the one value that stands for a list of one."""
    if isinstance(node, Mapping):
        raise Rejected(node, "wrong-shape", "this is a mapping, not a list")
    return node.items if isinstance(node, Sequence) else (node,)


def command(node: Node, _context: Context) -> str | tuple[str, ...]:
    """A command as written. What it comes to is `core.command_line`'s."""
    if isinstance(node, Sequence):
        return tuple(gather(lambda item: scalar(item, "a word").text, node.items))
    return scalar(node, "a command").text


def event_command(node: Node, context: Context) -> tuple[str, ...]:
    """The words of a command that belongs to no task."""
    try:
        words = command_line.argv(command(node, context), None, context.here)
    except command_line.BadCommand as error:
        raise Rejected(node, "bad-command", error.why) from None
    if slot := next((part for word in words for part in word.parts if isinstance(part, Slot)), None):
        why = f"{quoted('{' + slot.value + '}')} means nothing here, where a command belongs to no task"
        raise Rejected(node, "bad-command", why, "", f"what it is about is in ${_OF_AN_EVENT[slot]}")
    return tuple(word.text for word in words)


def exit_codes(node: Node, _context: Context) -> frozenset[int]:
    """Exit codes, and signals as their negative numbers."""
    return frozenset(gather(_exit_code, words(node)))


def words(node: Node) -> Iterable[tuple[Scalar, str]]:
    """The words of a list, or of one text with commas."""
    if not isinstance(node, Scalar):
        return [(each, each.text) for each in gather(lambda item: scalar(item, "one word"), items(node))]
    return [(node, word.strip()) for word in node.text.split(",")]


def _exit_code(written: tuple[Scalar, str]) -> int:
    node, word = written
    if _CODE.fullmatch(word):
        if int(word) > 255:
            raise Rejected(node, "out-of-range", f"{word} is not from 0 to 255")
        return int(word)
    number = None if word[:1].isdigit() else signal_number(word)
    if number is None:
        why = f"{quoted(word)} is neither an exit code nor the name of a signal"
        raise Rejected(node, "bad-exit-code", why, "", yaml_reading(node))
    return -number


def labels(node: Node, _context: Context) -> tuple[str, ...]:
    """Words to select by."""
    return tuple(dict.fromkeys(gather(_label, words(node))))


def _label(written: tuple[Scalar, str]) -> str:
    node, word = written
    if not _LABEL.fullmatch(word):
        raise Rejected(node, "bad-label", f"{quoted(word)} is not a label")
    return word


def cpus(node: Node, _context: Context) -> tuple[int, ...]:
    """Numbers of CPUs, and ranges of them; rising, each once."""
    found = sorted({number for each in gather(_cpus, words(node)) for number in each})
    if not found:
        raise Rejected(node, "out-of-range", "this names no CPU, and nothing can run on none")
    return tuple(found)


def _cpus(written: tuple[Scalar, str]) -> range:
    node, word = written
    if (bounds := _CPUS.fullmatch(word)) is None:
        raise Rejected(node, "bad-cpu", f"{quoted(word)} is neither a CPU nor a range of them", "", yaml_reading(node))
    first, last = int(bounds[1]), int(bounds[2] or bounds[1])
    if last > CPU_MOST or first > last:
        why = f"{word} goes backwards" if first > last else f"CPU {last} is not from 0 to {CPU_MOST}"
        raise Rejected(node, "out-of-range", why)
    return range(first, last + 1)


def environment(node: Node, context: Context) -> tuple[tuple[str, Template], ...]:
    """Variables, as a mapping or as a list of `K=V`. Every value is text."""
    if isinstance(node, Scalar):
        raise Rejected(node, "wrong-shape", "this is text, not a mapping")
    if isinstance(node, Mapping):
        pairs = gather(_variable, [(entry.key, entry.key.text, entry.value) for entry in node.entries])
    else:
        pairs = gather(_Once(), gather(_assignment, node.items))
    return tuple(gather(lambda pair: (pair[0], settled(pair[1], pair[2], context)), pairs))


def _variable(part: tuple[Scalar, str, Node]) -> tuple[str, Node, str]:
    key, name, value = part
    if not _VARIABLE_NAME.fullmatch(name):
        raise Rejected(key, "bad-variable", f"{quoted(name)} is no name of a variable")
    if not isinstance(value, Scalar):
        raise Rejected(value, "wrong-shape", f"the value of {quoted(name)} is {kind_of(value)}, not text")
    return name, value, value.text


def _assignment(item: Node) -> tuple[str, Node, str]:
    written = scalar(item, "'NAME=value'")
    name, equals, value = written.text.partition("=")
    if not equals or not _VARIABLE_NAME.fullmatch(name):
        raise Rejected(item, "bad-variable", "this item is not 'NAME=value'")
    return name, item, value


class _Once:
    """Refuses a name that comes again."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def __call__(self, pair: tuple[str, Node, str]) -> tuple[str, Node, str]:
        if pair[0] in self._names:
            raise Rejected(pair[1], "duplicate-key", f"{quoted(pair[0])} is given a second time")
        self._names.add(pair[0])
        return pair


def settled(node: Node, written: str, context: Context) -> Template:
    """What `written`, a part of a node, is with its variables expanded."""
    try:
        return expand(written, context.world.environ, context.here)
    except Unexpandable as error:
        raise Rejected(node, "unset-variable", error.reason, "", error.hint) from None


def path(node: Node, context: Context) -> Template:
    """A path, made absolute from where taskmaster was started."""
    written = scalar(node, "a path").text
    template = settled(node, written, context)
    if not template.parts:
        raise Rejected(node, "bad-path", "the path is empty")
    if template.text.split("/")[0].startswith("~"):
        raise Rejected(node, "bad-path", "'~' is not expanded in paths", "", "write '${HOME}/...'")
    if any(not part.isprintable() for part in template.parts if isinstance(part, str)):
        raise Rejected(node, "bad-path", "the path holds a line break or a control character")
    return _absolute(template, context.world.cwd)


def _absolute(template: Template, cwd: str) -> Template:
    marked = template.fill("\0task\0", "\0instance\0", "\0n\0")
    pieces = _HOLE.split("/" + posixpath.normpath(posixpath.join(cwd, marked)).lstrip("/"))
    return Template.of(Slot(piece) if at % 2 else piece for at, piece in enumerate(pieces))


def daemon_path(node: Node, context: Context) -> str:
    """A path that belongs to no task, so that braces in it mean nothing."""
    return path(node, context).text


def log(node: Node, context: Context) -> Template | None:
    """A log file; `syslog`: the local syslog daemon; `none`: neither."""
    written = scalar(node, "a path").text
    return SENT if written == SYSLOG else None if written == _NO_FILE else path(node, context)


def daemon_log(node: Node, context: Context) -> str:
    """The event log: a file, or `syslog`."""
    return SYSLOG if scalar(node, "a path").text == SYSLOG else daemon_path(node, context)


def error_log(node: Node, context: Context) -> Template | None:
    """As `log`, or `stdout`: the same as the other stream."""
    return MERGED if scalar(node, "a path").text == "stdout" else log(node, context)


def env_files(node: Node, context: Context) -> tuple[Template, ...]:
    """Absolute paths; one that may be missing keeps its final `?`."""

    def convert(item: Node) -> Template:
        written = path(item, context)
        if not {Slot.INSTANCE, Slot.N}.isdisjoint(written.parts):
            raise Rejected(
                item, "bad-path", "one environment file serves all instances of a task; only '{task}' can stand in it"
            )
        return written

    return tuple(gather(convert, items(node)))


def limits(node: Node, _context: Context) -> tuple[tuple[str, int, int], ...]:
    """Limits by their names, sorted."""
    if not isinstance(node, Mapping):
        raise Rejected(node, "wrong-shape", f"this is {kind_of(node)}, not a mapping")
    given = [entry for entry in node.entries if not entry.key.text.startswith(FREE_PREFIX)]
    return tuple(sorted(gather(_limit, [(entry.key, entry.value) for entry in given])))


def _limit(pair: tuple[Scalar, Node]) -> tuple[str, int, int]:
    key, node = pair
    name = key.text.lower().removeprefix("rlimit_")
    if name not in _BYTES | _COUNTS:
        known = sorted(_BYTES | _COUNTS)
        why = f"there is no limit {quoted(key.text)}"
        raise Rejected(key, "unknown-limit", why, "one of " + " ".join(known), did_you_mean(name, known))
    value = scalar(node, "a limit")
    soft, colon, hard = value.text.partition(":")
    least = _bound(name, value, soft)
    most = _bound(name, value, hard) if colon else least
    if most != UNLIMITED and (least == UNLIMITED or least > most):
        raise Rejected(value, "out-of-range", f"the soft limit {soft} is over the hard limit {hard}")
    return name, least, most


def _bound(name: str, node: Scalar, written: str) -> int:
    if written in _NO_LIMIT:
        return UNLIMITED
    if name in _BYTES or written.isdecimal():
        return size_of(node, written)
    raise Rejected(node, "bad-number", f"{quoted(written)} is not a plain whole number")
