"""Reaping and adopting in a process of its own: its argument says what, and its output what came of it, as JSON."""

from __future__ import annotations

import json
import os
import select
import signal
import sys

from tm.core.exitstatus import ExitStatus
from tm.edge import ends, reap
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


print(json.dumps({"thousands": thousands, "orphan": orphan}[sys.argv[1]]()))
