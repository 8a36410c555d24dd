"""What a program says of itself over NOTIFY_SOCKET, as sd_notify(3) has it: a datagram into a value, and what is known
of the program after it.

Guarantees: `parse` takes any bytes and never raises; what it does not know, or what makes no sense, is as if it had not
been said; a status is one line of bounded length that no terminal is harmed by.
Leaves to others: whose datagram it is and what follows from it (`daemon.ears`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tm.core.lines import decoded, plain

RELOADING: Final = "reloading"
STOPPING: Final = "stopping"

_STATUS_MOST: Final = 200
_DIGITS_MOST: Final = 18
_MOST_PID: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Utterance:
    """One datagram. `alive`: WATCHDOG=1, `faulty`: WATCHDOG=trigger; `extend_s`: it asks for so much time from now."""

    ready: bool = False
    reloading: bool = False
    stopping: bool = False
    alive: bool = False
    faulty: bool = False
    status: str | None = None
    main_pid: int | None = None
    extend_s: float | None = None


class Said(NamedTuple):
    """What a program has said of itself by now. `phase`: RELOADING, STOPPING or ''."""

    status: str = ""
    phase: str = ""
    main_pid: int | None = None

    @property
    def text(self) -> str:
        """All of it, for people; '' for nothing."""
        main = "" if self.main_pid is None else f"its main process is {self.main_pid}"
        return ", ".join(each for each in (self.phase, self.status, main) if each)


def parse(data: bytes) -> Utterance:
    """Read a datagram: a line `NAME=value` each, the last one of a name counts."""
    facts: dict[str, Any] = {}
    for line in data.rstrip(b"\0").split(b"\n"):
        name, _, value = line.partition(b"=")
        if (read := _READ.get(name)) is not None:
            facts.update(read(value))
    return Utterance(**facts)


def after(said: Said, what: Utterance) -> Said:
    """What is known with this. The end wins over a reload, and a reload over being ready, where one datagram says
    several; whose pid it names is judged by others.
    """
    phase = STOPPING if what.stopping else RELOADING if what.reloading else "" if what.ready else said.phase
    return said._replace(phase=phase, status=said.status if what.status is None else what.status)


def shown(said: Said | None) -> str:
    """What a program says of itself, behind two spaces; '' where that is nothing."""
    return f"  Says: {said.text}" if said is not None and said.text else ""


def _is_said(attribute: str) -> Callable[[bytes], dict[str, Any]]:
    def read(value: bytes) -> dict[str, Any]:
        return {attribute: True} if value == b"1" else {}

    return read


def _status(value: bytes) -> dict[str, Any]:
    return {"status": plain(decoded(value)).strip()[:_STATUS_MOST]}


def _watchdog(value: bytes) -> dict[str, Any]:
    return {b"1": {"alive": True}, b"trigger": {"faulty": True}}.get(value, {})


def _main_pid(value: bytes) -> dict[str, Any]:
    number = _number(value)
    return {"main_pid": number} if 0 < number <= _MOST_PID else {}


def _extend(value: bytes) -> dict[str, Any]:
    number = _number(value)
    return {"extend_s": number / 1e6} if number > 0 else {}


def _number(value: bytes) -> int:
    """A number in decimal digits, -1 for anything else; one of more digits than a time or a pid has is as that."""
    return int(value) if value.isdigit() and len(value) <= _DIGITS_MOST else -1


_READ: Final[Mapping[bytes, Callable[[bytes], dict[str, Any]]]] = {
    b"READY": _is_said("ready"),
    b"RELOADING": _is_said("reloading"),
    b"STOPPING": _is_said("stopping"),
    b"STATUS": _status,
    b"WATCHDOG": _watchdog,
    b"MAINPID": _main_pid,
    b"EXTEND_TIMEOUT_USEC": _extend,
}
