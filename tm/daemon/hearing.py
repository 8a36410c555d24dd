"""Which instances say something of themselves over NOTIFY_SOCKET: those whose task asks for that, by `watchdog` or
`readiness: {notify: true}`.

Guarantees: a daemon none of whose tasks asks for it imports and watches nothing for it.
Leaves to others: the sockets and what follows from what is said (`daemon.ears`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tm.core.effects import Send
from tm.core.launch import Launch, SpawnFailure
from tm.core.process import Occurrence, Process
from tm.daemon.adoption import Parties
from tm.daemon.succession import Estate
from tm.daemon.wiring import Key

if TYPE_CHECKING:
    from tm.core.utterance import Said
    from tm.daemon.ears import Ears

_DIRECTORY: Final = "notify"


class Hearing:
    """Of one daemon. The sockets are below its state directory."""

    def __init__(self, parties: Parties, estate: Estate) -> None:
        self._parties = parties
        self._ward = estate.ward
        self._directory = ""
        if estate.journal is not None:
            self._directory = os.path.join(os.path.dirname(os.path.realpath(estate.journal.path)), _DIRECTORY)
        self._ears: Ears | None = None
        parties.machine.hear = self.open

    def open(self, key: Key, launch: Launch) -> Launch | SpawnFailure:
        """The launch with a socket of its own to speak to, where its task asks for it; why it cannot have one."""
        if launch.speaks and not sys.platform.startswith("linux"):
            return SpawnFailure("notify", "only Linux tells who has said something to a NOTIFY_SOCKET")
        return self._all().open(key, launch) if launch.speaks else launch

    def observe(self, before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the supervisor."""
        if self._ears is not None:
            self._ears.observe(before, what, after)

    def resume(self) -> None:
        """Go on with those whose processes were taken over."""
        if self._directory and os.path.isdir(self._directory):
            self._all().resume()

    def said(self, row: Process) -> Said | None:
        """What it has said of itself; None where nobody listens to it."""
        return None if self._ears is None else self._ears.said((row.task.name, row.n))

    def _all(self) -> Ears:
        if self._ears is None:
            from tm.daemon.ears import Ears

            self._ears = Ears(self._parties, self._ward, self._directory)
        return self._ears
