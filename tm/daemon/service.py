"""The daemon as a whole: the parts put together, its signals, its beginning and its end.

Guarantees: nothing is started before everything that can fail has been tried.
Leaves to others: how it leaves (`daemon.departure`).
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tm.core.config import Config
from tm.core.exitstatus import ExitStatus
from tm.core.launch import inherited, log_policy
from tm.core.notification import Sender
from tm.core.process import Process
from tm.core.records import Level
from tm.core.tail import Tails
from tm.daemon import departure
from tm.daemon.adoption import Parties
from tm.daemon.answers import Answer
from tm.daemon.attendants import Attendants
from tm.daemon.boot import kept_down, start_again
from tm.daemon.control import Control
from tm.daemon.deaths import Deaths
from tm.daemon.departure import Departure
from tm.daemon.notification import Notifications
from tm.daemon.outputs import Outputs
from tm.daemon.platform import Machine
from tm.daemon.reach import Reach
from tm.daemon.readings import Readings
from tm.daemon.reloading import Reloading, empty
from tm.daemon.room import make_room
from tm.daemon.succession import Estate, Succession
from tm.daemon.supervisor import Supervisor
from tm.daemon.tidings import Tidings
from tm.daemon.title import Title
from tm.daemon.unkillable import unsent
from tm.daemon.upgrade import Upgrade
from tm.edge.eventlog import EventLog
from tm.edge.loop import Loop, Rank
from tm.edge.notify import Notifier, watchdog_s
from tm.edge.outlet import Outlet
from tm.edge.signals import Signals

LEAVE = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
ACTED_ON = (*LEAVE, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True, slots=True)
class Parts:
    """What `main` has opened for the daemon."""

    reloading: Reloading
    log: EventLog
    environ: Mapping[str, str]
    notify: str | None = None
    """Where its service manager listens."""
    estate: Estate = field(default_factory=Estate)
    """What outlives a daemon."""


class Service:
    """One daemon. `on_signal`: a face's own view of a signal; true when it has dealt with it. `on_booted`: everything
    that launches by itself has been started; `on_leave`: the shutdown begins; `on_renew`: files may have gone, look;
    `on_dropped`: a process is gone for good, with its configuration.
    """

    _exit_code = 0

    def __init__(self, parts: Parts) -> None:
        self._log = parts.log
        self._reloading = parts.reloading
        config = parts.reloading.config
        self.loop = Loop(self._bug)
        self._reloading.readings = Readings(self.loop)
        self._stderr = Outlet(self.loop, 2) if parts.log.path is None else None
        if self._stderr is not None:
            self._log.put = self._stderr.put
        self._tails = Tails(config.settings.tail_memory_bytes)
        self.outputs = Outputs(self.loop, self._tails, self._trouble)
        self.outputs.files.slots = parts.estate.slots
        machine = Machine(self.outputs, Reach(parts.estate.journal.path if parts.estate.journal else None))
        self.supervisor = Supervisor(self.loop, machine, empty(config), parts.environ)
        self.control = Control(self.loop, self.supervisor, self._reloading, self.outputs, self._log)
        self.control.leave, self.control.keep = self.leave, self.leave_children
        self._deaths = Deaths(self.loop, self.supervisor, self.outputs)
        sender = Sender(inherited(parts.environ), self._reloading.directory, self._reloading.place, os.getpid())
        self._notifications = Notifications(self.loop, self.supervisor, self.outputs, self._log, sender)
        self._deaths.on_other = self._other_child
        self.upgrade = Upgrade(self.loop, self.supervisor, self._notifications, self._log)
        self.upgrade.settle = self._reloading.readings.rest
        self.control.reopen, self.control.upgrade = self._reopen, self.upgrade.begin
        self.control.rereading.on_refused = self._notifications.reload_refused
        self.outputs.reports.on_change = self._log_changed
        parties = Parties(self.loop, self.supervisor, machine, self.outputs, self._deaths, self._log)
        self.succession = Succession(parts.estate, parties, self._reloading.place, self._journal_trouble)
        self.guarded_by(self.succession.pid)
        self._signals = Signals(self._signalled)
        self._title = Title(self.loop, self.supervisor)
        every_s = None if parts.notify is None else watchdog_s(parts.environ, os.getpid())
        self._tidings = Tidings(Notifier(parts.notify), self._title, self.loop, every_s)
        self._listen_to_rows()
        self.attendants = Attendants(parties, parts.estate, self.control, self.succession, self._notifications)
        self._departure = self._prepare_the_end()
        self.on_signal: Callable[[int], bool] = _not_mine
        self.on_booted = self.on_leave = self.on_renew = self.on_adopted = _nothing
        self.on_dropped: Callable[[Process], None] = lambda row: None

    def _listen_to_rows(self) -> None:
        self.control.rereading.on_reload = self._tidings.reload
        self.supervisor.on_bug = self._impossible
        self.supervisor.on_unsent = self._unsent
        self.supervisor.on_dropped = self._dropped
        self.supervisor.on_applied = self._applied
        hear = (self.control.history, self.succession, self._title, self._notifications)
        self.supervisor.observers += [each.observe for each in hear]

    def _prepare_the_end(self) -> Departure:
        loop, supervisor, control, reloading = self.loop, self.supervisor, self.control, self._reloading
        told = self.succession, self._tidings, self._notifications, self.attendants.hooks, self._log
        return Departure(departure.Parts(loop, supervisor, control, reloading, *told), lambda: self.on_leave())

    def run(self) -> int:
        """Boot and serve until the end; the exit code."""
        self._log.write(Level.INFO, "taskmaster", "start", f"{self._reloading.config.path}, pid {self.succession.pid}")
        self.loop.soon(self._boot)
        try:
            self.loop.run()
        finally:
            self.outputs.settle(self._departure.kept())
            self._reloading.readings.end()
            self._departure.end()
            self._notifications.end()
            self.attendants.end()
            self.succession.end()
            self._log.write(Level.INFO, "taskmaster", "end", "leaving")
        return self._exit_code

    def exit_with(self, code: int) -> None:
        """With which exit code `run` is to return."""
        self._exit_code = code

    def _boot(self) -> None:
        """The first thing that the loop does, so that nothing that goes wrong in it can end the daemon."""
        try:
            self.attendants.begin(self._reloading.config)
            self.succession.take_over(self._reloading.config, self.attendants.hooks.resume())
            self.attendants.taken_over()
            self.loop.watch(self._signals.fd, self._signals.receive, Rank.DEATH)  # no death is heard before
            self._title.recount()
            self._deaths.reap()
            if by := self.succession.ordered_to_leave:
                self.leave(by)
                return
            self._reloading.boot(self.supervisor)
            if self.succession.was_leaving:
                start_again(self.supervisor, self._reloading)
            self.on_adopted()
            for name, sentence in kept_down(self.supervisor, self._reloading):
                if name:
                    self._log.write(Level.INFO, name, "wishes", sentence)
                self.control.tell(sentence)
        finally:
            self.supervisor.then(self._booted)

    def close(self) -> None:
        """Default signals again, and the loop's own descriptors given back."""
        if self._stderr is not None:
            self._log.put = None
            self._stderr.close()
        self.outputs.close()
        self.attendants.close()
        self._signals.close()
        self._tidings.close()
        self.loop.close()

    def guarded_by(self, pid: int) -> None:
        """This is the pid that people signal from now on."""
        self.control.views.daemon = pid
        self._notifications.sender = replace(self._notifications.sender, pid=pid)

    def leave(self, by: str) -> None:
        """A request to leave in order, on behalf of `by`."""
        self._departure.leave(by)

    def leave_children(self, by: str) -> Answer:
        """Leave on behalf of `by`, with everything left running for the next daemon; a failure says why not."""
        return self._departure.keep(by)

    def _booted(self) -> None:
        self._title.show()
        self.succession.booted()
        self.attendants.booted()
        if not self.control.leaving:
            self._tidings.booted()
        self.on_booted()

    def _signalled(self, signum: int) -> None:
        """One of the daemon's signals; SIGCHLD comes by the thousand and is not told."""
        if signum == signal.SIGCHLD:
            self._deaths.reap()
            return
        if self.on_signal(signum):
            return
        by = signal.Signals(signum).name
        level = Level.INFO if signum in ACTED_ON else Level.DEBUG
        self._log.write(level, "taskmaster", "signal", f"{by} received")
        if signum in (signal.SIGHUP, signal.SIGUSR2):
            self.on_renew()
        if signum == signal.SIGHUP:
            self.control.rereading.reload(by, lambda answer: self.control.tell(answer.text))
        elif signum in LEAVE:
            self.leave(by)
        elif signum == signal.SIGUSR2:
            self._reopen()
        elif signum == signal.SIGUSR1:
            self.upgrade.begin(by, lambda answer: self.control.tell("\n".join(answer.lines)))

    def _other_child(self, pid: int, status: ExitStatus) -> None:
        self._reloading.readings.reaped(pid, status)
        self._notifications.errands.reaped(pid, status)
        self.attendants.reaped(pid, status)
        self.upgrade.reaped(pid, status)

    def _reopen(self) -> list[str]:
        """Open every log anew; what could not be, in sentences."""
        failed = self.outputs.reopen()
        try:
            self._log.reopen()
        except OSError as error:
            failed.append(f"event log {self._log.path} cannot be opened anew: {os.strerror(error.errno or 0)}")
        for sentence in failed:
            self._log.write(Level.ERROR, "taskmaster", "log", sentence)
        if not failed:
            self._log.write(Level.INFO, "taskmaster", "log", "logs opened anew")
        return failed

    def _applied(self, config: Config) -> None:
        """Another configuration holds from now on."""
        self._reloading.lacking = make_room(config, self.succession.pid)
        for sentence in self._reloading.lacking:
            self._log.write(Level.WARNING, "taskmaster", "limits", sentence)
            self.control.tell(sentence)
        self._tails.budget = config.settings.tail_memory_bytes
        self.outputs.files.move_syslog(config.settings.syslog_socket)
        self.outputs.adopt(lambda name: log_policy(task) if (task := config.tasks.get(name)) else None)
        self.attendants.applied(config)
        self._title.update()

    def _dropped(self, row: Process) -> None:
        key = (row.task.name, row.n)
        self.succession.dropped(row)
        self.attendants.dropped(row)
        self.outputs.forget(key)
        self.control.history.forget(key)
        self.control.views.facts.forget(key)
        self.on_dropped(row)
        self._title.update()
        self._departure.leave_if_over()

    def _log_changed(self, path: str, sentence: str, refuses: bool) -> None:
        """A log takes nothing, which has been told, or takes output again."""
        if not refuses:
            self._log.write(Level.INFO, "log", "output", sentence)
            self.control.tell(sentence)
        self._notifications.log_changed(path, sentence, refuses)

    def _trouble(self, who: str, sentence: str) -> None:
        self._log.write(Level.ERROR, who, "output", sentence)
        self.control.tell(sentence)

    def _unsent(self, row: Process, signum: int) -> None:
        sentence = unsent(row, signum)
        self._log.write(Level.WARNING, row.name, "signal", sentence)
        self.control.tell(sentence)

    def _journal_trouble(self, sentence: str) -> None:
        self._log.write(Level.ERROR, "taskmaster", "journal", sentence)
        self.control.tell(sentence)

    def _impossible(self, text: str) -> None:
        self._log.write(Level.ERROR, "taskmaster", "bug", f"impossible event ignored: {text}")

    def _bug(self, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))
        self._log.write(Level.ERROR, "taskmaster", "bug", f"a callback failed and was abandoned: {text}")


def _not_mine(_signum: int) -> bool:
    return False


def _nothing() -> None:
    pass
