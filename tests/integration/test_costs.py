"""What operations cost, in what does not depend on the machine's mood: system calls, wake-ups, allocations, bytes.

A time is nowhere asserted here. `COSTS` says what was seen of each operation, call by call; where it makes more than
MORE others, the failure names them, and somebody has to say why. Whoever makes one cheaper writes the new figures here.
What kernels, C libraries and versions of Python do otherwise is in the allowances.

How often nothing is done while nothing happens is counted in `tests/fault/test_idle.py`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median_low
from typing import Final

import pytest

from tests.fault.test_idle import begun, is_asleep
from tests.integration.client import Daemon
from tests.integration.traced import FOR_EVER, Traced, calls, needs_strace, wake_ups
from tests.rpc import Rpc
from tests.unit import build
from tests.waiting import until
from tm.core.process import Process
from tm.core.records import Level
from tm.core.tail import Tails
from tm.core.timers import Instant
from tm.core.transitions import State
from tm.daemon.outputs import Outputs
from tm.daemon.views import PLAIN, Views
from tm.edge.eventlog import EventLog, LogFile
from tm.edge.loop import Loop
from tm.faces import jsonrpc

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

CONFIG = """
    defaults: {command: sleep 100000, successfulStartTimeout: 0, restart: always, stdout: "{instance}.log"}
    tasks:
      other: {instances: 100, autoLaunch: true}
      quick: {instances: 15}
      full: {instances: 15, nice: 0}
"""


def _cost(seen: str) -> dict[str, int]:
    """`close=2 kill`: two of the one, one of the other."""
    each = [word.partition("=") for word in seen.split()]
    return {name: int(count or 1) for name, _, count in each}


COSTS: Final = {
    "start, quick": _cost(
        "close=9 epoll_ctl=2 epoll_wait=2 getegid geteuid getrusage=2 ioctl lseek=3 mkdir newfstatat=9 "
        "openat=5 pidfd_open pipe2=3 poll prctl=2 read=2 recvfrom rename rt_sigaction=4 rt_sigprocmask=3 "
        "sendmsg sendto vfork write=8"
    ),
    "death, quick": _cost(
        "close=12 epoll_ctl=4 epoll_wait=4 getegid geteuid getrusage=2 ioctl kill lseek=4 newfstatat=10 "
        "openat=5 pidfd_open pipe2=3 prctl=4 read=6 rt_sigaction=4 rt_sigprocmask=3 rt_sigreturn sendmsg=2 "
        "splice vfork wait4 waitid=2 write=10"
    ),
    "start, full": _cost(
        "clone close=9 epoll_ctl=2 epoll_wait=2 getegid geteuid ioctl=2 lseek=5 mkdir newfstatat=11 openat=5 "
        "pidfd_open pipe2=3 poll prctl=2 read=2 recvfrom rename rt_sigaction=4 rt_sigprocmask=3 sendmsg "
        "sendto write=8"
    ),
    "death, full": _cost(
        "clone close=12 epoll_ctl=4 epoll_wait=4 getegid geteuid ioctl=2 kill lseek=6 newfstatat=12 openat=5 "
        "pidfd_open pipe2=3 prctl=4 read=6 rt_sigaction=4 rt_sigprocmask=3 rt_sigreturn sendmsg=2 splice "
        "wait4 waitid=2 write=10"
    ),
    "stop": _cost(
        "close=4 epoll_ctl=2 epoll_wait=3 ioctl kill=3 lseek=3 mkdir newfstatat=5 openat poll prctl=2 read=2 "
        "recvfrom rename rt_sigreturn sendmsg sendto splice wait4 waitid=2 write=8"
    ),
    "status": _cost("epoll_wait newfstatat recvfrom sendto poll"),
}
"""What each operation was seen to do: `start` and `stop` by a client's request, `death` with the start that follows it;
`quick` by vfork(2), `full` by fork(2). A hundred other processes live beside it.
"""
MORE: Final = 3
"""So many calls more one may make."""
OPERATIONS: Final = 15
"""Of each sort so many, one after the other; of each call the median counts, and not what comes now and then."""
PERIODS: Final = 9
WAKE_UPS: Final = 2
"""A question's: one to ask it, one for the answer."""

ROW_BLOCKS: Final = 3
"""Of Python's memory, that live until a row of a status is written; 2.0 were seen."""
ROW_BYTES: Final = 1_400
"""At the peak, with the row as JSON; 1,178 were seen."""
PROCESS_BYTES: Final = 6_700
"""Of the daemon's, for a quiet process; 5,980 to 6,010 were seen."""
KEPT_BYTES: Final = 700
"""Of the guardian's; 160 to 330 were seen."""


def within(operation: str, found: Mapping[str, int]) -> None:
    """It makes no more calls than it may; else: which ones."""
    seen = COSTS[operation]
    before, now = sum(seen.values()), sum(found.values())
    others = {name: count for name, count in found.items() if count > seen.get(name, 0)}
    told = ", ".join(f"{name} {count} instead of {seen.get(name, 0)}" for name, count in sorted(others.items()))
    assert now <= before + MORE, f"{operation}: {now} system calls instead of {before}: {told}"


def median(found: Sequence[Counter[str]]) -> dict[str, int]:
    """Of each call."""
    names = sorted({name for each in found for name in each})
    return {name: count for name in names if (count := median_low(each[name] for each in found))}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """One that keeps a hundred others, each of which would be seen in the cost of one."""
    with Traced(tmp_path_factory.mktemp("traced"), CONFIG) as daemon:
        until(lambda: daemon.log.count("RUNNING (spawned)") == 100 and daemon.sleeps(), "a hundred others")
        yield daemon


@pytest.fixture
def rpc(traced: Traced) -> Iterator[Rpc]:
    """A connection that is there already, so that it costs nothing."""
    with Rpc(traced.home / "control.sock") as rpc:
        rpc.call("pid")
        yield rpc


@needs_strace
@pytest.mark.parametrize("way", ["quick", "full"])
def test_a_start_a_death_and_a_stop_of_a_process(traced: Traced, rpc: Rpc, way: str) -> None:
    names = [f"{way}_{n}" for n in range(1, OPERATIONS + 1)]

    def cost(operation: str, act: Callable[[str], object], record: str) -> None:
        found = [traced.doing(lambda name=name: act(name), f" {name} state: {record}") for name in names]  # type: ignore[misc]
        within(operation, median([calls(each) for each in found]))

    cost(f"start, {way}", lambda name: rpc.call("start", words=[name]), "STARTED -> RUNNING (spawned)")
    pids = rpc.call("pid", words=[way])["data"]
    cost(f"death, {way}", lambda name: os.kill(pids[name], signal.SIGKILL), "STARTED -> RUNNING (spawned)")
    cost("stop", lambda name: rpc.call("stop", words=[name]), "STOPPING -> STOPPED (reaped)")


@needs_strace
def test_a_status_of_any_number_of_rows(traced: Traced, rpc: Rpc) -> None:
    def cost(words: Sequence[str], rows: int) -> dict[str, int]:
        assert len(rpc.call("status", words=words)["data"]) == rows
        return median([calls(traced.doing(lambda: rpc.call("status", words=words))) for _ in range(OPERATIONS)])

    few, many = cost(["full", "quick"], 30), cost([], 130)
    assert few == many
    within("status", many)


@needs_strace
def test_a_question_of_a_probe_is_a_wake_up_for_it_and_one_for_the_answer(tmp_path: Path) -> None:
    """And none in between, nor a second one since the first was too early."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        config = f"""
            tasks:
              web:
                command: sleep 100000
                autoLaunch: true
                successfulStartTimeout: 0
                liveness: {{tcp: "127.0.0.1:{server.getsockname()[1]}", period: 200ms}}
        """
        with Traced(tmp_path, config) as daemon:
            until(lambda: '"here"' in daemon.since(), "the guardian's word that it has begun, which is a wake-up too")
            asked: list[str] = []

            def enough() -> bool:
                asked.append(daemon.since())
                return "".join(asked).count("\nconnect(") > PERIODS

            until(enough, f"{PERIODS} questions")
    periods = "".join(asked).split("\nconnect(")[-PERIODS - 1 : -1]
    assert [wake_ups(each) for each in periods] == [WAKE_UPS] * len(periods)


# ---- memory


class Desk:
    """What answers a status, with rows that it is handed."""

    def __init__(self, loop: Loop) -> None:
        outputs = Outputs(loop, Tails(1 << 20), lambda _who, _sentence: None)
        self._views = Views(outputs, EventLog(LogFile(None), Level.ERROR, False), {})

    def answer(self, rows: Sequence[Process]) -> tuple[object, bytes]:
        """What a client is told: as values, and as the line that it reads."""
        answer = self._views.status(rows, Instant(100.0), PLAIN, False)
        told = {"lines": list(answer.lines), "data": answer.data, "outcome": int(answer.outcome)}
        return told, jsonrpc.result(1, told)


@pytest.fixture
def desk() -> Iterator[Desk]:
    errors: list[BaseException] = []
    loop = Loop(errors.append)
    yield Desk(loop)
    loop.close()
    assert not errors


def allocated(make: Callable[[], object]) -> tuple[int, int]:
    """What it makes: in blocks that live as long as that does, and in bytes at the peak of making it."""
    make()  # so that what is made once for all is there
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        made = make()
        blocks = sys.getallocatedblocks() - before
        del made
        tracemalloc.start()
        try:
            make()
            return blocks, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    finally:
        gc.enable()


def test_a_row_of_a_status(desk: Desk) -> None:
    task = replace(build.task("worker"), instances=1100)
    rows = [build.row(State.RUNNING, task=task, n=n, pid=10_000 + n, spawned_at=Instant(50.0)) for n in range(1, 1101)]
    few, many = allocated(lambda: desk.answer(rows[:100])), allocated(lambda: desk.answer(rows))
    blocks, peak = ((after - before) / 1000 for before, after in zip(few, many, strict=True))
    assert blocks <= ROW_BLOCKS
    assert peak <= ROW_BYTES


def private_bytes(pid: int) -> int:
    """Memory that it shares with nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def waits_for_ever(guardian: int) -> bool:
    """Whether it is in a poll(2) without a limit of time."""
    words = Path(f"/proc/{guardian}/syscall").read_text().split()
    return len(words) > 3 and int(words[3], 16) & FOR_EVER == FOR_EVER


def memory(home: Path, instances: int) -> tuple[int, int]:
    """That of a daemon, and of its guardian, with so many quiet processes that log to files."""
    home.mkdir()
    config = f"""
        defaults: {{command: sleep 100000, successfulStartTimeout: 0, stdout: "{{instance}}.log", autoLaunch: true}}
        tasks: {{quiet: {{instances: {instances}}}}}
    """
    with Daemon(home, config, "-l", "taskmaster.log") as daemon:
        title = Path(f"/proc/{daemon.daemon}/cmdline")
        until(lambda: f"({instances}/{instances} running)" in title.read_text(), "all are up")
        begun(daemon.process.pid)
        for pid in (daemon.daemon, daemon.process.pid):
            is_asleep(pid)
        until(lambda: waits_for_ever(daemon.process.pid), "a guardian that has imported what the next daemon needs")
        return private_bytes(daemon.daemon), private_bytes(daemon.process.pid)


def test_a_quiet_process_that_logs_to_a_file(tmp_path: Path) -> None:
    """In private bytes of the daemon, and of its guardian, which keeps the pipes."""
    few, many = memory(tmp_path / "few", 100), memory(tmp_path / "many", 600)
    daemon, guardian = ((after - before) / 500 for before, after in zip(few, many, strict=True))
    assert daemon <= PROCESS_BYTES
    assert guardian <= KEPT_BYTES
