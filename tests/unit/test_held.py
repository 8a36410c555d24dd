"""Wishes that wait for other tasks, in a supervisor with a platform of a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.unit.build import died, row
from tests.unit.test_supervisor import House, config
from tm.core.process import Occurrence, Process
from tm.core.report import told, transition
from tm.core.transitions import Event, Refused, State
from tm.daemon.wiring import Key

PLAIN = "command: run, successfulStartTimeout: 0"
CHAIN = f"""
tasks:
  web: {{{PLAIN}, dependsOn: db, autoLaunch: true}}
  db: {{{PLAIN}, dependsOn: disk}}
  disk: {{{PLAIN}}}
"""
SLOW = """
tasks:
  web: {command: run, dependsOn: {db: ready}, restart: on-failure}
  db: {command: run, successfulStartTimeout: 1, restartsAttempts: 1, restart: on-failure}
"""


class Place(House):
    """A supervisor whose changes are remembered, in words."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.events: list[str] = []
        self.supervisor.observers.append(self._hear)

    def _hear(self, before: Process, what: Occurrence, after: Process, _sent: object) -> None:
        self.events.append(f"{after.name} {transition(before, what, after, ())}")
        if text := told(before, what, after):
            self.told.append(text)

    def ask(self, name: str, event: Event, n: int = 1) -> Refused | None:
        heard: list[Refused | None] = []
        self.supervisor.ask((name, n), event, lambda row, refused: heard.append(refused), "somebody")
        self.turns()
        return heard[0]

    def turns(self) -> None:
        for _ in range(3):
            self.loop.turn(0)

    def end(self, name: str, code: int = 0) -> None:
        self.die(next(pid for pid, key in self.platform.alive.items() if key[0] == name), code)
        self.turns()

    def blocked(self, name: str, n: int = 1) -> str:
        return self.supervisor.rows[name, n].blocked

    def wanted_up(self, name: str) -> bool:
        return self.supervisor.rows[name, 1].wanted_up

    def stopped(self) -> list[str]:
        """Whom the stop signal was sent to, in order."""
        return [next(row.name for row in self.supervisor.rows.values() if row.pid == pid) for pid, _ in self.sent()]

    def sent(self) -> list[tuple[int, int]]:
        return [(pid, signum) for pid, signum in self.platform.sent if pid in self.platform.alive]

    def started(self) -> list[str]:
        return [event.split()[0] for event in self.events if "spawned" in event]


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.loop.close()


def test_a_boot_starts_what_is_needed_in_its_order(place: Place) -> None:
    place.apply(CHAIN)
    place.turns()
    assert place.started() == ["disk", "db", "web"]


def test_what_an_operator_keeps_down_is_not_started_for_others(place: Place) -> None:
    place.apply(CHAIN, disk=False)
    place.turns()
    assert place.states() == {"web": "STOPPED", "db": "STOPPED", "disk": "STOPPED"}
    assert place.blocked("db") == "waits for disk (started): disk is STOPPED; type: start disk"
    assert place.blocked("web") == "waits for db (started): db is blocked itself; type: status db"
    assert place.ask("disk", Event.START) is None
    assert place.states() == {"web": "RUNNING", "db": "RUNNING", "disk": "RUNNING"}
    assert (place.blocked("db"), place.blocked("web")) == ("", "")


def test_a_start_waits_until_the_other_is_ready_and_is_then_done(place: Place) -> None:
    place.apply(SLOW)
    place.ask("db", Event.START)
    assert place.ask("web", Event.START) is None
    assert place.states() == {"web": "STOPPED", "db": "STARTED"}
    assert place.told == [
        "Process 'db' started with PID 101",
        "Process 'web' waits for db (ready): db is STARTED",
    ]
    place.turn_until(lambda: place.states()["web"] == "STARTED")
    assert place.supervisor.rows["db", 1].running
    assert place.events[-2:] == [
        "web STOPPED -> STARTED (start)",
        "web STARTED (spawned), pid 102",
    ]


def test_the_reason_follows_what_happens_and_what_does_not_come_is_told_once(place: Place) -> None:
    place.apply(SLOW)
    place.ask("db", Event.START)
    place.ask("web", Event.START)
    place.end("db", 1)
    assert place.blocked("web") == "waits for db (ready): db is BACKOFF"
    place.turn_until(lambda: place.states()["db"] == "STARTED")
    place.turns()
    place.told.clear()
    place.end("db", 1)
    assert place.states()["db"] == "FATAL"
    assert ("web", 1) in place.supervisor.held.stuck
    text = "Process 'web' waits for db (ready): db is FATAL; type: start db"
    assert place.told[-1] == text
    assert place.told.count(text) == 1
    place.ask("db", Event.START)
    assert place.told[-1] == "Process 'web' waits for db (ready): db is STARTED"
    assert not place.supervisor.held.stuck


def test_a_stop_takes_a_start_back(place: Place) -> None:
    place.apply(SLOW)
    place.ask("db", Event.START)
    place.ask("web", Event.START)
    assert place.wanted_up("web")
    assert place.ask("web", Event.STOP) is None
    assert place.told[-1] == "Process 'web' no longer waits"
    assert not place.wanted_up("web")
    assert place.ask("web", Event.STOP) == Refused("Process 'web' is not running")
    place.turn_until(lambda: place.supervisor.rows["db", 1].running)
    place.turns()
    assert place.states()["web"] == "STOPPED"


def test_a_start_that_is_taken_back_in_the_turn_in_which_it_could_be_done_is_not_done(place: Place) -> None:
    place.apply(SLOW)
    place.ask("db", Event.START)
    place.ask("web", Event.START)
    for _ in range(3):  # each uses up the slice of a turn, so that the stop is still to be carried out
        place.supervisor.then(lambda: setattr(place.clock, "now", place.clock.now + 1))
    place.supervisor.ask(("web", 1), Event.STOP)
    assert place.blocked("web")
    place.turn_until(lambda: place.supervisor.rows["db", 1].running)
    place.turns()
    assert place.states()["web"] == "STOPPED"


def test_an_automatic_restart_does_not_wait_again(place: Place) -> None:
    place.apply(SLOW)
    place.ask("db", Event.START)
    place.turn_until(lambda: place.supervisor.rows["db", 1].running)
    place.ask("web", Event.START)
    place.ask("db", Event.STOP)
    place.end("db")
    place.end("web", 1)
    place.turn_until(lambda: place.states()["web"] == "STARTED")
    assert place.states()["db"] == "STOPPED"


def test_a_restart_of_what_lives_does_not_wait_and_of_what_rests_does(place: Place) -> None:
    place.apply(SLOW)
    assert place.ask("web", Event.RESTART) is None
    assert place.blocked("web") == "waits for db (ready): db is STOPPED; type: start db"
    place.ask("db", Event.START)
    place.turn_until(lambda: place.states()["web"] == "STARTED")
    place.ask("db", Event.STOP)
    place.ask("web", Event.RESTART)
    assert place.states()["web"] == "STOPPING"


def test_a_stop_goes_through_the_graph_backwards(place: Place) -> None:
    place.apply(CHAIN)
    place.turns()
    for key in reversed(place.supervisor.held.ordered(place.supervisor.rows)):
        place.supervisor.ask(key, Event.STOP)
    assert place.stopped() == ["web"]
    assert place.told[-2:] == [
        "Process 'db' is stopped after web, which depends on it",
        "Process 'disk' is stopped after db, which depends on it",
    ]
    place.end("web")
    assert place.stopped() == ["db"]
    assert place.blocked("disk") == "is stopped after db, which depends on it"
    place.end("db")
    assert place.stopped() == ["disk"]
    place.end("disk")
    assert set(place.states().values()) == {"STOPPED"}
    assert not any(row.blocked for row in place.supervisor.rows.values())


def test_a_shutdown_goes_through_the_graph_backwards_and_the_independent_go_together(place: Place) -> None:
    place.apply(f"{CHAIN}  one: {{{PLAIN}, autoLaunch: true}}\n  two: {{{PLAIN}, autoLaunch: true}}\n")
    place.turns()
    place.apply("")
    assert sorted(place.stopped()) == ["one", "two", "web"]
    place.end("web")
    place.end("db")
    place.end("disk")
    assert list(place.states()) == ["one", "two"]


def test_in_a_hurry_nothing_waits(place: Place) -> None:
    place.apply(CHAIN)
    place.turns()
    place.apply("")
    place.supervisor.end_grace()
    place.turns()
    sent = place.sent()
    assert {pid: [number for each, number in sent if each == pid] for pid, _ in sent} == {
        101: [15, 9],
        102: [15, 9],
        103: [15, 9],
    }
    assert {row.state for row in place.supervisor.rows.values()} == {State.KILLING}


def test_a_stop_that_waits_is_taken_back_by_a_start_and_replaced_by_a_restart(place: Place) -> None:
    place.apply(CHAIN)
    place.turns()
    place.ask("web", Event.STOP)
    place.ask("db", Event.STOP)
    assert not place.wanted_up("db")
    assert place.ask("db", Event.START) is None
    assert (place.blocked("db"), place.wanted_up("db")) == ("", True)
    assert place.told[-1] == "Process 'db' no longer waits"
    place.ask("db", Event.STOP)
    place.ask("db", Event.RESTART)
    assert place.states()["db"] == "STOPPING"
    assert place.wanted_up("db")


@pytest.mark.parametrize(("policy", "state"), [("always", "STOPPED"), ("never", "FATAL")])
def test_what_ends_by_itself_while_its_stop_waits_stays_down(place: Place, policy: str, state: str) -> None:
    place.apply(CHAIN.replace("dependsOn: disk", f"dependsOn: disk, restart: {policy}"))
    place.turns()
    place.ask("web", Event.STOP)
    place.ask("db", Event.STOP)
    place.end("db", 1)
    assert (place.states()["db"], place.blocked("db")) == (state, "")
    place.end("web")
    place.turns()
    assert place.states()["db"] == state


def test_what_taskmaster_ends_itself_while_its_stop_waits_stays_down(place: Place) -> None:
    place.apply(CHAIN.replace("dependsOn: disk", "dependsOn: disk, restart: always"))
    place.turns()
    place.ask("web", Event.STOP)
    place.ask("db", Event.STOP)
    place.supervisor.found(102, Event.UNHEALTHY, "too old")
    place.turns()
    place.end("db", 1)
    assert (place.states()["db"], place.blocked("db")) == ("STOPPED", "")


def test_a_reload_that_takes_the_dependency_away_lets_it_start(place: Place) -> None:
    place.apply(SLOW)
    place.ask("web", Event.START)
    place.apply(SLOW.replace("dependsOn: {db: ready}, ", ""))
    place.turns()
    assert place.states() == {"web": "STARTED", "db": "STOPPED"}


def test_a_reload_leaves_what_waits_waiting(place: Place) -> None:
    place.apply(SLOW)
    place.ask("db", Event.START)
    place.ask("web", Event.START)
    place.apply(SLOW.replace("restartsAttempts: 1", "restartsAttempts: 2"))
    place.turn_until(lambda: place.states()["web"] == "STARTED")


def test_an_instance_more_of_what_waits_waits_as_well(place: Place) -> None:
    place.apply(SLOW)
    place.ask("db", Event.START)
    place.ask("web", Event.START)
    place.apply(SLOW.replace("command: run, dependsOn", "command: run, instances: 2, dependsOn"))
    place.turns()
    assert place.blocked("web", 1) == place.blocked("web", 2) == "waits for db (ready): db is STARTED"
    place.turn_until(lambda: place.states()["web_2"] == "STARTED")


def test_what_waits_and_is_removed_is_gone(place: Place) -> None:
    place.apply(SLOW)
    place.ask("web", Event.START)
    place.apply("tasks: {db: {command: run}}")
    place.ask("db", Event.START)
    assert place.states() == {"db": "STARTED"}


def test_a_daemon_that_comes_after_goes_on_waiting(place: Place) -> None:
    place.apply(SLOW)
    place.ask("db", Event.START)
    place.ask("web", Event.START)
    rows = dict(place.supervisor.rows)
    next_place = Place()
    try:
        next_place.supervisor.take_over(config(SLOW), rows)
        next_place.apply(SLOW)
        next_place.turns()
        assert next_place.blocked("web") == "waits for db (ready): db is STARTED"
        next_place.clock.now += 5
        next_place.turn_until(lambda: next_place.states()["web"] == "STARTED")
        assert next_place.started() == ["web"]
    finally:
        next_place.loop.close()


def test_a_daemon_that_comes_after_goes_on_with_a_stop(place: Place) -> None:
    tasks = config(CHAIN).tasks
    rows: dict[Key, Process] = {
        (name, 1): row(State.RUNNING, task=tasks[name], pid=pid, wanted_up=False, spawned_at=row().since)
        for pid, name in enumerate(tasks, 100)
    }
    rows["web", 1] = replace(rows["web", 1], state=State.STOPPING)
    rows["db", 1] = replace(rows["db", 1], blocked="is stopped after web, which depends on it")
    place.supervisor.take_over(config(CHAIN), rows)
    place.apply(CHAIN)
    place.turns()
    assert place.platform.sent == []
    place.supervisor.reaped(100, died(0))
    place.turns()
    assert place.platform.sent == [(101, 15)]


def test_a_thousand_that_wait_for_one_start_when_it_is_there(place: Place) -> None:
    many = "".join(f"  t{n}: {{{PLAIN}, dependsOn: {{db: ready}}, autoLaunch: true}}\n" for n in range(1000))
    place.apply(f"tasks:\n  db: {{command: run, successfulStartTimeout: 1}}\n{many}")
    place.turn_until(lambda: set(place.states().values()) == {"RUNNING"})
