"""The keys below `readiness` and `liveness`, each declared once, and how they become a probe.

Guarantees: the parser, the messages, the schema and the manual read these tables; of the ways to ask exactly one is
given, and nothing that means nothing beside it.
Leaves to others: what a probe is (`core.probe`), what has to fit the rest of its task (`core.settle`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from tm.core import blocks, command_line, kinds, values
from tm.core.commands import UsageError
from tm.core.context import Context
from tm.core.errors import did_you_mean, quoted
from tm.core.field import FREE_PREFIX, Field, Kind, Table
from tm.core.log_query import Sieve
from tm.core.nodes import AllRejected, Entry, Mapping, Node, Rejected, Scalar, gather, kind_of, scalar
from tm.core.probe import EXEC, HTTP, LOG, NOTIFY, TCP, BadAddress, Probe, http_target, tcp_address
from tm.core.task import OnReload
from tm.core.template import Template

KINDS: Final = (EXEC, HTTP, TCP, LOG, NOTIFY)
"""The ways to ask; one of them makes a probe."""
TIMEOUT_MOST_S: Final = 3600.0
_COUNT_MOST: Final = 10_000
_CODES = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
_ONLY_WITH: Final = {"status": (HTTP,), "method": (HTTP,), "path": (HTTP,)}
_OF_QUESTIONS: Final = ("period", "timeout", "failures", "successes", "delay")
_NOT_WITH_ALL: Final = {LOG: _OF_QUESTIONS, NOTIFY: _OF_QUESTIONS}


def _command(node: Node, context: Context) -> tuple[Template, ...]:
    try:
        return command_line.argv(blocks.command(node, context), None, context.here)
    except command_line.BadCommand as error:
        raise Rejected(node, "bad-command", error.why) from None


def _address(check: Callable[[str], object]) -> Callable[[Node, Context], Template]:
    """An address with slots, of which one filling is tried."""

    def convert(node: Node, context: Context) -> Template:
        template = blocks.settled(node, scalar(node, "an address").text.strip(), context)
        try:
            check(template.fill("task", "task_1", 1))
        except BadAddress as error:
            raise Rejected(node, "bad-address", error.why, "", error.hint) from None
        return template

    return convert


def _url(text: str) -> object:
    return http_target(text, "")


def _pattern(node: Node, _context: Context) -> str:
    written = scalar(node, "a regular expression").text
    try:
        found_in_nothing = Sieve(written).passes(b"")
    except UsageError as error:
        raise Rejected(node, "bad-pattern", str(error).rstrip(".")) from None
    if found_in_nothing:
        raise Rejected(node, "bad-pattern", "this is found in every line, also in one that is empty")
    return written


def _notify(node: Node, context: Context) -> bool:
    if not values.switch(node, context):
        raise Rejected(node, "no-probe", "this asks for nothing", "", "leave 'readiness' out")
    return True


def _path(node: Node, _context: Context) -> str:
    written = scalar(node, "a path").text
    if not re.fullmatch(r"/[!-~]*", written) or "#" in written:
        raise Rejected(node, "bad-path", "what is asked for begins with '/' and is ASCII without spaces and '#'")
    return written


def _status(node: Node, _context: Context) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(gather(_codes, blocks.words(node))))


def _codes(written: tuple[Scalar, str]) -> tuple[int, int]:
    node, word = written
    if (found := _CODES.fullmatch(word)) is None or int(found[2] or found[1]) < int(found[1]):
        raise Rejected(node, "bad-status", f"{quoted(word)} is neither a status from 100 to 599 nor a range of them")
    return int(found[1]), int(found[2] or found[1])


def _some_time(node: Node, context: Context) -> float:
    seconds = values.some_time(node, context)
    if seconds > TIMEOUT_MOST_S:
        raise Rejected(node, "out-of-range", f"{quoted(scalar(node).text)} is longer than an hour")
    return seconds


_TEXT: Final = {"type": "string"}
_CODE: Final = {"type": ["integer", "string"], "pattern": "^[1-5][0-9][0-9](-[1-5][0-9][0-9])?(,.*)?$"}
_METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT")

EXEC_KIND: Final = Kind(_command, kinds.COMMAND.expected, kinds.COMMAND.schema)
HTTP_KIND: Final = Kind(_address(_url), "http://host:port/path, or unix:///path of a socket", _TEXT)
TCP_KIND: Final = Kind(_address(tcp_address), "host:port, or unix:///path of a socket", _TEXT)
LOG_KIND: Final = Kind(_pattern, "a regular expression", _TEXT)
NOTIFY_KIND: Final = Kind(_notify, "true", {"enum": [True]})
STATUS: Final = Kind(
    _status,
    "a status such as 200, a range such as 200-299, or a list of them",
    {"anyOf": [_CODE, {"type": "array", "items": _CODE}]},
)
METHOD: Final = kinds.one_of({word: word for word in _METHODS}, advertised=len(_METHODS))
PATH: Final = Kind(_path, "a path that begins with /", _TEXT)
PERIOD: Final = Kind(_some_time, f"{kinds.SOME_TIME.expected}, an hour at most", kinds.SOME_TIME.schema)
_SUCCESSES: Final = kinds.number(1, _COUNT_MOST)

# fmt: off
_ASKED: Final = (
    Field("exec", "words", EXEC_KIND, "", OnReload.LIVE,
          "A command, as text or as a list of words, that is run as the task's user, in its directory and with its "
          "environment; exit code 0 is a success. What it says is kept for the message of a failure."),
    Field("http", "address", HTTP_KIND, "", OnReload.LIVE,
          "A URL that is asked for; redirections are not followed, and names other than `localhost` not looked up. A "
          "unix socket is written `unix:///path`."),
    Field("tcp", "address", TCP_KIND, "", OnReload.LIVE,
          "Where to connect: `host:port`, or `unix:///path`. That it is accepted is a success."),
)
_HTTP: Final = (
    Field("status", "status", STATUS, "200-399", OnReload.LIVE, "With `http`: the answers that are a success."),
    Field("method", "method", METHOD, "GET", OnReload.LIVE, "With `http`: how it is asked."),
    Field("path", "path", PATH, "", OnReload.LIVE, "With `http` and a unix socket: what is asked for, or `/`."),
)
_COUNTED: Final = (
    Field("timeout", "timeout_s", PERIOD, "1", OnReload.LIVE,
          "How long an answer may take; then it is a failure, and a command gets SIGKILL with its process group.", (),
          "seconds"),
    Field("successes", "successes", _SUCCESSES, "1", OnReload.LIVE,
          "So many successes in a row make it ready, or make failures forgotten."),
    Field("delay", "delay_s", kinds.DURATION, "0", OnReload.LIVE,
          "How long nothing is asked after its start, and for `liveness` after it became ready, where the first period "
          "begins then.", (), "seconds"),
)
READINESS_FIELDS: Final = (
    *_ASKED,
    Field("log", "pattern", LOG_KIND, "", OnReload.LIVE,
          "A regular expression that is looked for in each line of its output, stdout and stderr, until one has it; "
          "it is taken as written. No other key stands beside it."),
    Field("notify", "notify", NOTIFY_KIND, "", OnReload.LIVE,
          "`true`: it says READY=1 itself, to the socket in its variable NOTIFY_SOCKET, as sd_notify(3) and "
          "systemd-notify(1) do. No other key stands beside it."),
    *_HTTP,
    Field("period", "period_s", PERIOD, "0.5", OnReload.LIVE,
          "How long from one question to the next; never before the one before is answered.", (), "seconds"),
    Field("failures", "failures", kinds.number(0, _COUNT_MOST), "0", OnReload.LIVE,
          "So many failures in a row are a failed start; 0: only `successfulStartTimeout` decides."),
    *_COUNTED,
)
LIVENESS_FIELDS: Final = (
    *_ASKED,
    *_HTTP,
    Field("period", "period_s", PERIOD, "10", OnReload.LIVE,
          "How long from one question to the next; never before the one before is answered.", (), "seconds"),
    Field("failures", "failures", kinds.number(1, _COUNT_MOST), "3", OnReload.LIVE,
          "So many failures in a row end it."),
    *_COUNTED,
)
# fmt: on


def _reader(table: Table) -> Callable[[Node, Context], Probe]:
    """The reading of one probe."""

    def convert(node: Node, context: Context) -> Probe:
        if not isinstance(node, Mapping):
            raise Rejected(node, "wrong-shape", f"this is {kind_of(node)}, not a mapping", "keys with their values")
        entries = _entries(node, table)
        kind = _kind(node, entries)
        gather(lambda pair: _check_use(*pair, kind), entries.items())
        probe = Probe(kind, **{**_defaults(table, kind, context), **_values(table, entries, context)})
        if probe.path:
            _check_path(probe, entries)
        return probe

    return convert


def _entries(node: Mapping, table: Table) -> dict[str, Entry]:
    """What is written, by key: each known, and given once; what is empty is not given."""
    entries: dict[str, Entry] = {}
    rejections: list[Rejected] = []
    for entry in sorted(node.entries, key=lambda each: each.merged):
        key = entry.key.text
        if key not in table.by_spelling and not key.startswith(FREE_PREFIX):
            hint = did_you_mean(key, table.by_spelling)
            rejections.append(Rejected(entry.key, "unknown-key", f"unknown key {quoted(key)}", table.what, hint))
        elif key in table.by_spelling and not (isinstance(entry.value, Scalar) and entry.value.is_null):
            entries.setdefault(key, entry)
    if rejections:
        raise AllRejected(rejections)
    return entries


def _kind(node: Node, entries: dict[str, Entry]) -> str:
    """The one way to ask that is given."""
    kinds_given = [key for key in entries if key in KINDS]
    if not kinds_given:
        raise Rejected(node, "no-probe", "it does not say how to ask", "one of " + ", ".join(KINDS))
    if len(kinds_given) > 1:
        why = f"{quoted(kinds_given[0])} and {quoted(kinds_given[1])} are two ways to ask"
        raise Rejected(entries[kinds_given[1]].key, "two-probes", why, "one of them")
    return kinds_given[0]


def _check_use(key: str, entry: Entry, kind: str) -> None:
    if reason := _useless(key, kind):
        raise Rejected(entry.key, "meaningless", f"{quoted(key)} means nothing {reason}")


def _useless(key: str, kind: str) -> str:
    """Why a key has no effect beside this way to ask, or ''."""
    if key in _ONLY_WITH and kind not in _ONLY_WITH[key]:
        return f"beside {quoted(kind)}: it belongs to {quoted(_ONLY_WITH[key][0])}"
    if key in _NOT_WITH_ALL.get(kind, ()):
        return f"beside {quoted(kind)}: that is waited for, not asked for"
    return ""


def _values(table: Table, entries: dict[str, Entry], context: Context) -> dict[str, Any]:
    """What the keys say, by attribute."""
    found: dict[str, Any] = {}
    rejections: list[Rejected] = []
    for key, entry in entries.items():
        each = table.by_spelling[key]
        try:
            found[each.attribute] = each.convert(entry.value, context)
        except AllRejected as rejected:
            rejections += [replace(one, why=f"{quoted(key)}: {one.why}") for one in rejected.rejections]
    if rejections:
        raise AllRejected(rejections)
    return found


def _defaults(table: Table, kind: str, context: Context) -> dict[str, Any]:
    """What holds where nothing is given, of what means something."""
    fields = [each for each in table.fields if each.default and not _useless(each.key, kind)]
    return {each.attribute: each.default_for(context) for each in fields}


def _check_path(probe: Probe, entries: dict[str, Entry]) -> None:
    assert probe.address is not None
    try:
        http_target(probe.address.fill("task", "task_1", 1), probe.path)
    except BadAddress as error:
        raise Rejected(entries["path"].key, "bad-address", error.why, "", error.hint) from None


def _schema(fields: Sequence[Field]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for each in fields:
        properties[each.key] = {"description": each.doc, "anyOf": [dict(each.convert.schema), {"type": "null"}]}
        if each.default:
            properties[each.key]["default"] = each.default_value
    free: dict[str, Any] = {f"^{FREE_PREFIX}": {}}
    return {"type": "object", "properties": properties, "patternProperties": free, "additionalProperties": False}


READINESS_TABLE: Final = Table("a key of readiness", READINESS_FIELDS)
LIVENESS_TABLE: Final = Table("a key of liveness", LIVENESS_FIELDS)
READINESS: Final = Kind(
    _reader(READINESS_TABLE),
    "exec, http, tcp, log or notify, with the keys that belong to it",
    _schema(READINESS_FIELDS),
)
LIVENESS: Final = Kind(
    _reader(LIVENESS_TABLE), "exec, http or tcp, with the keys that belong to it", _schema(LIVENESS_FIELDS)
)
