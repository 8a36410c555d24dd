"""`logs`: looking for lines in slices of the loop's time, and what comes afterwards.

Guarantees: what is found quickly is answered at once; a search through gigabytes leaves the loop its turns, may be
ended at any time, and is answered once, whatever happens; SEARCHES_MOST of them go on at a time. Between what was found
and what is followed nothing is missing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeAlias

from tm.core.commands import Command, UsageError
from tm.core.log_query import Query, query
from tm.core.log_search import Held, Search, distance, has_times
from tm.core.process import Process
from tm.daemon.answers import Answer, failed
from tm.daemon.log_sources import Source, sources
from tm.daemon.output_views import PATIENCE_S, Follower, Found, Style, Told, shown, streams, style
from tm.daemon.outputs import Outputs
from tm.daemon.selection import Selection
from tm.edge.logfile import Log
from tm.edge.loop import Loop
from tm.edge.patience import TooLong, within

SEARCHES_MOST = 8
SLICE_S = 0.005

Answered: TypeAlias = Callable[[Answer], None]
End: TypeAlias = Callable[[], None]


class Audience(NamedTuple):
    """Who follows. `after`: where logs had been read to before, by path; None: the last lines are wanted first."""

    answered: Answered
    tell: Callable[[Told], None]
    after: Mapping[str, str] | None = None


class _Fruitless(Exception):
    """The search cannot be done; the text is for the operator."""


class Searching:
    """One `logs` command. `waits`: it goes on in the next turn; `followed`: what comes is told from the answer on."""

    def __init__(self, loop: Loop, found_in: Sequence[Source], asked: Query, how: Style) -> None:
        self._loop = loop
        self._sources = found_in
        self._query = asked
        self._how = replace(how, several=len({each.name for each in found_in}) > 1)
        self._found: list[Found] = []
        self._work = self._look_for(None)
        self._ended = self._resumes = False
        self.waits = self.followed = False
        self.answered: Answered = lambda answer: None

    def after(self, marks: Mapping[str, str]) -> None:
        """Look for what has come since logs had been read to these places, by path: all of it."""
        self._resumes = True
        self._work = self._look_for(marks)

    def go_on(self) -> None:
        """Search for a slice of time; then answer, or go on in the next turn."""
        if self._ended:
            return
        finished, answer = True, failed("The search failed by a bug; the event log has the traceback.")
        try:
            finished = self._slice()
            if finished and self.followed and self.waits:
                self._catch_up()
            answer = self._answer() if finished else answer
        except _Fruitless as error:
            answer = failed(str(error))
        finally:
            self.waits = not finished
            if finished:
                self._ended = True
                self.answered(answer)
            else:
                self._loop.call_at(self._loop.now, self.go_on)

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._ended, self.waits = True, False
        self._work.close()

    def _slice(self) -> bool:
        """Whether everything has been looked through. Raises _Fruitless."""
        until = time.monotonic() + SLICE_S
        return all(time.monotonic() <= until for _ in self._work)

    def _catch_up(self) -> None:
        """Find as well what has come since it was looked for. Raises _Fruitless."""
        self._found = [each for each in self._found if each.source.path is not None]
        for _ in self._look_for({each.source.path or "": each.mark for each in self._found}):
            pass

    def _look_for(self, after: Mapping[str, str] | None) -> Generator[None]:
        """The work, piece by piece. Raises _Fruitless."""
        for source in self._sources:
            try:
                log = source.open()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _unreadable(source, error) from None
            with closing(log) if isinstance(log, Log) else nullcontext():
                try:
                    search = yield from self._begun(source, log, after)
                    while search is not None and self._step(source, search):
                        yield
                except OSError as error:
                    raise _unreadable(source, error) from None
                if search is not None:
                    self._found.append(_found(source, log, search))
            yield

    def _begun(
        self, source: Source, log: Log | Held, after: Mapping[str, str] | None
    ) -> Generator[None, None, Search | None]:
        """A search in one log, between the right places; None: there is nothing to look for. Raises OSError."""
        if after is not None:
            return self._since_then(source, log, after)
        asked = self._query
        search = Search(log, asked.count, asked.sieve)
        if asked.needs_times:
            if not has_times(log):
                raise _Fruitless(
                    f"The log of '{source.name}' has no times, which --since and --until need: its last lines begin "
                    "with none. With logTimestamps: true, or logFormat: json, every line has one."
                )
            near = 0 if asked.until is None else (yield from distance(log, asked.until, beyond=True))
            far = None if asked.since is None else (yield from distance(log, asked.since))
            search.between(far, near)
        return search

    def _since_then(self, source: Source, log: Log | Held, after: Mapping[str, str]) -> Search | None:
        """A search in what has come since; tails in memory have no places to go by."""
        if not isinstance(log, Log):
            return None if self._resumes else Search(log, self._query.count, self._query.sieve)
        search = Search(log, None, self._query.sieve)
        search.between(log.behind(after.get(source.path or "", "")), 0)
        return search

    def _step(self, source: Source, search: Search) -> bool:
        """One block. Raises OSError, _Fruitless."""
        sieve = self._query.sieve
        try:
            with within(PATIENCE_S) if sieve is not None and sieve.takes_long else nullcontext():
                return search.step()
        except TooLong:
            raise _Fruitless(
                f"--grep takes too long on a line of the log of '{source.name}': repetitions in repetitions, such as "
                "(a+)+, do that. Simplify the expression."
            ) from None

    def _answer(self) -> Answer:
        answer = shown(self._found, self._how)
        marks = {each.source.path or "": each.mark for each in self._found if each.mark}
        if not answer.lines and not self._how.raw:
            narrowed = self._query.needs_times or self._query.sieve is not None
            none = "No line of the log matches." if narrowed else "No logs available for this task."
            return Answer((none,), [], marks=marks)
        return replace(answer, marks=marks)


class Logs:
    """What every face calls for `logs`."""

    def __init__(self, loop: Loop, outputs: Outputs) -> None:
        self._loop = loop
        self._outputs = outputs
        self._searches: list[Searching] = []

    def search(self, command: Command, rows: Sequence[Process], colour: bool) -> Searching:
        """Begin nothing yet. Raises UsageError."""
        if "--follow" in command.options and "--until" in command.options:
            raise UsageError("--follow and --until exclude one another: what comes is later.")
        found_in = sources(self._outputs, rows, streams(command))
        search = Searching(self._loop, found_in, query(command, time.time()), style(command, colour))
        search.followed = "--follow" in command.options
        return search

    def run(self, search: Searching, answered: Answered) -> End:
        """Search, and answer when it is done; call what is returned to give up."""
        search.answered = answered
        self._searches = [each for each in self._searches if each.waits]
        if len(self._searches) >= SEARCHES_MOST:
            answered(failed(f"{SEARCHES_MOST} searches are going on already. Try again soon."))
            return _nothing
        search.go_on()
        self._searches.append(search)
        return search.end

    def listen(self, command: Command, selection: Selection, colour: bool, tell: Callable[[Told], None]) -> End:
        """Tell what comes, until what is returned is called. Raises UsageError."""
        asked = query(command, time.time())
        hear = partial(Follower(selection, style(command, colour), asked.sieve, tell).hear, self._outputs)
        self._outputs.listeners.append(hear)
        return lambda: self._outputs.listeners.remove(hear)


def _found(source: Source, log: Log | Held, search: Search) -> Found:
    mark = log.mark if isinstance(log, Log) else ""
    return Found(source, list(search.found), search.ends_open, search.cut_short, mark)


def _unreadable(source: Source, error: OSError) -> _Fruitless:
    return _Fruitless(f"The log of '{source.name}' cannot be read: {source.path}: {os.strerror(error.errno or 0)}")


def _nothing() -> None:
    """There is nothing to give up."""
