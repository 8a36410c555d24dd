"""The supervisor against a platform of a few lines: wishes, deaths, reloads, remains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from tests.unit.build import died, row, tasks
from tm.core.config import Config
from tm.core.launch import Launch, SpawnFailure
from tm.core.process import Occurrence, Process
from tm.core.settings import Settings
from tm.core.task import KillMode, Task
from tm.core.transitions import Event, Refused, State
from tm.daemon.departure import kill_all
from tm.daemon.outputs import Key
from tm.daemon.reach import Way
from tm.daemon.supervisor import Supervisor
from tm.edge.loop import Loop


@dataclass
class FakePlatform:
    """Hands out pids, remembers signals; a group lives on when a test says so."""

    alive: dict[int, Key] = field(default_factory=dict)
    sent: list[tuple[int, int]] = field(default_factory=list)
    groups: set[int] = field(default_factory=set)
    zombies: set[int] = field(default_factory=set)
    left: dict[Key, int] = field(default_factory=dict)
    fails: SpawnFailure | None = None
    pids: int = 100
    bug: bool = False
    refuses: bool = False

    def spawn(self, key: Key, launch: Launch) -> int | SpawnFailure:
        if self.bug:
            raise ZeroDivisionError
        if self.fails:
            return self.fails
        self.pids += 1
        self.alive[self.pids] = key
        return self.pids

    def send(self, task: Task, pid: int, signum: int) -> bool:
        self.sent.append((pid, signum))
        return not self.refuses

    def group_left(self, task: Task, pid: int) -> bool:
        return pid in self.groups

    def hold(self, task: Task, pid: int) -> int:
        if task.kill_mode is not KillMode.TREE:
            return pid
        self.groups.add(-pid)
        return -pid

    def way(self, task: Task, pid: int) -> Way | None:
        return None

    def resume(self, pids: Mapping[Key, int | None]) -> Mapping[Key, int]:
        return {key: number for key, number in self.left.items() if pids.get(key) is None}

    def living_groups(self) -> set[int] | None:
        return self.groups - self.zombies


class Clock:
    """Seconds that pass by a little whenever somebody looks, and otherwise when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.00002
        return self.now


class House:
    """A supervisor with its loop and platform."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.loop = Loop(_raise, self.clock)
        self.platform = FakePlatform()
        self.supervisor = Supervisor(self.loop, self.platform, config(""), {"PATH": "/bin"})

    def apply(self, text: str, **wishes: bool) -> None:
        self.supervisor.apply(config(text), {(name, 1): up for name, up in wishes.items()})

    def turn_until(self, condition: Callable[[], bool]) -> None:
        """Turn after turn, a bounded number of times."""
        for _ in range(1000):
            if condition():
                return
            self.clock.now += 0.05
            self.loop.turn(0)
        raise AssertionError(self.states())

    def states(self) -> dict[str, str]:
        return {row.name: row.state.value for row in self.supervisor.rows.values()}

    def die(self, pid: int, code: int = 1) -> None:
        del self.platform.alive[pid]
        self.supervisor.reaped(pid, died(code))


def _raise(error: BaseException) -> None:
    raise error


def config(text: str) -> Config:
    return Config(path="/etc/web.yaml", tasks=tasks(text) if text else {}, settings=Settings())


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.loop.close()


WEB = "tasks: {web: {command: run, autoLaunch: true, restart: always, successfulStartTimeout: 0}}"


def test_boot_starts_what_launches_by_itself(house: House) -> None:
    house.apply("tasks: {web: {command: run, autoLaunch: true}, idle: {command: run}}")
    assert house.states() == {"web": "STARTED", "idle": "STOPPED"}


def test_what_an_operator_wished_counts_more_than_auto_launch(house: House) -> None:
    house.apply("tasks: {web: {command: run, autoLaunch: true}, idle: {command: run}}", web=False, idle=True)
    assert house.states() == {"web": "STOPPED", "idle": "STARTED"}


def test_a_death_is_answered_in_the_same_turn(house: House) -> None:
    house.apply(WEB)
    house.die(101)
    house.loop.turn(0)
    assert list(house.platform.alive) == [102]


def test_refusals_reach_who_asked(house: House) -> None:
    house.apply(WEB)
    heard: list[Refused | None] = []
    house.supervisor.ask(("web", 1), Event.START, lambda row, refused: heard.append(refused))
    assert heard == [Refused("Process 'web' is already running")]


def test_a_wish_about_a_row_that_is_gone_is_dropped(house: House) -> None:
    house.supervisor.ask(("nobody", 1), Event.START)
    assert house.supervisor.rows == {}


def test_an_unchanged_configuration_touches_nothing(house: House) -> None:
    house.apply(WEB)
    before = dict(house.supervisor.rows)
    house.apply(WEB)
    assert house.supervisor.rows == before


def test_a_removed_task_is_stopped_and_dropped(house: House) -> None:
    house.apply(WEB)
    house.apply("")
    assert (house.states(), house.platform.sent) == ({"web": "STOPPING"}, [(101, 15)])
    house.die(101, 0)
    assert house.states() == {}


def test_a_task_that_comes_back_while_it_stops_is_started_again(house: House) -> None:
    house.apply(WEB)
    house.apply("")
    house.apply(WEB)
    house.die(101, 0)
    assert (house.states(), list(house.platform.alive)) == ({"web": "RUNNING"}, [102])


def test_scaling_touches_only_the_difference_highest_first(house: House) -> None:
    house.apply(WEB.replace("run,", "run, instances: 3,"))
    assert list(house.platform.alive) == [101, 102, 103]
    house.apply(WEB)
    assert house.platform.sent == [(103, 15), (102, 15)]
    for pid in (102, 103):
        house.die(pid, 0)
    assert (house.states(), list(house.platform.alive)) == ({"web": "RUNNING"}, [101])
    house.apply(WEB.replace("run,", "run, instances: 2,"))
    assert house.states() == {"web_1": "RUNNING", "web_2": "RUNNING"}


def test_scaling_up_what_an_operator_stopped_starts_nothing(house: House) -> None:
    house.apply(WEB)
    house.supervisor.ask(("web", 1), Event.STOP)
    house.die(101, 0)
    house.apply(WEB.replace("run,", "run, instances: 2,"))
    assert house.states() == {"web_1": "STOPPED", "web_2": "STOPPED"}


def test_a_respawn_key_restarts_and_a_live_key_does_not(house: House) -> None:
    house.apply(WEB)
    house.apply(WEB.replace("run,", "run, gracefulStopTimeout: 1,"))
    assert (house.platform.sent, house.supervisor.rows["web", 1].task.graceful_stop_timeout_s) == ([], 1.0)
    house.apply(WEB.replace("run,", "other,"))
    assert house.platform.sent == [(101, 15)]
    house.die(101, 0)
    assert list(house.platform.alive) == [102]


def test_what_was_stopped_by_hand_stays_so_over_a_respawn_key(house: House) -> None:
    house.apply(WEB)
    house.supervisor.ask(("web", 1), Event.STOP)
    house.die(101, 0)
    house.apply(WEB.replace("run,", "other,"))
    assert house.states() == {"web": "STOPPED"}


def test_fatal_stays_fatal_unless_a_respawn_key_changed(house: House) -> None:
    fatal = WEB.replace("always", "never")
    house.apply(fatal)
    house.die(101)
    house.apply(fatal.replace("run,", "run, restartsAttempts: 9,"))
    assert house.states() == {"web": "FATAL"}
    house.apply(fatal.replace("run,", "other,"))
    assert house.states() == {"web": "RUNNING"}


def test_remains_of_a_stopped_group_are_waited_for(house: House) -> None:
    house.apply(WEB)
    house.supervisor.ask(("web", 1), Event.RESTART)
    house.platform.groups.add(101)
    house.die(101, 0)
    assert (house.states(), list(house.platform.alive)) == ({"web": "STOPPING"}, [])
    house.loop.turn(0)
    assert list(house.platform.alive) == []
    house.platform.groups.clear()
    house.supervisor.reaped(999, died(-9))
    house.loop.turn(0)
    assert list(house.platform.alive) == [102]


def test_remains_of_a_crash_are_killed_before_the_next_start(house: House) -> None:
    house.apply(WEB)
    house.platform.groups.add(101)
    house.die(101)
    assert (house.platform.sent, list(house.platform.alive)) == ([(101, 9)], [])
    house.platform.groups.clear()
    house.supervisor.reaped(999, died(-9))
    house.turn_until(lambda: list(house.platform.alive) == [102])


def test_remains_that_nobody_tells_of_are_looked_for(house: House) -> None:
    house.apply(WEB)
    house.platform.groups.add(101)
    house.die(101)
    house.platform.groups.clear()
    house.turn_until(lambda: list(house.platform.alive) == [102])


def left_behind(house: House) -> None:
    """`web` has exited and left a member of its group."""
    house.apply(WEB.replace("always", "never"))
    house.platform.groups.add(101)
    house.die(101, 0)
    house.loop.turn(0)
    assert (house.states(), house.platform.sent) == ({"web": "EXITED"}, [])


def test_the_next_start_waits_until_what_was_left_is_killed_and_gone(house: House) -> None:
    left_behind(house)
    house.supervisor.ask(("web", 1), Event.START)
    house.loop.turn(0)
    assert (house.states(), house.platform.sent) == ({"web": "EXITED"}, [(101, 9)])
    house.platform.groups.clear()
    house.turn_until(lambda: house.states() == {"web": "RUNNING"})


def test_a_stop_takes_back_a_start_that_waits_for_what_was_left(house: House) -> None:
    left_behind(house)
    house.supervisor.ask(("web", 1), Event.START)
    house.supervisor.ask(("web", 1), Event.STOP)
    house.platform.groups.clear()
    for _ in range(5):
        house.clock.now += 0.05
        house.loop.turn(0)
    assert house.states() == {"web": "EXITED"}


def test_what_was_left_is_forgotten_when_it_is_gone_since_its_number_may_come_back(house: House) -> None:
    left_behind(house)
    house.platform.groups.clear()
    house.supervisor.reaped(999, died(0))
    house.loop.turn(0)
    house.platform.groups.add(101)
    house.supervisor.ask(("web", 1), Event.START)
    assert (house.states(), house.platform.sent) == ({"web": "RUNNING"}, [])


def test_what_is_left_is_killed_when_the_task_goes(house: House) -> None:
    left_behind(house)
    house.apply("")
    assert (house.states(), house.platform.sent) == ({"web": "EXITED"}, [(101, 9)])
    house.platform.groups.clear()
    house.turn_until(lambda: house.states() == {})


@pytest.mark.parametrize("wish", [Event.STOP, Event.START, Event.RESTART])
def test_no_wish_keeps_a_task_that_goes_from_going_when_what_it_left_is_gone(house: House, wish: Event) -> None:
    """The bug: its row stayed for ever, and a shutdown waited for it."""
    left_behind(house)
    house.apply("")
    house.supervisor.ask(("web", 1), wish)
    house.platform.groups.clear()
    house.turn_until(lambda: house.states() == {})


def test_zombies_that_nobody_waits_for_hold_nothing_up(house: House) -> None:
    house.apply(WEB)
    house.platform.groups.add(101)
    house.platform.zombies.add(101)
    house.supervisor.ask(("web", 1), Event.STOP)
    house.die(101, 0)
    house.supervisor.end_grace()
    house.turn_until(lambda: house.states() == {"web": "STOPPED"})


TREE = WEB.replace("{command", "{killMode: tree, command")


def test_what_is_left_of_a_tree_is_signalled_by_a_number_that_no_process_has(house: House) -> None:
    """Its leader's pid may be another one's by then. No process group says that it is gone, and it is killed again."""
    house.apply(TREE)
    house.platform.groups.add(101)
    house.supervisor.ask(("web", 1), Event.STOP)
    house.die(101, 0)
    house.platform.groups.discard(101)
    assert house.supervisor.send(("web", 1), 1)
    house.supervisor.end_grace()
    assert house.platform.sent == [(101, 15), (-101, 1), (-101, 9)]
    house.platform.zombies.add(-101)
    house.turn_until(lambda: house.platform.sent[-3:] == [(-101, 9)] * 3)
    assert house.states() == {"web": "KILLING"}
    house.platform.groups.clear()
    house.turn_until(lambda: house.states() == {"web": "STOPPED"})


def test_trees_that_were_found_alone_are_waited_for_or_ended(house: House) -> None:
    house.platform.left = {("web", 1): -1, ("gone", 3): -2}
    house.platform.groups |= {-1, -2}
    house.supervisor.take_over(config(TREE), {("web", 1): row(task=config(TREE).tasks["web"])})
    assert house.platform.sent == [(-2, 9)], "what nobody knows any more"
    house.supervisor.ask(("web", 1), Event.START)
    assert house.platform.sent[1:] == [(-1, 9)]
    assert house.states() == {"web": "STOPPED"}
    house.platform.groups.clear()
    house.turn_until(lambda: house.states() == {"web": "RUNNING"})


def test_a_bug_in_a_spawn_is_a_failed_start(house: House) -> None:
    house.apply(WEB.replace("always", "never"), web=False)
    house.platform.bug = True
    with pytest.raises(ZeroDivisionError):
        house.supervisor.ask(("web", 1), Event.START)
    house.loop.turn(0)
    assert house.states() == {"web": "FATAL"}
    house.platform.bug = False
    house.supervisor.ask(("web", 1), Event.START)
    assert house.states() == {"web": "RUNNING"}


def test_after_the_grace_was_ended_later_stops_kill_too(house: House) -> None:
    house.apply(WEB.replace("run,", "run, instances: 2,"))
    house.supervisor.end_grace()
    house.supervisor.ask(("web", 2), Event.STOP)
    assert house.platform.sent == [(102, 15), (102, 9)]


def test_a_signal_that_reaches_nobody_is_told_with_who_and_which(house: House) -> None:
    unsent: list[tuple[str, int]] = []
    house.apply(WEB)
    house.supervisor.on_unsent = lambda row, signum: unsent.append((row.name, signum))
    house.platform.refuses = True
    house.supervisor.ask(("web", 1), Event.STOP)
    assert unsent == [("web", 15)]
    assert house.states() == {"web": "STOPPING"}


def test_at_the_very_end_everything_alive_is_killed_and_named(house: House) -> None:
    house.apply(WEB.replace("run,", "run, instances: 2,"))
    assert kill_all(house.supervisor) == ["web_1 (pid 101)", "web_2 (pid 102)"]
    assert house.platform.sent == [(101, 9), (102, 9)]


def test_who_wished_goes_with_the_wish(house: House) -> None:
    asked: list[str] = []
    house.apply(WEB, web=False)
    house.supervisor.observers.append(lambda before, what, after, sent: asked.append(what.by))
    house.supervisor.ask(("web", 1), Event.START, by="somebody")
    assert asked == ["somebody", ""]


def test_what_was_down_when_an_operator_stopped_it_is_not_started_by_a_reload_that_respawns_it(house: House) -> None:
    """It had given up; 'is not running' is the answer to the stop, and the wish is remembered."""
    once = "tasks: {web: {command: COMMAND, autoLaunch: true, restart: never, successfulStartTimeout: 0}}"
    house.apply(once.replace("COMMAND", "run"))
    house.die(101)
    assert house.states() == {"web": "FATAL"}
    house.apply(once.replace("COMMAND", "other"), web=False)
    assert house.states() == {"web": "FATAL"}
    house.apply(once.replace("COMMAND", "run"), web=True)
    assert house.states() == {"web": "RUNNING"}


def test_a_grace_that_is_ended_kills_only_what_stops(house: House) -> None:
    house.apply(WEB.replace("run,", "run, instances: 2,"))
    house.supervisor.ask(("web", 2), Event.STOP)
    house.supervisor.end_grace()
    assert house.platform.sent == [(102, 15), (102, 9)]
    house.supervisor.end_grace()
    assert house.platform.sent == [(102, 15), (102, 9)]


def test_every_change_is_observed_with_what_was_sent(house: House) -> None:
    seen: list[tuple[str, str, str, int]] = []

    def observe(before: Process, what: Occurrence, after: Process, sent: object) -> None:
        assert isinstance(sent, list)
        seen.append((before.state.value, what.event.value, after.state.value, len(sent)))

    house.supervisor.observers.append(observe)
    house.apply(WEB)
    house.supervisor.ask(("web", 1), Event.STOP)
    assert seen == [
        ("STOPPED", "start", "STARTED", 0),
        ("STARTED", "spawned", "RUNNING", 0),
        ("RUNNING", "stop", "STOPPING", 1),
    ]


def test_a_spawn_that_fails_is_retried_and_gives_up(house: House) -> None:
    house.platform.fails = SpawnFailure("exec", "not found")
    house.apply(
        "tasks: {web: {command: run, autoLaunch: true, restart: always, restartsAttempts: 1, restartDelay: 1ms}}"
    )
    assert house.states() == {"web": "BACKOFF"}
    house.turn_until(lambda: house.states() == {"web": "FATAL"})
    assert house.supervisor.rows["web", 1].restarts == 1


def test_an_impossible_event_is_a_bug_and_changes_nothing(house: House) -> None:
    house.apply(WEB)
    house.supervisor.rows["web", 1] = Process(house.supervisor.config.tasks["web"], 1, house.loop.now)
    with pytest.raises(AssertionError, match="reaped in STOPPED"):
        house.supervisor.reaped(101, died(0))
    assert house.supervisor.rows["web", 1].state is State.STOPPED


def test_a_signal_by_hand_needs_a_process(house: House) -> None:
    house.apply("tasks: {web: {command: run, autoLaunch: true}, idle: {command: run}}")
    assert house.supervisor.send(("web", 1), 10)
    assert not house.supervisor.send(("idle", 1), 10)


def test_much_work_is_done_in_slices(house: House) -> None:
    house.apply("tasks: {web: {command: run, instances: 5000}}")
    for n in range(1, 5001):
        house.supervisor.ask(("web", n), Event.START)
    assert 0 < len(house.platform.alive) < 5000
    house.turn_until(lambda: len(house.platform.alive) == 5000)
