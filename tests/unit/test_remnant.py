"""The task of processes that the configuration no longer knows."""

from __future__ import annotations

import signal

from tests.unit.build import happen, row
from tm.core.effects import Send
from tm.core.launch import launch
from tm.core.remnant import remnant
from tm.core.transitions import Event, State


def test_it_can_be_stopped_and_is_never_started_again() -> None:
    left = row(State.RUNNING, task=remnant("gone"), pid=7, wanted_up=True)
    stopped, effects = happen(left, Event.STOP)
    assert (stopped.state, effects) == (State.STOPPING, (Send(7, signal.SIGTERM),))
    assert stopped.deadline == stopped.since + 10
    ended, _ = happen(left, Event.REAPED)
    assert ended.state is State.FATAL
    assert launch(left.task, 1, {}).targets == {"stdout": None, "stderr": None}
