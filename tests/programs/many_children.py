"""Reaping and adopting in a process of its own: its argument says what, and its output what came of it, as JSON."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import cast

from tm.core.exitstatus import ExitStatus
from tm.daemon.deaths import Deaths
from tm.daemon.outputs import Outputs
from tm.daemon.slices import Slices
from tm.daemon.supervisor import Supervisor
from tm.edge import ends, reap
from tm.edge.loop import Loop
from tm.edge.signals import Signals


def _reaped(most: int, wanted: int, bell: int) -> list[tuple[int, ExitStatus]]:
    """Reap on the ringing of SIGCHLD until `wanted` are there."""
    found: list[tuple[int, ExitStatus]] = []
    while len(found) < wanted:
        found += _reap(most)
        if len(found) < wanted:
            select.select([bell], [], [], 10)
    return found


def _reap(most: int) -> list[tuple[int, ExitStatus]]:
    """Those that have ended, so many at most."""
    found = []
    while len(found) < most and (each := ends.look()) is not None:
        found.append((each[0], ExitStatus.from_wait(each[1])))
        ends.release(each[0])
    return found


def thousands() -> dict[str, object]:
    """3,000 zombies with different ends."""
    signals = Signals(lambda _signum: None)
    expected = {}
    gate, open_gate = os.pipe()
    for n in range(3000):
        pid = os.fork()
        if pid == 0:
            os.close(open_gate)
            os.read(gate, 1)  # all of them end at once
            if n % 10 == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGTERM)
            os._exit(n % 256)
        expected[pid] = -15 if n % 10 == 0 else n % 256
    os.close(open_gate)
    found = _reaped(50, 3000, signals.fd)
    right = {pid: status.number for pid, status in found} == expected
    return {"reaped": len(found), "right": right, "left": len(_reap(10))}


def orphan() -> dict[str, object]:
    """A daemonized grandchild becomes ours and its death is heard."""
    adopts = reap.adopt_orphans()
    signals = Signals(lambda _signum: None)
    report, result = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        middle = os.getpid()
        if os.fork() == 0:
            while os.getppid() == middle:
                select.select([], [], [], 0.001)
            os.write(result, f"{os.getpid()} {os.getppid()}".encode())
            os._exit(7)
        os._exit(3)
    found = _reaped(1, 2, signals.fd)
    grandchild, parent = map(int, os.read(report, 100).split())
    return {
        "adopts": adopts,
        "ours": parent == os.getpid(),
        "ends": {str(pid == grandchild): status.number for pid, status in found},
        "group": reap.group_exists(child),
    }


class Rows:
    """The supervisor, of whom all that ends is nobody's."""

    def __init__(self, loop: Loop, work: Callable[[float], None]) -> None:
        self.wishes = Slices(loop)
        self.ended = 0
        self._work = work

    def key_of(self, _pid: int) -> None:
        return None

    def reaped(self, _pid: int, _status: ExitStatus, _hint: str) -> None:
        self.ended += 1
        self._work(0.0005)


def beside_wishes() -> dict[str, object]:
    """300 deaths of half a millisecond, 1,000 wishes of a whole one, and a deadline: how many had ended when 300 wishes
    were carried out, when all were, and when the deadline was served; and whether what was put off has been done early.
    """
    now = 100.0

    def clock() -> float:
        return now

    def work(for_s: float) -> None:
        nonlocal now
        now += for_s

    def wish() -> None:
        work(0.001)
        done.append(rows.ended)

    done: list[int] = []
    loop = Loop(errors.append, clock)
    rows = Rows(loop, work)
    deaths = Deaths(loop, cast(Supervisor, rows), cast(Outputs, None))
    for _ in range(300):
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    before_deadline: list[int] = []
    loop.call_at(loop.now, lambda: before_deadline.append(rows.ended))
    for _ in range(1000):
        rows.wishes.then(wish)
    deaths.reap()
    meanwhile: list[int] = []
    loop.soon(lambda: meanwhile.append(len(done)))
    while len(done) < 1000 or not before_deadline:
        loop.turn(max_wait_s=0)
    return {
        "errors": len(errors),
        "early": done[299] < 150,
        "in the end": done[-1],
        "deadline": before_deadline,
        "meanwhile": meanwhile < [100],
    }


errors: list[BaseException] = []
TRIALS = {"thousands": thousands, "orphan": orphan, "beside_wishes": beside_wishes}
print(json.dumps(TRIALS[sys.argv[1]]()))
