"""Who stands by the processes, beside the table: what asks them, hears them, and holds them to what they may use.

Guarantees: each of them hears of every change of a row, of every configuration, of what is gone for good, and of the
end, once; none of them knows another.
Leaves to others: what each does, and the table, which alone changes a row.
"""

from __future__ import annotations

from tm.core.exitstatus import ExitStatus
from tm.core.process import Process
from tm.daemon.adoption import Parties
from tm.daemon.control import Control
from tm.daemon.health import Health
from tm.daemon.hearing import Hearing
from tm.daemon.limits import Limits
from tm.daemon.rolling import Rolling
from tm.daemon.succession import Estate, Succession
from tm.daemon.terminals import Terminals


class Attendants:
    """All of them."""

    def __init__(self, parties: Parties, estate: Estate, control: Control, succession: Succession) -> None:
        loop, supervisor = parties.loop, parties.supervisor
        self._health = Health(parties, lambda: succession.ours)
        self._hearing = Hearing(parties, estate)
        self.terminals = Terminals(parties, estate, control.rows)
        self._limits = Limits(loop, supervisor, parties.machine.reach)
        self.rolling = Rolling(loop, supervisor, parties.log, estate.ward)
        self.rolling.tell, control.roll = lambda text: control.tell(text), self.rolling.asked
        control.views.last_answer, control.views.said = self._health.last, self._hearing.said
        hear = (self._health, self._hearing, self._limits, self.rolling, self.terminals)
        supervisor.observers += [each.observe for each in hear]

    def taken_over(self) -> None:
        """What an earlier daemon has left is known."""
        self.terminals.taken_over()
        self._hearing.resume()

    def booted(self) -> None:
        """Everything that launches by itself has been started."""
        self.rolling.resume()

    def applied(self) -> None:
        """Another configuration holds from now on."""
        self._health.look_again()
        self._limits.apply()

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """A child that is no instance has ended."""
        self._health.reaped(pid, status)

    def dropped(self, row: Process) -> None:
        """It is gone for good."""
        self._limits.forget((row.task.name, row.n))
        self.rolling.dropped(row)

    def end(self) -> None:
        """The daemon leaves."""
        self._health.end()
