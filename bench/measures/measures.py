"""What is measured of one run, in this order: a function each, from the run to values by column.

Guarantees: each leaves the run as it was, all up, for the next; `stop` is the last. A column that a peer cannot have
is left out.
"""

from __future__ import annotations

import os
import random
import select
import signal
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from bench.measures import tree
from bench.measures.reporter import Report
from bench.measures.run import LOOK_S, Broken, Run
from tests.rpc import Rpc

BOOT_LIMIT_S = 120.0
LIMIT_S = 60.0
EACH_S = 0.03
"""More for each process: who grows with the square of the number is told, and not waited for."""
QUIET_S = 3.0
UP_S = 2.5
"""Longer than a second that most want between two starts, and the second until one counts as running."""
KILLS = 50
KILLS_S = 10.0
ASKED = 5
ASKED_S = 10.0
REQUESTS = 25
MIB = 1 << 20

Values = dict[str, list[float]]


def boot(run: Run) -> Values:
    """From the exec of the supervisor until each name has reported."""
    command = run.peer.write(run.course)
    os.sync()  # what was written before is nobody's work here
    began = time.monotonic()
    run.start(*command)

    def all_up(heard: list[Report]) -> bool:
        return len(heard) >= run.course.count <= len({each.name for each in heard})

    return {"boot": [run.hear(all_up, BOOT_LIMIT_S + EACH_S * run.course.count, f"of {run.course.count} up") - began]}


def memory(run: Run) -> Values:
    """All that belongs to the supervisor, when nothing has happened for a while."""
    run.settle(QUIET_S)
    held = tree.memory(run.belonging())
    return {"rss": [held.rss_bytes / MIB], "pss": [held.pss_bytes / MIB], "private": [held.private_bytes / MIB]}


def idle(run: Run, idle_s: float) -> Values:
    """All that belongs to the supervisor, while nothing happens."""
    run.settle(QUIET_S)
    before = tree.efforts(run.belonging())
    time.sleep(idle_s)
    used = tree.between(before, tree.efforts(run.belonging()))
    return {"idle_cpu": [used.cpu_ns / 1e6], "idle_wakes": [float(used.wakes)]}


def status(run: Run) -> Values:
    """The client from exec to exit; and a request without a client, where there are any."""
    times: list[float] = []
    ends = time.monotonic() + ASKED_S
    while len(times) < ASKED and time.monotonic() < ends:
        began = time.monotonic()
        if run.client() is None:
            return {}
        times.append(1000 * (time.monotonic() - began))
    values = {"status": [statistics.median(times)]}
    if run.peer.socket is not None:
        values["request"] = [request_ms(run, run.peer.socket)]
    return values


def request_ms(run: Run, socket: str) -> float:
    """The median of `status` over an open connection, as a program asks for it, with its answer parsed."""
    times = []
    with Rpc(run.course.home / socket) as rpc:
        for _ in range(REQUESTS):
            began = time.monotonic()
            rpc.call("status", bare=True)
            times.append(1000 * (time.monotonic() - began))
    return statistics.median(times)


def kill(run: Run) -> Values:
    """One at a time, at moments that have nothing to do with the supervisor's own."""
    if not run.peer.restarts:
        return {}
    run.settle(UP_S)
    alive = run.alive()
    times: list[float] = []
    ends = time.monotonic() + KILLS_S
    for pid in random.sample(alive, min(KILLS, len(alive))):
        time.sleep(random.random() * min(1.0, times[-1] / 1000 if times else 0.01))
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        times.append(1000 * (run.hear(bool, LIMIT_S, "replaced") - began))
        if time.monotonic() > ends:
            break
    return {"kill": times}


def deaths(run: Run) -> Values:
    """All at once: from the first kill until as many others have reported."""
    if not run.peer.restarts:
        return {}
    run.settle(UP_S)
    alive = run.alive()
    if len(alive) < run.course.count:
        raise Broken(f"{len(alive)} of {run.course.count} were up")
    began = time.monotonic()
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    what, limit_s = f"of {run.course.count} replaced", LIMIT_S + EACH_S * run.course.count
    return {"deaths": [run.hear(lambda heard: len(heard) >= run.course.count, limit_s, what) - began]}


def stop(run: Run) -> Values:
    """From the request until the last process is gone."""
    run.settle(UP_S)
    pids = run.alive()
    if not pids:
        raise Broken("none was up")
    with ExitStack() as stack:
        poll = select.poll()
        for pid in pids:
            fd = os.pidfd_open(pid)
            stack.callback(os.close, fd)
            poll.register(fd, select.POLLIN)
        began = time.monotonic()
        if command := run.peer.stop(run.course, run.main):
            run.start(*command)
        left, limit_s = len(pids), LIMIT_S + EACH_S * len(pids)
        while left:
            for fd, _ in poll.poll(1000 * LOOK_S):
                poll.unregister(fd)
                left -= 1
            run.reap()
            if time.monotonic() > began + limit_s:
                raise Broken(f"{left} of {len(pids)} left after {limit_s:.0f} s")
        ended = time.monotonic()
    if again := run.listen(0):
        raise Broken(f"{len(again)} were started again")
    return {"stop": [ended - began]}


MEASURES: Mapping[str, Callable[..., Values]] = {
    "boot": boot,
    "memory": memory,
    "idle": idle,
    "status": status,
    "kill": kill,
    "deaths": deaths,
    "stop": stop,
}
