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
from functools import partial
from typing import NamedTuple, TypeAlias

from tm.core.commands import Command, UsageError
from tm.core.log_query import Query, Sieve, query
from tm.core.log_search import FOUND_BYTES, Held, Search, distance, has_times
from tm.core.process import Process
from tm.daemon.answers import Answer, failed
from tm.daemon.log_sources import Source, sources
from tm.daemon.output_views import PATIENCE_S, Follower, Found, Page, Style, Told, streams, style
from tm.daemon.outputs import Listener, Outputs
from tm.daemon.selection import Selection
from tm.edge.logfile import Log
from tm.edge.loop import Loop
from tm.edge.patience import TooLong, within

SEARCHES_MOST = 8
SLICE_S = 0.005
_ROUNDS = 20
"""How often it is looked for what has come meanwhile. Each time takes less, or never ends."""

Answered: TypeAlias = Callable[[Answer], None]
End: TypeAlias = Callable[[], None]


class Audience(NamedTuple):
    """Who follows. `after`: where logs had been read to before, by path; None: the last lines are wanted first."""

    answered: Answered
    tell: Callable[[Told], None]
    after: Mapping[str, str] | None = None


class _Fruitless(Exception):
    """The search cannot be done; the text is for the operator."""


class _Timeless(Exception):
    """The lines of a log have no times."""


class Searching:
    """One `logs` command. `style`: how lines are shown; `waits`: it goes on in the next turn; `followed`: what comes is
    told from the answer on.
    """

    def __init__(self, loop: Loop, found_in: Sequence[Source], asked: Query, how: Style) -> None:
        self._loop = loop
        self._sources = found_in
        self._query = asked
        self.style = how._replace(several=len({each.name for each in found_in}) > 1)
        self._places: dict[Source, str] = {}
        self._work = self._through()
        self._slices = 0
        self._timeless: list[str] = []
        self._ended = self.waits = self.followed = False
        self.answered: Answered = lambda answer: None

    @property
    def sieve(self) -> Sieve | None:
        """What lines are held against."""
        return self._query.sieve

    def after(self, marks: Mapping[str, str]) -> None:
        """Look for what has come since logs had been read to these places, by path: all of it."""
        for each in self._sources:  # a tail in memory is no place that a client could name
            self._places[each] = each.held().mark if each.path is None else marks.get(each.path, "")

    def go_on(self) -> None:
        """Search for a slice of time; then answer, or go on in the next turn."""
        if self._ended:
            return
        answer: Answer | None = failed("The search failed by a bug; the event log has the traceback.")
        try:
            answer = self._slice()
        except _Fruitless as error:
            answer = failed(str(error))
        finally:
            self.waits = answer is None
            if answer is not None:
                self._ended = True
                self.answered(answer)
            else:
                self._loop.soon(self.go_on)

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._ended, self.waits = True, False
        self._work.close()

    def _slice(self) -> Answer | None:
        """The answer, when everything has been looked through. Raises _Fruitless."""
        self._slices += 1
        until = time.monotonic() + SLICE_S
        try:
            while time.monotonic() <= until:
                next(self._work)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        return None

    def _through(self) -> Generator[None, None, Answer]:
        """The work, piece by piece: to look for what there is, and to show it. For a follower what has come meanwhile
        is looked for as well, until that takes no further slice: then nothing can have come. Raises _Fruitless.
        """
        page = Page(self.style)
        for _ in range(_ROUNDS):
            began = self._slices
            found = yield from self._look()
            yield from page.add(found)
            if not self.followed or self._slices == began:
                narrowed = self._query.needs_times or self.sieve is not None
                nothing = "No line of the log matches." if narrowed else "No logs available for this task."
                return page.answer(nothing, _without_times(self._timeless))
        raise _Fruitless("More comes than can be looked through. Ask without --follow, or for something simpler.")

    def _look(self) -> Generator[None, None, list[Found]]:
        """What is found in each source; of one that has been read before, behind that place. Raises _Fruitless."""
        found = []
        room = FOUND_BYTES
        for left, source in zip(range(len(self._sources), 0, -1), self._sources, strict=True):
            try:
                with closing(source.open()) as log:
                    search = yield from self._begun(source, log, room // left)
                    while self._step(source, search):
                        yield
                    self._places[source] = log.mark
            except FileNotFoundError:
                self._places[source] = ""
                continue
            except _Timeless:
                self._timeless.append(source.name)
                continue
            except OSError as error:
                raise _unreadable(source, error) from None
            room -= room // left - search.room
            found.append(Found(source, list(search.found), search.ends_open, search.cut_short, self._places[source]))
            yield
        return found

    def _begun(self, source: Source, log: Log | Held, room: int) -> Generator[None, None, Search]:
        """A search in one log, between the right places. Raises OSError, _Fruitless."""
        asked = self._query
        if source in self._places:
            search = Search(log, None, asked.sieve, room)
            search.between(log.behind(self._places[source]), 0)
            return search
        search = Search(log, asked.count, asked.sieve, room)
        if asked.count == 0:
            search.between(0, 0)
        elif asked.needs_times:
            if not has_times(log):
                raise _Timeless if len(self._sources) > 1 else _Fruitless(_no_times(source.name))
            near = 0 if asked.until is None else (yield from distance(log, asked.until, beyond=True))
            far = None if asked.since is None else (yield from distance(log, asked.since))
            search.between(far, near)
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
        search = Searching(self._loop, found_in, _query(command), style(command, colour))
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

    def listen(self, search: Searching, selection: Selection, tell: Callable[[Told], None]) -> End:
        """Tell what comes after what was searched for, until what is returned is called."""
        follower = Follower(selection, search.style, search.sieve, tell)
        listener = Listener(partial(follower.hear, self._outputs), follower.wants)
        self._outputs.listeners.append(listener)
        return lambda: self._outputs.listeners.remove(listener)


def _query(command: Command) -> Query:
    """What is asked for. Raises UsageError."""
    try:
        with within(PATIENCE_S):
            return query(command, time.time())
    except TooLong:
        raise UsageError("--grep takes too long to be read. Simplify the expression.") from None


def _unreadable(source: Source, error: OSError) -> _Fruitless:
    return _Fruitless(f"The log of '{source.name}' cannot be read: {source.path}: {os.strerror(error.errno or 0)}")


def _no_times(name: str) -> str:
    return (
        f"The log of '{name}' has no times, which --since and --until need: its last lines begin with none. "
        "With logTimestamps: true, or logFormat: json, every line has one."
    )


def _without_times(names: Sequence[str]) -> str:
    """That some logs were not looked through."""
    listed = ", ".join(dict.fromkeys(names))
    return f"Left out, since their lines have no times: {listed}." if listed else ""


def _nothing() -> None:
    """There is nothing to give up."""
