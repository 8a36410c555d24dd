"""Ticks: by a clock that a test sets, with a supervisor that really steps its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from tests.unit.build import tasks
from tests.unit.test_supervisor import House, config
from tm.core.effects import Send
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.core.runs import Begun, Run, Runs
from tm.core.transitions import Event
from tm.daemon.ticks import Rules, Ticks
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog, LogFile

BEGIN = datetime(2026, 3, 2, 2, 59, 30, tzinfo=UTC)
KEY = ("web", 1)
DAILY = 'tasks: {web: {command: run, schedule: "0 3 * * *"}}'
EVERY = 'tasks: {web: {command: run, schedule: "* * * * *"%s}}'


class WallClock:
    """Stands still until a test sets it. Setting it rings, as the kernel does."""

    def __init__(self, at: datetime) -> None:
        self.at = at.timestamp()
        self.alarm: float | None = None
        self.rings: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.at

    def set_alarm(self, at: float | None) -> None:
        self.alarm = at

    def set(self, at: datetime) -> None:
        """Somebody has set the clock, or its alarm is due."""
        self.at = at.timestamp()
        self.rings()


class Place:
    """The ticks of one daemon. `next_daemon`: it is killed, and the one that follows knows the rows and the lines."""

    def __init__(self, text: str, clock: WallClock, before: Place | None = None) -> None:
        self.text, self.clock = text, clock
        self.house = House() if before is None else before.house
        self.runs = Runs()
        self.off: set[Key] = set()
        self.leaving = False
        self.lines = [] if before is None else before.lines
        for line in self.lines:
            self.runs.take(line)
        self.log = EventLog(LogFile(None), Level.DEBUG, False)
        self.starts = 0 if before is None else before.starts
        supervisor = self.house.supervisor
        supervisor.observers[:] = [self.observe]
        if before is None:
            supervisor.apply(config(text), {})
        rules = Rules(zone, lambda key: key in self.off, lambda: self.leaving, self.lines.append)
        self.ticks = Ticks((self.house.loop, supervisor, self.log), clock, self.runs, rules)
        self.ticks.apply(tasks(text))

    def observe(self, before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        key, now = (after.task.name, after.n), self.clock.now()
        if what.event is Event.SPAWNED:
            self.starts += 1
            self.lines.append(self.runs.begin(key, Begun(now, what.by)))
        if what.event is Event.REAPED:
            self.lines.append(self.runs.end(key, Run(self.runs.begun[key], 1.0, what.status)))
        if after.at_rest:
            self.ticks.ended(after)

    def next_daemon(self, text: str = "") -> Place:
        return Place(text or self.text, self.clock, self)

    def to(self, at: datetime | timedelta) -> None:
        """Time passes, or the clock is set."""
        self.clock.set(at if isinstance(at, datetime) else datetime.fromtimestamp(self.clock.at, UTC) + at)
        self.house.turn_until(lambda: True)

    def end(self, code: int = 0) -> None:
        """The run ends."""
        row = self.house.supervisor.rows[KEY]
        assert row.pid is not None
        self.house.die(row.pid, code)
        self.house.loop.turn(0)
        self.house.loop.turn(0)

    @property
    def state(self) -> str:
        return self.house.states()["web"]

    def told(self, words: str) -> bool:
        return any(words in record.text for record in self.log.records)


def zone(name: str | None) -> tzinfo:
    return UTC if name is None else ZoneInfo(name)


def place(text: str, at: datetime = BEGIN) -> Place:
    return Place(text, WallClock(at))


MINUTE = timedelta(minutes=1)
THREE = BEGIN.replace(hour=3, minute=0, second=0)


def test_it_does_not_run_at_load_but_when_it_is_due_and_then_the_next_day() -> None:
    it = place(DAILY)
    assert (it.state, it.clock.alarm) == ("STOPPED", THREE.timestamp())
    it.to(THREE)
    assert (it.state, it.starts) == ("STARTED", 1)
    assert it.clock.alarm == (THREE + timedelta(days=1)).timestamp()


def test_an_alarm_that_rings_too_early_rings_again() -> None:
    it = place(DAILY)
    it.to(THREE - timedelta(milliseconds=1))
    assert (it.starts, it.clock.alarm) == (0, THREE.timestamp())


def test_the_zone_is_the_tasks() -> None:
    it = place('tasks: {web: {command: run, schedule: "0 3 * * *", timeZone: Europe/Berlin}}')
    assert it.clock.alarm == (THREE + timedelta(hours=23)).timestamp()


def test_a_clock_that_is_set_forward_makes_nothing_up() -> None:
    it = place(DAILY)
    it.to(THREE + timedelta(hours=2))
    assert it.starts == 0
    assert it.told("missed at 2026-03-02T03:00:00+00:00")
    assert it.clock.alarm == (THREE + timedelta(days=1)).timestamp()


def test_a_few_seconds_are_made_up_and_of_several_ticks_the_last() -> None:
    it = place(EVERY % "")
    it.to(THREE + timedelta(minutes=7, seconds=20))
    assert it.starts == 1
    assert it.told("missed at 2026-03-02T03:00:00")


def test_a_clock_that_is_set_back_a_little_runs_nothing_twice() -> None:
    it = place(DAILY)
    it.to(THREE)
    it.end()
    for back in (timedelta(seconds=0.2), timedelta(minutes=30), timedelta(hours=2)):
        it.to(THREE - back)
        assert it.clock.alarm == (THREE + timedelta(days=1)).timestamp()
        it.to(THREE + timedelta(seconds=1))
    assert it.starts == 1


def test_what_runs_every_minute_follows_the_clock_back() -> None:
    it = place(EVERY % "")
    it.to(THREE)
    it.end()
    it.to(THREE - timedelta(seconds=1))
    assert it.clock.alarm == (THREE + MINUTE).timestamp(), "a correction"
    it.to(THREE - timedelta(hours=1))
    assert it.clock.alarm == (THREE - timedelta(minutes=59)).timestamp()
    it.to(THREE - timedelta(minutes=59))
    assert it.starts == 2


def test_a_clock_that_had_been_years_ahead_keeps_nothing_from_running() -> None:
    it = place(DAILY, BEGIN.replace(year=2035))
    it.to(THREE.replace(year=2035))
    it.end()
    it.to(BEGIN)
    assert it.clock.alarm == THREE.timestamp()
    it.to(THREE)
    assert it.starts == 2


def test_a_tick_while_a_run_goes_on_is_left_out() -> None:
    it = place(EVERY % "")
    it.to(THREE)
    it.to(MINUTE)
    assert it.starts == 1
    assert it.told("so this one is left out")
    it.end()
    it.to(MINUTE)
    assert it.starts == 2


def test_a_tick_while_a_run_goes_on_waits_once() -> None:
    it = place(EVERY % ", overlap: queue")
    it.to(THREE)
    it.to(MINUTE)
    it.to(MINUTE)
    assert it.starts == 1
    it.end()
    assert it.starts == 2
    it.end()
    assert (it.starts, it.state) == (2, "EXITED")


def test_what_waits_waits_for_the_last_attempt() -> None:
    it = place(EVERY % ", overlap: queue, restart: on-failure, restartsAttempts: 1")
    it.to(THREE)
    it.to(MINUTE)
    it.end(1)
    assert it.state == "BACKOFF"
    it.house.turn_until(lambda: it.starts == 2)
    it.end(1)
    assert (it.state, it.starts) == ("STARTED", 3), "one attempt more, then the one that waited"


def test_a_tick_ends_the_run_that_goes_on() -> None:
    it = place(EVERY % ", overlap: kill")
    it.to(THREE)
    it.to(MINUTE)
    assert it.state == "STOPPING"
    it.end()
    assert (it.state, it.starts) == ("STARTED", 2)


def test_a_run_that_waits_for_its_next_attempt_yields_to_a_new_one() -> None:
    it = place(EVERY % ", restart: on-failure, restartDelay: 1h")
    it.to(THREE)
    it.end(1)
    assert (it.state, it.house.supervisor.rows[KEY].retries) == ("BACKOFF", 1)
    it.to(MINUTE)
    assert (it.state, it.house.supervisor.rows[KEY].retries) == ("STARTED", 0)


def test_who_was_stopped_by_hand_is_not_started_nor_is_anybody_when_the_daemon_leaves() -> None:
    it = place(EVERY % ", overlap: queue")
    it.off.add(KEY)
    it.to(THREE)
    assert it.starts == 0
    it.off.clear()
    it.to(MINUTE)
    it.to(MINUTE)
    it.off.add(KEY)
    it.end()
    assert it.starts == 1, "what waited is taken back"
    it.off.clear()
    it.leaving = True
    it.to(MINUTE)
    assert it.starts == 1


def test_a_daemon_that_follows_at_once_misses_nothing_and_runs_nothing_twice() -> None:
    it = place(DAILY)
    it.clock.at = THREE.timestamp() + 3
    it = it.next_daemon()
    assert it.starts == 1, "due while nobody was there"
    it = it.next_daemon()
    assert it.starts == 1
    assert it.clock.alarm == (THREE + timedelta(days=1)).timestamp()


def test_a_daemon_that_was_killed_before_it_had_noted_the_tick_has_carried_it_out() -> None:
    it = place(DAILY)
    it.to(THREE)
    assert '"mark"' in it.lines.pop(), "the last line, which is not written"
    it.clock.at += 2
    assert it.next_daemon().starts == 1
    it.lines.pop()
    it.end()
    it = it.next_daemon()
    assert (it.starts, it.state) == (1, "EXITED")


def test_a_daemon_that_comes_much_later_makes_nothing_up() -> None:
    it = place(DAILY)
    it.clock.at = THREE.timestamp() + 7 * 86400 + 3600
    it = it.next_daemon()
    assert it.starts == 0
    assert it.told("missed at 2026-03-02T03:00:00")


def test_what_waits_is_known_to_the_next_daemon() -> None:
    it = place(EVERY % ", overlap: queue")
    it.to(THREE)
    it.to(MINUTE)
    it = it.next_daemon()
    it.end()
    assert (it.starts, it.state) == (2, "STARTED")


def test_what_waited_and_had_begun_when_the_daemon_was_killed_does_not_begin_again() -> None:
    it = place(EVERY % ", overlap: queue")
    it.to(THREE)
    it.to(MINUTE)
    it.clock.at += 5
    it.end()
    assert '"mark"' in it.lines.pop()
    it = it.next_daemon()
    it.end()
    assert (it.starts, it.state) == (2, "EXITED")


def test_another_schedule_counts_from_now_on() -> None:
    it = place(DAILY)
    it.clock.at = THREE.timestamp() + 3
    it = it.next_daemon('tasks: {web: {command: run, schedule: "0 3 * * mon"}}')
    assert it.starts == 0
    it.ticks.apply({})
    assert it.clock.alarm is None


def test_every_instance_runs() -> None:
    it = place(EVERY % ", instances: 3")
    it.to(THREE)
    assert it.starts == 3


def test_one_that_is_beyond_all_calendars_sets_no_alarm() -> None:
    it = place('tasks: {web: {command: run, schedule: "0 0 29 2 *"}}', datetime(9999, 1, 1, tzinfo=UTC))
    assert it.clock.alarm is None
