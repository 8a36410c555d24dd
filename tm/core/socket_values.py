"""How the sockets of a task are written: `name: URL`, or `name: {url: URL, mode: .., user: .., group: ..}`.

Guarantees: an address is one that can be listened at without asking anybody for it: a number, `localhost`, or an
absolute path; what is refused is told at its place.
Leaves to others: whether two tasks want the same place (`core.checks`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from tm.core import values
from tm.core.context import Context
from tm.core.errors import did_you_mean, quoted
from tm.core.field import FREE_PREFIX
from tm.core.listening import Socket
from tm.core.nodes import Entry, Node, Rejected, Scalar, gather, kind_of, scalar
from tm.core.nodes import Mapping as MappingNode
from tm.core.template import Slot, Template, Unexpandable, expand

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TCP = re.compile(r"tcp://(?:\[(?P<six>[^\]]*)\]|(?P<four>[^\[\]/:]*)):(?P<port>[0-9]*)/?")
_UNIX: Final = "unix://"
_PORT_MOST: Final = 65535
_FORMS: Final = "'tcp://ADDRESS:PORT' or 'unix:///PATH'"
_OF_FILES: Final[Mapping[str, Callable[[Node, Context], Any]]] = {
    "mode": values.octal,
    "user": values.user,
    "group": values.group,
}


def sockets(node: Node, context: Context) -> tuple[Socket, ...]:
    """Sockets by their names, in the order in which they are given to the program."""
    if not isinstance(node, MappingNode):
        raise Rejected(node, "wrong-shape", f"this is {kind_of(node)}, not a mapping")
    given = [entry for entry in node.entries if not entry.key.text.startswith(FREE_PREFIX)]
    return tuple(gather(partial(_socket, context), given))


def _socket(context: Context, entry: Entry) -> Socket:
    if not _NAME.fullmatch(entry.key.text):
        why = f"{quoted(entry.key.text)} is no name of a socket"
        raise Rejected(entry.key, "bad-name", why, "1 to 64 letters, digits and '_.-'")
    if not isinstance(entry.value, MappingNode):
        return _listening(entry.key.text, scalar(entry.value, "an address"), context)
    parts = {each.key.text: each for each in entry.value.entries if not each.key.text.startswith(FREE_PREFIX)}
    gather(_known, [each.key for each in parts.values()])
    if "url" not in parts:
        raise Rejected(entry.value, "bad-socket", f"the socket {quoted(entry.key.text)} has no 'url'", _FORMS)
    found = _listening(entry.key.text, scalar(parts["url"].value, "an address"), context)
    about = {key: read(parts[key].value, context) for key, read in _OF_FILES.items() if key in parts}
    if about and found.host:
        key = next(iter(about))
        raise Rejected(parts[key].key, "bad-socket", f"{quoted(key)} is that of a file, and {found.text} has none")
    return found._replace(**about)


def _known(key: Scalar) -> None:
    if key.text != "url" and key.text not in _OF_FILES:
        known = ["url", *_OF_FILES]
        why = f"unknown key {quoted(key.text)} in a socket"
        raise Rejected(key, "unknown-key", why, "one of " + " ".join(known), did_you_mean(key.text, known))


def _listening(name: str, node: Scalar, context: Context) -> Socket:
    try:
        url = expand(node.text, context.world.environ, context.here)
    except Unexpandable as error:
        raise Rejected(node, "unset-variable", error.reason, "", error.hint) from None
    if not {Slot.INSTANCE, Slot.N}.isdisjoint(url.parts):
        raise Rejected(node, "bad-socket", "one socket serves all instances of a task; only '{task}' can stand in it")
    if url.text.startswith(_UNIX):
        return Socket(name, path=_path(node, url))
    if (found := _TCP.fullmatch(url.text)) is None:
        raise Rejected(node, "bad-socket", f"{quoted(url.text)} is no address to listen at", _FORMS)
    return Socket(name, _host(node, found["six"], found["four"]), _port(node, found["port"]))


def _path(node: Scalar, url: Template) -> Template:
    first, *rest = url.parts
    path = Template.of([str(first).removeprefix(_UNIX), *rest])
    if not path.text.startswith("/") or path.text.endswith("/"):
        hint = "'unix://{here}/name.sock' is beside this file"
        raise Rejected(node, "bad-socket", f"{quoted(path.text)} is not the absolute path of a file", _FORMS, hint)
    if not path.text.isprintable():
        raise Rejected(node, "bad-socket", "the path holds a line break or a control character")
    return path


def _host(node: Scalar, six: str | None, four: str | None) -> str:
    """The address in its one form. A name would have to be looked up, which may take any time."""
    try:
        if six is not None:
            return str(ipaddress.IPv6Address(six))
        return "127.0.0.1" if four == "localhost" else str(ipaddress.IPv4Address(four or ""))
    except ipaddress.AddressValueError:
        why = f"{quoted(six if six is not None else four or '')} is no address of a machine"
        hint = "'tcp://0.0.0.0:PORT' and 'tcp://[::]:PORT' are all addresses that there are; IPv6 stands in brackets"
        raise Rejected(
            node, "bad-socket", why, "an IPv4 address, an IPv6 address in brackets, or localhost", hint
        ) from None


def _port(node: Scalar, written: str) -> int:
    port = int(written) if written and len(written) < 7 else 0
    if not 1 <= port <= _PORT_MOST:
        why = f"{quoted(written)} is not from 1 to {_PORT_MOST}"
        raise Rejected(node, "out-of-range", f"the port {why}" if written else "there is no port", _FORMS)
    return port
