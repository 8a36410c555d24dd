"""Many processes: taskmaster beside other supervisors, and beside loops that only spawn.

Prints one table in Markdown: for each peer with so many processes the time of the boot until all have reported, of a
replacement, of the replacement of all at once, of `status` and of the stop; memory, and CPU time and wake-ups while
nothing happens. What is supervised is the same for all: a program that tells a FIFO its name and pid and then waits.

In each round every peer has a run of its own, in which all is measured one after the other; the peers take turns, so
that each ratio is of two runs with little time between them. Idle seconds are measured in the first round, with 1,000;
and whose first run took long has no other: its ratios are large enough to be known from one. With more processes, who
took very long with fewer is left out.

What a run writes is in memory (/dev/shm) where that can be had, or where TMPDIR says.

Peers that are not installed are fetched (`bench/peers/install.py`), into a directory of the user's cache and nowhere
else; who cannot be had, or breaks, is told in the table. Ctrl-C: the table as far as it is. Whatever was started is
killed at the end. Only for Linux.

    bench/scale.py [--only PEER ...] [--count N ...] [--rounds N] [--measure NAME ...] [--idle SECONDS]
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.measures import measures, memory, table, tree
from bench.measures.reporter import reporter
from bench.measures.run import Broken, Run
from bench.peers import FLOORS, PEERS
from bench.peers.install import Unavailable
from bench.peers.peer import Peer

COUNTS = (100, 1000, 5000)
IDLE_COUNT = 1000
ROUNDS = 3
IDLE_S = 30.0
PATIENCE_S = 45.0
LONG_S = 90.0
DESCRIPTORS = 65536
FAILURES = (Broken, OSError, subprocess.SubprocessError, AssertionError, EOFError)


class Plan(NamedTuple):
    """What is to be measured, and how."""

    counts: list[int]
    rounds: int
    names: list[str]
    idle_s: float
    reporter: tuple[str, ...]

    def of(self, turn: int, count: int) -> list[str]:
        """The measures of a round."""
        most = max((each for each in self.counts if each <= IDLE_COUNT), default=min(self.counts))
        idle = turn == 0 and count == most
        return [each for each in self.names if idle or each != "idle"]


def measured(peer: Peer, plan: Plan, turn: int, count: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """One run: the values by column, and why a measure has none."""
    values: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=memory.place()) as scratch:
        run = Run(peer, count, plan.reporter, Path(scratch))
        try:
            for name in plan.of(turn, count):
                if peer.only is not None and name not in peer.only:
                    continue
                measure = measures.MEASURES[name]
                if name == "idle":
                    measure = partial(measure, idle_s=plan.idle_s)
                try:
                    values |= measure(run)
                except FAILURES as error:
                    failed[name] = str(error).replace("|", "/").replace("\n", " ")
                if "boot" in failed:
                    break
        finally:
            run.end()
    return values, failed


def compare(peers: list[Peer], plan: Plan, cells: dict[tuple[int, str], table.Cells], left_out: list[str]) -> None:
    """All rounds of all, into `cells`, and the rows of those who are left out."""
    took_s: dict[tuple[int, str], float] = {}
    for count in plan.counts:
        slow = {name: (fewer, took) for (fewer, name), took in took_s.items() if took > LONG_S}
        left_out += [
            table.line(f"{count:,}", name, f"not tried: {took:.0f} s with {fewer:,}")
            for name, (fewer, took) in slow.items()
        ]
        peers = [peer for peer in peers if peer.name not in slow]
        cells.update({(count, peer.name): table.Cells() for peer in peers})
        for turn in range(plan.rounds):
            for peer in peers if turn % 2 == 0 else peers[::-1]:
                key = count, peer.name
                if took_s.get(key, 0) > PATIENCE_S or cells[key].failed.get("boot"):
                    continue
                began = time.monotonic()
                values, failed = measured(peer, plan, turn, count)
                took_s[key] = time.monotonic() - began - (plan.idle_s if "idle_cpu" in values else 0)
                cells[key].has(turn, values)
                cells[key].failed |= failed
                tell(f"{count} x {peer.name}, round {turn + 1}: {took_s[key]:.0f} s {failed or ''}")


def tell(words: str) -> None:
    """How far it is, for who watches."""
    print(words, file=sys.stderr, flush=True)


def obtained(kinds: list[type[Peer]]) -> tuple[list[Peer], dict[str, str]]:
    """Those that are there, and why the others are not."""
    peers, missing = [], {}
    for kind in kinds:
        peer = kind()
        try:
            peer.found = peer.obtain()
        except Unavailable as error:
            missing[peer.name] = str(error)
        else:
            peers.append(peer)
    return peers, missing


def machine() -> str:
    """What it runs on, in a line."""
    facts = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    name = facts.get("model name\t", platform.machine()).strip()
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    return (
        f"{os.cpu_count()} processors ({name}), {memory_gib:.0f} GiB, Linux {platform.release()}, {system}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the end"
    )


def more_room() -> None:
    """As many descriptors as may be had, for all alike."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, DESCRIPTORS),) * 2)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def options() -> argparse.Namespace:
    """Those of the command line."""
    known = [kind.name for kind in PEERS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="PEER", choices=known, default=known, help=", ".join(known))
    parser.add_argument("--count", nargs="+", type=int, default=COUNTS, metavar="N")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--measure", nargs="+", choices=measures.MEASURES, default=list(measures.MEASURES))
    parser.add_argument("--idle", type=float, default=IDLE_S, metavar="SECONDS")
    return parser.parse_args()


def main() -> None:
    """Obtain, compare, print."""
    chosen = options()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda signum, _: sys.exit(128 + signum))
    tree.adopt()
    more_room()
    peers, missing = obtained([kind for kind in PEERS if kind.name in chosen.only])
    command, language = reporter()
    names = [each for each in measures.MEASURES if each == "boot" or each in chosen.measure]
    cells: dict[tuple[int, str], table.Cells] = {}
    left_out = [table.line("-", name, f"not here: {why}") for name, why in missing.items()]
    try:
        compare(peers, Plan(sorted(chosen.count), chosen.rounds, names, chosen.idle, command), cells, left_out)
    finally:  # also for whoever has waited long enough
        for each in (*table.rows(cells, [kind.name for kind in FLOORS], names), *left_out):
            print(each)
    print(f"\n{machine()}. The supervised program is in {language}; medians of {chosen.rounds} rounds.")
    print(", ".join(f"{peer.name} {peer.found.version}".strip() for peer in peers))


if __name__ == "__main__":
    main()
