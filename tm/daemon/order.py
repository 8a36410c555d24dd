"""Wishes that wait for other tasks: a start until what it needs is there, a stop until who needs it is at rest.

A wish that waits is a word in its row (`Process.blocked`), so that it is on record like everything else of the row, and
the next daemon goes on waiting. What it waits for is looked at when rows have changed, once a turn and before any
deadline; nothing is polled.

Guarantees: only what is at rest waits to be started (an automatic restart does not wait again), only what lives waits
to be stopped; a wish that was taken back is not carried out; a start that waits for what does not come by itself is
told as that, and goes on waiting, since an operator may help; in a hurry no stop waits.
Leaves to others: what depends on what, and who has come how far (`core.order`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import NamedTuple, TypeAlias

from tm.core.altered import altered
from tm.core.config import Config
from tm.core.effects import Send
from tm.core.once import Once
from tm.core.order import Obstacle, Order, ending
from tm.core.process import Occurrence, Process
from tm.core.saved import Key
from tm.core.transitions import Event
from tm.edge.loop import Loop

Rows: TypeAlias = dict[Key, Process]


class Hands(NamedTuple):
    """What the supervisor lends. `note` puts a row in the place of the one there is, and tells everybody what happened
    to it; `then` does something after all that was asked before; `wish` carries a wish out, unless it is held again.
    """

    rows: Callable[[], Rows]
    note: Callable[[Key, Occurrence, Process], None]
    then: Callable[[Callable[[], None]], None]
    wish: Callable[[Key, Occurrence, None], None]


class Held:
    """The wishes that wait. `stuck`: starts that wait for what does not come by itself."""

    def __init__(self, loop: Loop, hands: Hands) -> None:
        self._hands = hands
        self._rows = hands.rows
        self._waiting: dict[Key, str] = {}
        self._going: set[Key] = set()
        self._changed: set[str] = set()
        self._look_next = Once(loop.first, self._look)
        self._hurry = False
        self.stuck: set[Key] = set()
        self._order = Order({}, ())

    def applied(self, config: Config) -> None:
        """These rows hold from now on, under this configuration; some may have waited for an earlier daemon."""
        rows = self._rows()
        leaving = {key[0]: row.task for key, row in rows.items() if key[0] not in config.tasks}
        self._order = Order({**leaving, **config.tasks}, rows)
        waiting = [key for key, row in rows.items() if row.blocked]
        self._waiting = {key: self._waiting.get(key, "an earlier daemon") for key in waiting}
        self.stuck.intersection_update(waiting)
        self._look_soon(name for name, _ in waiting)

    def ordered(self, keys: Iterable[Key]) -> list[Key]:
        """The same, what is needed first."""
        return self._order.ordered(keys)

    def with_needed(self, keys: Collection[Key], wishes: Mapping[Key, bool]) -> list[Key]:
        """These and what has to be started for them, in order; not what is to be down by these wishes."""
        barred = [key for key, up in wishes.items() if not up]
        needed = self._order.needed(dict.fromkeys(name for name, _ in keys), self._rows(), barred)
        return self.ordered(dict.fromkeys((*needed, *keys)))

    def needed(self, keys: Iterable[Key]) -> list[Key]:
        """What has to be started before these can be, where they are not up."""
        rows = self._rows()
        names = dict.fromkeys(key[0] for key in keys if rows[key].at_rest or ending(rows[key]))
        return self._order.needed(names, rows)

    def longest_stop_s(self) -> float:
        """How long it can take until everything has stopped."""
        return self._order.longest_stop_s(self._rows())

    def holds(self, key: Key, what: Occurrence) -> bool:
        """Whether this wish has been dealt with: it waits, or it took back one that did."""
        row = self._rows()[key]
        if what.event is Event.STOP:
            if row.at_rest and row.blocked:
                self._take_back(key, what, row, up=False)
                return True
            return not self._hurry and self._waits(key, what, self._stop_obstacle(key, row))
        if row.at_rest:
            return self._waits(key, what, self._order.start_obstacle(key[0], self._rows(), self.stuck))
        if row.blocked:
            self._take_back(key, what, row, up=True)
            return what.event is Event.START
        return False

    def hurry(self) -> None:
        """No stop waits any more."""
        self._hurry = True
        for key in self._there():
            if ending(self._rows()[key]):
                self._carry_out(key, Event.STOP)

    def observe(self, before: Process, _what: Occurrence, after: Process, _sent: Collection[Send]) -> None:
        """An observer of the rows, before all others."""
        key = (after.task.name, after.n)
        if after.blocked and before.alive and not after.alive:
            self._ended(key, after)
        if self._waiting:
            self._look_soon((after.task.name,))

    def _stop_obstacle(self, key: Key, row: Process) -> Obstacle | None:
        """What keeps it from being stopped, where it lives and is not being stopped already."""
        return self._order.stop_obstacle(key[0], self._rows()) if row.alive and not row.stopping else None

    def _waits(self, key: Key, what: Occurrence, obstacle: Obstacle | None) -> bool:
        """Let the wish wait for the obstacle; False where there is none."""
        row = self._rows()[key]
        if obstacle is None:
            self._forget(key)
            if row.blocked:
                self._rows()[key] = altered(row, blocked="")
            return False
        self._waiting[key] = what.by
        self._mark(key, obstacle)
        up = what.event is not Event.STOP
        self._hands.note(key, what, altered(row, blocked=obstacle.reason, wanted_up=up))
        return True

    def _take_back(self, key: Key, what: Occurrence, row: Process, up: bool) -> None:
        self._forget(key)
        self._hands.note(key, what, altered(row, blocked="", wanted_up=up))

    def _ended(self, key: Key, row: Process) -> None:
        """What was to be stopped has ended by itself; it may be about to be started again."""
        if row.at_rest:
            self._forget(key)
            self._rows()[key] = altered(row, blocked="", wanted_up=False)
        else:
            self._carry_out(key, Event.STOP)

    def _forget(self, key: Key) -> None:
        self._waiting.pop(key, None)
        self.stuck.discard(key)

    def _mark(self, key: Key, obstacle: Obstacle) -> bool:
        """Remember whether it is stuck; whether that is news, which concerns who waits for it as well."""
        news = (key in self.stuck) is not obstacle.stuck
        if news:
            (self.stuck.add if obstacle.stuck else self.stuck.discard)(key)
            self._look_soon((key[0],))
        return news

    def _look_soon(self, names: Iterable[str]) -> None:
        """Look in this turn who waits for these, or is one of them."""
        self._changed.update(names)
        if self._changed:
            self._look_next.ask()

    def _look(self) -> None:
        changed, self._changed = self._changed, set()
        concerned = changed.union(*(self._order.dependents.get(name, ()) for name in changed))
        obstacles: dict[str, Obstacle | None] = {}
        for key in self._order.ordered(self._there()):
            row = self._rows()[key]
            if ending(row):
                self._judge(key, Event.STOP, self._stop_obstacle(key, row))
            elif key[0] in concerned:
                if key[0] not in obstacles:
                    obstacles[key[0]] = self._order.start_obstacle(key[0], self._rows(), self.stuck)
                self._judge(key, Event.START, obstacles[key[0]])

    def _judge(self, key: Key, event: Event, obstacle: Obstacle | None) -> None:
        """Carry the wish out, or let it wait for what it is to wait for now."""
        if obstacle is None:
            self._carry_out(key, event)
            return
        row = self._rows()[key]
        waits_on = altered(row, blocked=obstacle.reason) if row.blocked != obstacle.reason else row
        if self._mark(key, obstacle):
            self._hands.note(key, Occurrence(event, by=self._waiting[key]), waits_on)
        else:
            self._rows()[key] = waits_on

    def _carry_out(self, key: Key, event: Event) -> None:
        """Do now what has waited, unless it is taken back by what was asked for before."""
        if key not in self._going:
            self._going.add(key)
            self._hands.then(partial(self._go_on, key, Occurrence(event, by=self._waiting[key])))

    def _go_on(self, key: Key, what: Occurrence) -> None:
        self._going.discard(key)
        if key in self._waiting:
            self._hands.wish(key, what, None)

    def _there(self) -> list[Key]:
        """Who waits; a row that has gone meanwhile does not."""
        for key in [key for key in self._waiting if key not in self._rows()]:
            self._forget(key)
        return list(self._waiting)
