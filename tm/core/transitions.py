"""The table of states: what every state answers to every event. The program is this table.

A process is a row (`core.process.Process`); something happens to it; the cell where its state meets the event says what
follows. A cell is one of three things:

* edges, tried in order, the first whose guard holds is taken. The last one is unguarded, so that a live cell always has
  an answer;
* `Refused`: an operator asked for what makes no sense now, with the reason the operator hears;
* `NEVER`: it cannot happen while the caller keeps its promises. In tests it raises; in service it is logged and the row
  stays as it was, since a supervisor that dies of a bug takes the reason with it.

Invariants, held by Hypothesis in tests/unit/test_process_machine.py:

* a pid exists if and only if the state is alive (STARTED is entered by the action SPAWN and has its pid with SPAWNED,
  which the caller posts, or SPAWN_FAILED, before anything else, or when what has to come before the start is done; it
  is unborn until then, and a stop ends that wait at once);
* SPAWN is never done in a state that has a pid, a signal never sent in one that has none;
* a program that always dies at once is spawned exactly `restartsAttempts` + 1 times, then FATAL; a spawn for which the
  machine had too little uses up none of them;
* from every state STOP, then TIMEOUTs, then one REAPED lead to rest.

Where a task has `readiness`, STARTED becomes RUNNING by READY alone, and its deadline means: not ready in time.

In STOPPING the stop signal may be held back, by what the task wants done before it: the first deadline is the end of
that, and sends it; the grace begins then.

READY and UNHEALTHY are what checks, deadlines and limits say of a living process: that it can do its work, or that
taskmaster has to end it for a fault of its own, which is then treated as an unexpected end. What an operator asks for
meanwhile comes first: it takes the fault back.

AGED is no fault: a process has come to its `maxAge`, and is restarted in order, which counts as an automatic start.

REAPED means that the instance is gone: its leader, and, when it was being stopped, what was left of its process group.
Nothing here knows a deadline's length or a guard's arithmetic (`core.process`), arms a timer or writes a log:
entering a state is what sets its deadline, and telling is for whoever watches the rows change.

Why a table and not methods: eight states and ten events are 80 cells. Spread over methods nobody can say what the
cell STOPPING/START does; here a forgotten cell does not import and a wrong one is a line of a diff.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple, TypeAlias


class State(Enum):
    """The eight states. `value` is the word people see."""

    __hash__ = object.__hash__  # each is there once; that of a name is a call of Python, at each look into the table

    STOPPED = "STOPPED"
    STARTED = "STARTED"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    KILLING = "KILLING"
    EXITED = "EXITED"
    FATAL = "FATAL"


class Event(Enum):
    """What can happen to a process. `value` is the word of the event log."""

    __hash__ = object.__hash__

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    SPAWNED = "spawned"
    SPAWN_FAILED = "spawn-failed"
    REAPED = "reaped"
    TIMEOUT = "timeout"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    AGED = "aged"


class Guard(Enum):
    """When an edge may be taken; judged by `core.process.holds`."""

    ALWAYS = "otherwise"
    INSTANT_START = "successfulStartTimeout is 0, and readiness is not set"
    UNREADY = "readiness is set"
    SHORTAGE = "a restart is due and the machine had too little"
    RETRIES_LEFT = "a restart is due and attempts are left"
    RESTART_DUE = "a restart is due"
    GOES_ON = "a restart is due of what is not oneshot"
    EXPECTED = "it ended as expected"
    WANTED_UP = "it is wanted up"
    UNBORN = "it has not been spawned yet"
    HELD = "its stop signal is held back"
    START_FAULTED = "it was at fault before it was up, a restart is due and attempts are left"
    RUN_FAULTED = "it was at fault, a restart is due and it had been up"
    FAULTED = "it was at fault"


class Action(Enum):
    """What taking an edge does; carried out on the row, or handed to the edge of the program as an effect."""

    SPAWN = "spawn"
    SEND_STOP = "send the stop signal, when its preStop is done"
    RELEASE = "send the stop signal that was held back"
    SEND_KILL = "send SIGKILL"
    COUNT_RETRY = "count a retry"
    COUNT_SHORTAGE = "count a shortage"
    COUNT_RESTART = "count an automatic start"
    RESET_RETRIES = "forget the retries"
    FAULT = "note the fault"
    WANT_UP = "wanted up, a new count"
    WANT_DOWN = "wanted down, a new count"


class Edge(NamedTuple):
    """One way out of a cell."""

    guard: Guard
    to: State
    actions: tuple[Action, ...] = ()


class Refused(NamedTuple):
    """The answer to an operator whose wish makes no sense in this state. `{name}` is filled in."""

    reason: str


class Never(Enum):
    """The cell that cannot be reached."""

    NEVER = "never"


Cell: TypeAlias = tuple[Edge, ...] | Refused | Never


class Row(NamedTuple):
    """One state's answers. `alive`: it has a pid. `timed`: it has a deadline."""

    alive: bool
    timed: bool
    cells: Mapping[Event, Cell]


A, G, S = Action, Guard, State
NEVER: Final = Never.NEVER
BUSY: Final = Refused("Process '{name}' is already running")
IDLE: Final = Refused("Process '{name}' is not running")

FRESH: Final = (Edge(G.ALWAYS, S.STARTED, (A.WANT_UP, A.SPAWN)),)
AGAIN: Final = (Edge(G.ALWAYS, S.STARTED, (A.COUNT_RESTART, A.SPAWN)),)
SETTLE: Final = (Edge(G.INSTANT_START, S.RUNNING, (A.RESET_RETRIES,)), Edge(G.ALWAYS, S.STARTED))
UP: Final = (Edge(G.ALWAYS, S.RUNNING, (A.RESET_RETRIES,)),)
BAD: Final = (Edge(G.ALWAYS, S.STOPPING, (A.FAULT, A.SEND_STOP)),)
LATE: Final = (Edge(G.UNREADY, S.STOPPING, (A.FAULT, A.SEND_STOP)), *UP)
OLD: Final = (Edge(G.ALWAYS, S.STOPPING, (A.COUNT_RESTART, A.SEND_STOP)),)
EARLY: Final = (
    Edge(G.RETRIES_LEFT, S.BACKOFF, (A.COUNT_RETRY,)),
    Edge(G.RESTART_DUE, S.FATAL),
    Edge(G.EXPECTED, S.EXITED),
    Edge(G.ALWAYS, S.FATAL),
)
UNMADE: Final = (Edge(G.SHORTAGE, S.BACKOFF, (A.COUNT_SHORTAGE,)), *EARLY)
ENDED: Final = (Edge(G.GOES_ON, S.BACKOFF), *EARLY)
HALT: Final = (Edge(G.ALWAYS, S.STOPPING, (A.WANT_DOWN, A.SEND_STOP)),)
CYCLE: Final = (Edge(G.ALWAYS, S.STOPPING, (A.WANT_UP, A.SEND_STOP)),)
CALM: Final = (Edge(G.ALWAYS, S.STOPPED, (A.WANT_DOWN,)),)
QUIT: Final = (Edge(G.UNBORN, S.STOPPED, (A.WANT_DOWN,)), *HALT)
ANEW: Final = (Edge(G.UNBORN, S.STARTED, (A.WANT_UP, A.SPAWN)), *CYCLE)
FORCE: Final = (Edge(G.HELD, S.STOPPING, (A.RELEASE,)), Edge(G.ALWAYS, S.KILLING, (A.SEND_KILL,)))
GONE: Final = (
    Edge(G.START_FAULTED, S.BACKOFF, (A.COUNT_RETRY,)),
    Edge(G.RUN_FAULTED, S.BACKOFF),
    Edge(G.FAULTED, S.FATAL),
    Edge(G.WANTED_UP, S.STARTED, (A.SPAWN,)),
    Edge(G.ALWAYS, S.STOPPED),
)
STOP_UP: Final = (Edge(G.ALWAYS, S.STOPPING, (A.WANT_UP,)),)
STOP_DOWN: Final = (Edge(G.ALWAYS, S.STOPPING, (A.WANT_DOWN,)),)
KILL_UP: Final = (Edge(G.ALWAYS, S.KILLING, (A.WANT_UP,)),)
KILL_DOWN: Final = (Edge(G.ALWAYS, S.KILLING, (A.WANT_DOWN,)),)
RUNS: Final = (Edge(G.ALWAYS, S.RUNNING),)
STOPS: Final = (Edge(G.ALWAYS, S.STOPPING),)
KILLS: Final = (Edge(G.ALWAYS, S.KILLING),)


def _row(alive: bool, timed: bool, *cells: Cell) -> Row:
    return Row(alive, timed, dict(zip(Event, cells, strict=True)))


# fmt: off
TABLE: Final[Mapping[State, Row]] = {
#                    alive  timed  START    STOP       RESTART  SPAWNED  FAILED  REAPED  TIMEOUT  READY  UNWELL AGED
    S.STOPPED:  _row(False, False, FRESH,   IDLE,      FRESH,   NEVER,   NEVER,  NEVER,  NEVER,   NEVER, NEVER, NEVER),
    S.STARTED:  _row(True,  True,  BUSY,    QUIT,      ANEW,    SETTLE,  UNMADE, EARLY,  LATE,    UP,    BAD,   NEVER),
    S.RUNNING:  _row(True,  False, BUSY,    HALT,      CYCLE,   NEVER,   NEVER,  ENDED,  NEVER,   RUNS,  BAD,   OLD),
    S.BACKOFF:  _row(False, True,  FRESH,   CALM,      FRESH,   NEVER,   NEVER,  NEVER,  AGAIN,   NEVER, NEVER, NEVER),
    S.STOPPING: _row(True,  True,  STOP_UP, STOP_DOWN, STOP_UP, NEVER,   NEVER,  GONE,   FORCE,   STOPS, STOPS, STOPS),
    S.KILLING:  _row(True,  False, KILL_UP, KILL_DOWN, KILL_UP, NEVER,   NEVER,  GONE,   NEVER,   KILLS, KILLS, KILLS),
    S.EXITED:   _row(False, False, FRESH,   IDLE,      FRESH,   NEVER,   NEVER,  NEVER,  NEVER,   NEVER, NEVER, NEVER),
    S.FATAL:    _row(False, False, FRESH,   IDLE,      FRESH,   NEVER,   NEVER,  NEVER,  NEVER,   NEVER, NEVER, NEVER),
}
# fmt: on
