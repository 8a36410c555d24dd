"""The gap between two daemons, held open: the next one stands still before it has looked at anything."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.background import Background, Pair
from tests.integration.driver import alive
from tests.rpc import Rpc
from tests.waiting import until

MANY = 500
CONFIG = """
defaults: {autoLaunch: true, successfulStartTimeout: 0, restart: never}
tasks:
  coded: {command: "read x < coded.fifo; exit $x"}
  quiet: {command: sleep 1000}
"""


@contextmanager
def gap(background: Background) -> Iterator[Pair]:
    """The daemon has been killed and the next one stands still: who there is then. It goes on at the end."""
    before = until(background.pair, "a guardian with a daemon")
    assert before.daemon is not None
    os.kill(before.daemon, signal.SIGKILL)
    pair = until(lambda: another(background, before), "the next daemon")
    assert pair.daemon is not None
    os.kill(pair.daemon, signal.SIGSTOP)
    try:
        yield pair
    finally:
        os.kill(pair.daemon, signal.SIGCONT)


def another(background: Background, before: Pair) -> Pair | None:
    """Who there is when there is another daemon."""
    pair = background.pair()
    return pair if pair is not None and pair.daemon not in (None, before.daemon) else None


def up(home: Path, **changes: str) -> Background:
    """A daemon with its guardian."""
    os.mkfifo(home / "coded.fifo")
    background = Background(home, CONFIG)
    background.up(**changes)
    return background


def test_who_ends_while_the_next_daemon_starts_is_known_by_its_exit_code(tmp_path: Path) -> None:
    with up(tmp_path) as background:
        pid = background.children()[0]
        with gap(background):
            (tmp_path / "coded.fifo").write_text("7\n")
            until(lambda: not os.path.exists(f"/proc/{pid}"), "its end, which the guardian has seen")
        background.logged(rf"coded state: RUNNING -> FATAL \(reaped\), pid {pid}, exit code 7")


def test_a_guardian_that_dies_meanwhile_leaves_its_place_to_the_daemon(tmp_path: Path) -> None:
    """The parent of the daemon is somebody else by then: the first process of the machine, as often as not."""
    with up(tmp_path) as background:
        with gap(background) as pair:
            os.kill(pair.guardian, signal.SIGKILL)
            until(lambda: not alive(pair.guardian), "its end")
        after = until(lambda: complete(background, pair.guardian), "another guardian and its daemon")
        assert after.guardian == pair.daemon, "it has the children"
        (tmp_path / "coded.fifo").write_text("7\n")
        background.logged(r"coded state: RUNNING -> FATAL \(reaped\)")
        starts = re.findall(r" start: .* pid (\d+)\n", background.log)
        assert list(map(int, starts)) == [pair.guardian, pair.guardian], "the daemon has gone on"


def complete(background: Background, before: int) -> Pair | None:
    """Who there is when there is another guardian, and its daemon."""
    pair = background.pair()
    return pair if pair is not None and pair.guardian != before and pair.daemon is not None else None


def test_a_change_that_is_on_record_is_in_the_event_log_too(tmp_path: Path) -> None:
    """The daemon is killed when it has put an end on record, and the next one has nothing to add to that."""
    with up(tmp_path, TASKMASTER_FAULT="after-reaped:1") as background:
        pid = background.children()[0]
        (tmp_path / "coded.fifo").write_text("7\n")
        background.logged("the daemon before was killed")
        with Rpc(background.socket) as client:
            assert {row["name"]: row["exit"] for row in client.call("status")["data"]} == {"coded": 7, "quiet": None}
        assert re.findall(r"coded state: .*pid (\d+), exit code 7", background.log) == [str(pid)]


def test_more_may_end_meanwhile_than_the_hall_takes(tmp_path: Path) -> None:
    """Whoever the daemon cannot be told of stays a zombie until it can. The guardian stands still while it looks."""
    os.mkfifo(tmp_path / "many.fifo")
    config = f"""
    defaults: {{autoLaunch: true, successfulStartTimeout: 0, restart: never}}
    tasks: {{many: {{command: "read x < many.fifo; exit 7", instances: {MANY}}}}}
    """
    with Background(tmp_path, config) as background:
        background.up()
        with gap(background) as pair:
            os.close(os.open(tmp_path / "many.fifo", os.O_WRONLY))
            until(lambda: not any(map(alive, background.children())), "their ends")
            until(lambda: "S" in state(pair.guardian), "a guardian that has said what it can")
            os.kill(pair.guardian, signal.SIGSTOP)
        try:
            until(lambda: "FATAL (reaped)" in background.log, "a daemon that has looked")
        finally:
            os.kill(pair.guardian, signal.SIGCONT)
        until(lambda: background.log.count("FATAL (reaped)") == MANY, "all ends told", 60)
        assert background.log.count(", exit code 7") == MANY


def state(pid: int) -> str:
    """What it does, in the kernel's letter."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
