"""Carrying out a command: from what an operator asked for to what follows and what is answered.

Guarantees: every verb of `core.commands` has its handler here; a selection that finds nothing carries out nothing;
nothing here waits. Leaves to others: start, stop and restart (`daemon.asking`), reload and check (`daemon.rereading`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import tm
from tm.core.commands import Command, UsageError, help_text
from tm.core.process import Process
from tm.core.records import Level
from tm.core.report import place
from tm.core.select import NotFound, select
from tm.core.verbs import BY_NAME
from tm.core.when_read import WhenRead
from tm.daemon.answers import Answer, NoSuchTask, Outcome, failed
from tm.daemon.asking import WISHES, Asking
from tm.daemon.history import History
from tm.daemon.log_sources import clear, key_of
from tm.daemon.output_views import Told
from tm.daemon.outputs import Outputs
from tm.daemon.reloading import Reloading
from tm.daemon.rereading import Rereading
from tm.daemon.searching import Answered, Audience, End, Logs, Searching
from tm.daemon.selection import Selection
from tm.daemon.supervisor import CONFIGURATION, Supervisor
from tm.daemon.views import Look, Views
from tm.edge.eventlog import EventLog
from tm.edge.loop import Loop

Later: TypeAlias = Callable[[Answered], End]
"""Answers when it is done; call what it returns to give that up."""
Handler: TypeAlias = Callable[[Command, Look], "Answer | Searching | Later"]
_WORD_SHOWN = 80


class Control:
    """What every face calls. `tell` is for what becomes known after the answer; `leave` begins the shutdown, `keep` the
    end that leaves everything running.
    """

    def __init__(
        self, loop: Loop, supervisor: Supervisor, reloading: Reloading, outputs: Outputs, log: EventLog
    ) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self.reloading = reloading
        self._outputs = outputs
        self._log = log
        self.history = History(log)
        self.views = Views(outputs, log, self.history.last, way=supervisor.way)
        self.tell: Callable[[str], None] = lambda text: None
        self.leave: Callable[[str], None] = lambda by: None
        self.keep: Callable[[str], Answer] = lambda by: Answer()
        self.rereading = Rereading(supervisor, reloading, log, lambda: self.leaving)
        self.reopen: Callable[[], list[str]] = list
        self.upgrade: Callable[[str, Answered], End] = lambda by, answered: _nothing
        self.roll: Callable[[list[Process], str], Answer]
        self._by, self.leaving, self._logs = CONFIGURATION, False, Logs(loop, outputs)
        self._asking = Asking(supervisor, reloading, log, lambda text: self.tell(text))
        self.handlers: Mapping[str, Handler] = {
            "status": self._status,
            **dict.fromkeys(WISHES, self._wish),
            "reload": self._reload,
            "scale": self._scale,
            "logs": self._search,
            "clear-logs": self._clear_logs,
            "reopen-logs": self._reopen_logs,
            "signal": self._signal,
            "pid": self._pid,
            "show": self._show,
            "events": self._recent,
            "check": self._check,
            "help": self._help,
            "version": self._version,
            "top": self._top,
            "attach": self._attach,
            "shutdown": self._exit,
            "exit": self._exit,
        }

    def carry_out(self, command: Command, by: str, look: Look, answered: Answered) -> End:
        """Do it on behalf of `by`, and answer, at once but for what takes long; what is returned gives that up."""
        if command.verb == "upgrade":
            return self.upgrade(by, answered)
        outcome = self._begin(command, by, look)
        if isinstance(outcome, Searching):
            return self._logs.run(outcome, answered)
        if isinstance(outcome, Answer):
            answered(outcome)
            return _nothing
        return outcome(answered)

    def follow(self, command: Command, by: str, look: Look, audience: Audience) -> End:
        """Answer `logs` or `events`, and tell what comes, until what is returned is called."""
        ends: list[End] = []
        listen: Callable[[], End]

        def answered(answer: Answer) -> None:
            audience.answered(answer)
            if answer.outcome is Outcome.DONE:
                ends.append(listen())

        outcome = self._begin(command, by, look)
        if isinstance(outcome, Searching):
            selection = Selection(command.words, self.rows)  # now, since they may be gone when it is through
            listen = partial(self._logs.listen, outcome, selection, audience.tell)
            if audience.after is not None:
                outcome.after(audience.after)
            ends.append(self._logs.run(outcome, answered))
        elif isinstance(outcome, Answer):
            listen = partial(self._listen, command, audience.tell)
            answered(outcome)

        def end() -> None:
            for each in ends:
                each()

        return end

    def _begin(self, command: Command, by: str, look: Look) -> Answer | Searching | Later:
        level = Level.DEBUG if BY_NAME[command.verb].reads else Level.INFO
        self._log.write(level, "taskmaster", "command", f"{command.spelled}, by {by}")
        self._by = by
        try:
            return self.handlers[command.verb](command, look)
        except NoSuchTask as error:
            return failed(str(error), Outcome.NO_SUCH_TASK)
        except UsageError as error:
            return failed(str(error), Outcome.USAGE)

    def rows(self, words: tuple[str, ...]) -> list[Process]:
        """The processes that the words mean, all when there are none. Raises NoSuchTask."""
        everything = list(self._supervisor.rows.values())
        found = select(words, everything) if words else everything
        if isinstance(found, NotFound):
            if (task := self._supervisor.config.tasks.get(found.word)) is not None:
                see = (
                    ""
                    if self.reloading.reading.config.tasks[task.name].instances
                    else f", see {place(task, 'instances')}"
                )
                raise NoSuchTask(f"Task '{task.name}' has no instances{see or f'; type: scale {task.name} 1'}")
            raise NoSuchTask(str(found._replace(word=found.word[:_WORD_SHOWN])))
        return found

    def _status(self, command: Command, look: Look) -> Answer:
        rows = self.rows(command.words)
        now = self._loop.sample()
        for_people = "--json" not in command.options
        answer = self.views.status(rows, now, look, for_people and "--long" in command.options)
        if not for_people:
            return answer
        of_one_task = bool(command.words) and len({row.task.name for row in rows}) == 1

        def lines() -> list[str]:
            details = self.views.show(rows, now, False).lines if of_one_task else ()
            return [*self._header(), *answer.lines, *details]

        return Answer(WhenRead(lines), answer.data)

    def _header(self) -> list[str]:
        """What an operator should know before the table."""
        lines = []
        if self.reloading.problems is not None:
            problems = self.reloading.problems.problems
            lines.append(f"The last reload was refused: {len(problems)} problem(s) in the configuration; type: check")
            lines.append(f"  {problems[0].render().splitlines()[0]}")
        elif changed := self.reloading.changed_on_disk():
            lines.append(f"Newer on disk than what runs: {', '.join(changed)}; type: reload --dry-run")
        if self._log.trouble is not None:
            lines.append(f"The event log cannot be written: {os.strerror(self._log.trouble.errno or 0)}")
        return lines

    def _wish(self, command: Command, _look: Look) -> Answer:
        if self.leaving and command.verb != "stop":
            return failed("Taskmaster is shutting down.")
        rows = self.rows(command.words)
        if "--rolling" in command.options:
            self._asking.remember([key_of(row) for row in rows], True)
            return self.roll(rows, self._by)
        return self._asking.wish(command.verb, rows, len(rows) > len(command.words), self._by)

    def _reload(self, command: Command, _look: Look) -> Later:
        dry = "--dry-run" in command.options
        return self.rereading.plan if dry else partial(self.rereading.reload, self._by)

    def _scale(self, command: Command, _look: Look) -> Answer:
        from tm.daemon.scaling import Scaling  # rarely asked for

        if self.leaving:
            return failed("Taskmaster is shutting down.")
        return Scaling(self._supervisor, self.reloading, self._log, self._asking.note).scale(command, self._by)

    def _search(self, command: Command, look: Look) -> Searching:
        return self._logs.search(command, self.rows(command.words), look.colour)

    def _clear_logs(self, command: Command, _look: Look) -> Answer:
        rows = self.rows(command.words)
        failed_ = clear(self._outputs, rows)
        return failed("\n".join(failed_)) if failed_ else Answer((f"Cleared the logs of {len(rows)} process(es).",))

    def _reopen_logs(self, _command: Command, _look: Look) -> Answer:
        sentences = self.reopen()
        return failed("\n".join(sentences)) if sentences else Answer(("Logs opened anew.",))

    def _listen(self, command: Command, tell: Callable[[Told], None]) -> End:
        """Tell the events that come."""
        return self.views.follow(Selection(command.words, self.rows), "--json" in command.options, tell)

    def _signal(self, command: Command, _look: Look) -> Answer:
        from tm.daemon.signalling import send, signum_of  # rarely asked for

        signum_of(command)  # what is wrong with it is said before what is wrong with the names
        return send(self._supervisor, self._log, self.rows(command.words), command, self._by)

    def _pid(self, command: Command, _look: Look) -> Answer:
        return self.views.pid(self.rows(command.words) if command.words else None)

    def _show(self, command: Command, _look: Look) -> Answer:
        return self.views.show(self.rows(command.words), self._loop.sample(), "--env" in command.options)

    def _recent(self, command: Command, _look: Look) -> Answer:
        return self.views.events({row.name for row in self.rows(command.words)} if command.words else None)

    def _check(self, command: Command, _look: Look) -> Later:
        return partial(self.rereading.check, command.words[0] if command.words else None)

    def _help(self, command: Command, _look: Look) -> Answer:
        lines = help_text(command.words[0] if command.words else None).splitlines()
        return Answer(lines, lines)

    def _version(self, _command: Command, _look: Look) -> Answer:
        return Answer((f"taskmaster {tm.__version__}",), tm.__version__)

    def _top(self, _command: Command, _look: Look) -> Answer:
        return failed("'top' is the client's: run taskmasterctl top.", Outcome.USAGE)

    def _attach(self, command: Command, _look: Look) -> Answer:
        return failed(f"attach needs a terminal; type: logs -f {command.words[0]}", Outcome.USAGE)

    def _exit(self, command: Command, _look: Look) -> Answer:
        if "--keep" in command.options:
            return self.keep(self._by)
        self.leave(self._by)
        return Answer()


def _nothing() -> None:
    """There is nothing to give up."""
