"""`reload` and `check`: carried out when the configuration has been read, and answered then.

Guarantees: each is answered once, whatever happens; a reload is carried out though nobody waits for it any more, and
not at all once the daemon leaves.
Leaves to others: reading, and what follows from it (`daemon.reloading`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tm.core.errors import ConfigError
from tm.core.records import Level
from tm.core.reload import Plan, as_data, describe
from tm.daemon.answers import Answer, Outcome, failed
from tm.daemon.readings import Found
from tm.daemon.reloading import Reloading
from tm.daemon.searching import Answered, End
from tm.daemon.supervisor import Supervisor
from tm.edge.eventlog import EventLog


class Rereading:
    """`leaving` says whether the daemon leaves. `on_reload` hears of a reload when it begins (True), and when none is
    under way any more; `on_refused` of one that is refused: who asked for it, and why.
    """

    def __init__(
        self, supervisor: Supervisor, reloading: Reloading, log: EventLog, leaving: Callable[[], bool]
    ) -> None:
        self._supervisor = supervisor
        self._reloading = reloading
        self._log = log
        self._leaving = leaving
        self._under_way = 0
        self.on_reload: Callable[[bool], None] = lambda begins: None
        self.on_refused: Callable[[str, ConfigError], None] = lambda by, error: None

    def reload(self, by: str, answered: Answered) -> End:
        """Reload on behalf of `by`; it cannot be given up."""
        if self._leaving():
            answered(_leaving())
            return _nothing
        self._under_way += 1
        self.on_reload(True)
        self._reloading.reload(self._supervisor, by, partial(self._reloaded, by, answered))
        return _nothing

    def plan(self, answered: Answered) -> End:
        """Tell what a reload would do."""

        def tell(found: Found | ConfigError) -> None:
            if isinstance(found, ConfigError):
                answered(failed(str(found), Outcome.USAGE))
            else:
                words, data = found.what
                answered(Answer(words or ["Nothing would change."], data))

        return self._reloading.plan(self._supervisor, tell)

    def check(self, path: str | None, answered: Answered) -> End:
        """Tell what is wrong with a configuration, the daemon's own where no path is given."""

        def tell(found: Found | ConfigError) -> None:
            if isinstance(found, ConfigError):
                answered(failed(str(found), Outcome.USAGE))
            else:
                read, count, lacking = found.what
                answered(Answer([f"{read}: no problems, {count} task(s).", *lacking], {"tasks": count}))

        return self._reloading.check(path, tell)

    def _reloaded(self, by: str, answered: Answered, found: Plan | ConfigError | None) -> None:
        answer = failed("The reload failed by a bug; the event log has the traceback.")
        try:
            if isinstance(found, Plan):
                answer = self._done(by, found)
            elif found is not None:
                answer = self._refused(by, found)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.on_reload(False)
            answered(answer)

    def _done(self, by: str, plan: Plan) -> Answer:
        lines = describe(plan)
        self._log.write(Level.INFO, "taskmaster", "reload", f"{'; '.join(lines) or 'nothing changed'}, by {by}")
        said = ["Configuration reloaded.", *(f"  {line}" for line in lines), *self._reloading.lacking]
        return Answer(said, as_data(plan))

    def _refused(self, by: str, error: ConfigError) -> Answer:
        if self._leaving():
            return _leaving()
        self._log.write(Level.ERROR, "taskmaster", "reload", f"refused, nothing changed, by {by}: {error}")
        self.on_refused(by, error)
        return failed(f"{error}\nNothing was changed.", Outcome.USAGE)


def _leaving() -> Answer:
    return failed("Taskmaster is shutting down.")


def _nothing() -> None:
    """A reload is not given up."""
