"""A probe: how taskmaster finds out that a process is ready, or still well, as a value; and the counting of answers.

Guarantees: an address is one that can be used without asking anybody for it, so that nothing in the loop waits for a
name; a `Tally` tells at most once.
Leaves to others: the keys (`core.probe_keys`), asking (`daemon.probes`), and what follows (`core.transitions`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

from tm.core.template import Template

EXEC: Final = "exec"
HTTP: Final = "http"
TCP: Final = "tcp"
LOG: Final = "log"
NOTIFY: Final = "notify"

PATH_MOST_BYTES: Final = 107
"""What the kernel has room for in the address of a unix socket."""

_HOST_AND_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,6})")
_URL = re.compile(r"http://(?P<where>[^/?#]*)(?P<path>[^#]*)(?P<fragment>#.*)?")
_PRINTABLE = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe. `kind`: EXEC, HTTP, TCP, LOG or NOTIFY; of `words`, `address`, `pattern` and `notify` the one that
    belongs to it is set.

    `failures`: so many in a row decide against the process, 0: none do; `successes`: so many in a row for it.
    `status`: the codes of an answer that are a success, as ranges.
    """

    kind: str
    words: tuple[Template, ...] = ()
    address: Template | None = None
    pattern: str = ""
    notify: bool | None = None
    path: str = ""
    method: str = ""
    status: tuple[tuple[int, int], ...] = ()
    period_s: float = 1.0
    timeout_s: float = 1.0
    failures: int = 0
    successes: int = 1
    delay_s: float = 0.0


UNSAID: Final = "it has not said READY=1 to NOTIFY_SOCKET; does it know sd_notify?"
"""Why one is not ready that has to say so itself."""


def given(probe: Probe) -> dict[str, object]:
    """What a probe holds beside what means nothing, for a digest or for people."""
    return {each.name: value for each in fields(probe) if (value := getattr(probe, each.name)) not in (None, (), "")}


class Address(NamedTuple):
    """Where something listens: a unix socket at `path`, else `host`, a number or `localhost`, and `port`."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


class Target(NamedTuple):
    """Whom to ask over HTTP, and for what."""

    address: Address
    path: str


class BadAddress(Exception):
    """A text that is no address. `why` is a sentence without a full stop, `hint` what to write instead, or ''."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


def tcp_address(text: str) -> Address:
    """`host:port`, also behind `tcp://`, or a unix socket as `unix:///path` or `/path`. Raises BadAddress."""
    if text.startswith("/"):
        return _unix(text)
    scheme, mark, rest = text.partition("://")
    match (scheme, bool(mark)):
        case "unix", True:
            return _unix(rest)
        case "tcp", True:
            return _host_and_port(rest)
        case _, False:
            return _host_and_port(text)
        case _:
            raise BadAddress(f"'{scheme}' is neither tcp nor unix", "write 'host:port', or 'unix:///path'")


def http_target(text: str, path: str) -> Target:
    """`http://host:port/path`, or `unix:///path` of a socket that is asked for `path`. Raises BadAddress."""
    scheme = text.partition(":")[0].lower()
    if text.startswith("unix://"):
        return Target(_unix(text.removeprefix("unix://")), path or "/")
    if scheme == "https":
        raise BadAddress("https is not spoken", "use 'exec' with a program that does, as 'curl --fail ...'")
    if (found := _URL.fullmatch(text)) is None:
        raise BadAddress(f"'{text}' is no URL of http", "write 'http://host:port/path', or 'unix:///path'")
    if path:
        raise BadAddress("this URL has a path of its own, and 'path' is for a unix socket", "write it into the URL")
    if found["fragment"] or not _PRINTABLE.fullmatch(found["path"]):
        raise BadAddress("its path holds a '#', a space or a character that is not ASCII", "write '%23' or '%20'")
    where = found["where"]
    address = _host_and_port(where if re.search(r":[0-9]+$", where) else f"{where}:80")
    asked = found["path"] or "/"
    return Target(address, asked if asked.startswith("/") else f"/{asked}")


def _unix(path: str) -> Address:
    if not path.startswith("/"):
        raise BadAddress("the path of a unix socket is absolute, and stands behind 'unix://'", "write 'unix:///path'")
    if len(path.encode("utf-8", "surrogateescape")) > PATH_MOST_BYTES or "\0" in path:
        raise BadAddress(f"the path of a unix socket has {PATH_MOST_BYTES} bytes at most")
    return Address("", 0, path)


def _host_and_port(text: str) -> Address:
    if "@" in text:
        raise BadAddress("a user or password is not sent", "use 'exec' with a program that does")
    if (found := _HOST_AND_PORT.fullmatch(text)) is None:
        raise BadAddress(f"'{text}' is not 'host:port'", "an address of IPv6 stands in brackets: '[::1]:80'")
    port = int(found["port"])
    if not 0 < port < 65536:
        raise BadAddress(f"there is no port {port}", "ports are numbers from 1 to 65535")
    return Address(found["six"] or _host(found["host"]), port)


def _host(text: str) -> str:
    numbers = text.split(".")
    if text != "localhost" and not (len(numbers) == 4 and all(_is_byte(each) for each in numbers)):
        raise BadAddress(
            f"'{text}' is a name that would have to be looked up, which can take long",
            "write its number; where the program runs is 'localhost' or 127.0.0.1",
        )
    return text


def _is_byte(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) < 256


def late(limit_s: float, last: str) -> str:
    """The fault of a process that was not ready in time. `last`: why it was not when it was asked last, or ''."""
    return f"not ready within {limit_s:g}s" + (f": {last}" if last else "")


class Tally:
    """Counts answers in a row. `last`: why the last one was a failure, '' at first and after a success; `bad`: how many
    failures count.
    """

    def __init__(self, successes: int, failures: int) -> None:
        self._enough = successes
        self._too_many = failures
        self._good = self.bad = 0
        self.last = ""

    def passed(self) -> bool:
        """A success; whether it is the one that decides."""
        self.last = ""
        self._good += 1
        if self._good >= self._enough:
            self.bad = 0
        return self._good == self._enough

    def failed(self, why: str) -> bool:
        """A failure; whether it is the one that decides."""
        self.last = why
        self._good = 0
        self.bad += 1
        return self.bad == self._too_many
