"""Who stands by the processes, beside the table: what asks them, hears them, and holds them to what they may use.

Guarantees: each of them hears of every change of a row, of every configuration, of what is gone for good, and of the
end, once; none of them knows another.
Leaves to others: what each does, and the table, which alone changes a row.
"""

from __future__ import annotations

from tm.core.config import Config
from tm.core.exitstatus import ExitStatus
from tm.core.process import Process
from tm.core.records import Level
from tm.daemon.adoption import Parties
from tm.daemon.control import Control
from tm.daemon.health import Health
from tm.daemon.hearing import Hearing
from tm.daemon.hook_records import HookRecords
from tm.daemon.hooks import Hooks
from tm.daemon.limits import Limits
from tm.daemon.notification import Notifications
from tm.daemon.on_demand import OnDemand
from tm.daemon.rolling import Rolling
from tm.daemon.succession import Estate, Succession
from tm.daemon.terminals import Terminals
from tm.daemon.watching import Watching


class Attendants:
    """All of them."""

    def __init__(
        self,
        parties: Parties,
        estate: Estate,
        control: Control,
        succession: Succession,
        notifications: Notifications,
    ) -> None:
        loop, supervisor, log = parties.loop, parties.supervisor, parties.log

        def trouble(sentence: str) -> None:
            log.write(Level.ERROR, "taskmaster", "hook", sentence)
            control.tell(sentence)

        records = HookRecords(loop, estate.beside("hooks"), trouble)
        self.hooks = Hooks(supervisor, notifications.errands, log, records, supervisor.environ)
        self._watching = Watching(loop, supervisor, log)
        self._on_demand = OnDemand((loop, supervisor, log), control.reloading, control)
        self._health = Health(parties, lambda: succession.ours)
        self._hearing = Hearing(parties, estate)
        self.terminals = Terminals(parties, estate, control.rows)
        self._limits = Limits(parties, estate.ward)
        self.rolling = Rolling(loop, supervisor, log, estate.ward)
        self.rolling.tell, control.roll = lambda text: control.tell(text), self.rolling.asked
        control.views.last_answer, control.views.facts.said = self._health.last, self._hearing.said
        hear = (self.hooks, self._health, self._hearing, self._limits, self.rolling, self.terminals)
        supervisor.observers += [each.observe for each in hear]

    def begin(self, config: Config) -> None:
        """Nothing is taken over or started yet."""
        self._on_demand.begin(config)
        self._limits.begin(config)

    def taken_over(self) -> None:
        """What an earlier daemon has left is known."""
        self.terminals.taken_over()
        self._hearing.resume()

    def booted(self) -> None:
        """Everything that launches by itself has been started."""
        self.rolling.resume()

    def applied(self, config: Config) -> None:
        """Another configuration holds from now on."""
        self._watching.apply(config)
        self._on_demand.apply(config)
        self._health.look_again()
        self._limits.apply(config)

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """A child that is no instance has ended."""
        self._health.reaped(pid, status)

    def dropped(self, row: Process) -> None:
        """It is gone for good."""
        key = (row.task.name, row.n)
        self.hooks.dropped(key)
        self._limits.forget(key)
        self.rolling.dropped(row)

    def end(self) -> None:
        """The daemon leaves."""
        self._health.end()

    def close(self) -> None:
        """Give back what is watched."""
        self._watching.close()
        self._on_demand.close()
