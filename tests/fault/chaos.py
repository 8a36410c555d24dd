"""The daemon or its guardian is killed, again and again, at random, while programs flood, flap and do nothing at all.

`make chaos` kills a hundred times in ten minutes; `SECONDS`, `KILLS` and `SEED` in the environment say otherwise. Whom
it hits and when follows from the seed, which is printed. At the end a table tells what it came to, and the exit code is
1 where anything of what is promised did not hold.

Never both at once: who outlives the other starts the next one, and where both are dead somebody else has to. So nobody
is hit from the death of a guardian until the daemon answers again, and no guardian while there is no daemon. A daemon
may be hit while it starts, but not the one after that: the guardian waits longer and longer then, as it should.
"""

from __future__ import annotations

import compileall
import json
import math
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.fault.evidence import compared, faults_in_lines, in_order, own_runs, told_runs
from tests.fault.kernel import instances, processes
from tests.integration.background import Background, Pair
from tests.integration.driver import ROOT, alive
from tests.rpc import Rpc
from tests.waiting import until

SERVICES, QUIET = 20, 5
PATIENCE_S = 60
LOOK_EVERY_S = 0.001
BYTES_A_SECOND = 700_000
PROGRAMS = ROOT / "tests" / "programs"
CONFIG = f"""
defaults:
  autoLaunch: true
  successfulStartTimeout: 0
  restart: always
  restartsAttempts: 0
  restartDelay: 1ms
  restartDelayMax: 1ms
taskmaster: {{restartFloor: 0, logMaxSize: 0}}
tasks:
  service: {{command: [/bin/sh, {PROGRAMS}/short_run.sh, "{{instance}}", over], instances: {SERVICES}}}
  quiet: {{command: sleep 100000, instances: {QUIET}}}
  alone:
    command: [{sys.executable}, -I, -S, {PROGRAMS}/flood_until.py, "{{instance}}", told, "{BYTES_A_SECOND}"]
    restart: never
    stdout: alone.log
    logMaxSize: 4MB
    logKeep: 10000
  shared:
    command: [{sys.executable}, -I, -S, {PROGRAMS}/flood_until.py, "{{instance}}", told, "{BYTES_A_SECOND}"]
    instances: 2
    restart: never
    stdout: shared.log
    logMaxSize: 0
"""
WRITERS = ("alone", "shared_1", "shared_2")
NAMES = [f"service_{n}" for n in range(1, SERVICES + 1)]


class Kill(NamedTuple):
    """One of them. `back_s`: the time until a daemon answered, None where the next one came before. `early`: the one
    before was not yet back.
    """

    whom: str
    back_s: float | None
    early: bool


@dataclass
class Chaos:
    """One run in the directory `home`. `faults`: how often what was promised did not hold; `details`: of what."""

    home: Path
    seed: int
    kills: list[Kill] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.background = Background(self.home, CONFIG)

    def run(self, seconds: float, kills: int) -> None:
        """Kill so many times within so many seconds, then look at what is left."""
        compileall.compile_dir(ROOT / "tm", quiet=1)
        self.background.up()
        before = self.rows()
        begun = time.monotonic()
        times = sorted(self.chance.uniform(0, seconds) for _ in range(kills))
        for at, then in zip(times, [*times[1:], math.inf], strict=True):
            self.wait_until(begun + at)
            self.kills.append(self.kill(begun + then))
        try:
            self.let_end()
            self.look_at_quiet(before)
            self.look_at_runs()
        finally:
            self.leave()
        self.look_at_lines()
        self.look_at_remains()

    # ---- kills

    def kill(self, next_s: float) -> Kill:
        """SIGKILL to one of them, and wait until a daemon answers, or the next one is due and may be."""
        early = bool(self.kills) and self.kills[-1].back_s is None
        before = until(self.complete, "a guardian with a daemon", PATIENCE_S)
        whom = "daemon" if early else self.chance.choice(("daemon", "guardian"))
        began = time.monotonic()
        if whom == "daemon":
            os.kill(before.daemon or 0, signal.SIGKILL)
            back = self.answers(math.inf if early else next_s)
        else:
            os.kill(before.guardian, signal.SIGKILL)
            self.hears_of_another(before)
            back = self.answers(math.inf)
        return Kill(whom, time.monotonic() - began if back else None, early)

    def hears_of_another(self, before: Pair) -> None:
        """Wait until the daemon is another one. As long as the old one does not know that it is alone it answers."""
        deadline = time.monotonic() + PATIENCE_S
        while (pair := self.complete()) is None or pair.daemon == before.daemon:
            assert time.monotonic() < deadline, f"no other daemon; seed {self.seed}; {self.background.log[-3000:]}"
            select.select([], [], [], LOOK_EVERY_S)

    def answers(self, next_s: float) -> bool:
        """Ask until there is an answer, or until then; whether there was one. Who knocks meanwhile waits."""
        deadline = time.monotonic() + PATIENCE_S
        while (now := time.monotonic()) < min(deadline, next_s):
            with suppress(OSError, EOFError), Rpc(self.background.socket, min(deadline, next_s) - now) as client:
                client.call("version")
                return True
        assert now < deadline, f"nobody answers; seed {self.seed}; {self.background.log[-3000:]}"
        return False

    def complete(self) -> Pair | None:
        """The two, where there are two."""
        pair = self.background.pair()
        return pair if pair is not None and pair.daemon is not None else None

    @staticmethod
    def wait_until(when: float) -> None:
        """Let the storm go on."""
        select.select([], [], [], max(0.0, when - time.monotonic()))

    # ---- the end

    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows of `status` by name."""
        with Rpc(self.background.socket, PATIENCE_S) as client:
            return {row["name"]: row for row in client.call("status")["data"]}

    def let_end(self) -> None:
        """Let the writers write their last lines and the services begin no other run."""
        (self.home / "told").touch()
        until(lambda: {self.rows()[name]["status"] for name in WRITERS} == {"EXITED"}, "the writers' ends", PATIENCE_S)
        (self.home / "over").touch()
        until(lambda: all(self.stays(name) for name in NAMES), "the services' ends", PATIENCE_S)

    def stays(self, name: str) -> bool:
        """Whether a service has begun to do nothing."""
        with suppress(OSError):
            return Path(f"/proc/{self.rows()[name]['pid']}/comm").read_text() == "sleep\n"
        return False

    def look_at_quiet(self, before: dict[str, dict[str, Any]]) -> None:
        after = self.rows()
        for name in [name for name in before if name.startswith("quiet")]:
            same = all(before[name][key] == after[name][key] for key in ("pid", "status", "restarts"))
            self.fault("quiet ones touched", not same and [f"{name}: {before[name]}, {after[name]}"])
        found = Counter(instances(self.home))
        self.fault("double runs", [f"{name} lives {count} times" for name, count in found.items() if count > 1])

    def look_at_runs(self) -> None:
        told = told_runs(self.background.log.splitlines())
        for name in NAMES:
            own, doubles = own_runs(self.home / name)
            self.counts["runs"] += len(own)
            self.fault("double runs", [f"{name}: {doubles}"] * doubles)
            found = compared(own, told[name])
            self.counts["ends told twice"] += len(found.twice)  # by the one that was killed then, and by the next
            for what, title in TITLES.items():
                self.fault(title, [f"{name}: {run}" for run in getattr(found, what)])
        self.fault("bugs told", [line for line in self.background.log.splitlines() if " bug: " in line])

    def look_at_lines(self) -> None:
        for log in ("alone", "shared"):
            writers = [name for name in WRITERS if name.startswith(log)]
            found = faults_in_lines(in_order(self.home / f"{log}.log"), writers)
            self.counts["lines"] += found.count
            for what, told in (("lost", found.lost), ("torn", found.torn), ("doubled", found.doubled)):
                self.fault(f"lines {what}", [f"{log}.log, {each}" for each in told])

    def leave(self) -> None:
        """Tell it to; whatever is left after that is killed, and a fault."""
        pair = self.background.pair()
        with suppress(OSError, EOFError), Rpc(self.background.socket, PATIENCE_S) as client:
            client.call("shutdown")
        with suppress(AssertionError):
            until(lambda: not self.alive(pair), "their end", PATIENCE_S)
        left = [*self.alive(pair), *(each.pid for each in processes(self.home))]
        self.fault("processes left", [str(pid) for pid in left])
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def alive(pair: Pair | None) -> list[int]:
        return [pid for pid in pair or () if pid is not None and alive(pid)]

    def look_at_remains(self) -> None:
        names = ("state/journal", "state/turns", "control.sock", "web.pid")
        self.fault("files left", [name for name in names if (self.home / name).exists()])

    def fault(self, what: str, details: list[str] | bool) -> None:
        """Count what did not hold, also where nothing did not."""
        found = details or []
        assert isinstance(found, list)
        self.faults[what] += len(found)
        self.details += [f"{what}: {each}" for each in found]

    # ---- what it came to

    def table(self) -> Iterator[str]:
        """What people look at."""
        whom = Counter(each.whom for each in self.kills)
        early = sum(each.early for each in self.kills)
        yield f"{'kills':24}{len(self.kills):>12}   daemon {whom['daemon']}, guardian {whom['guardian']}"
        yield f"{'  before it was back':24}{early:>12}"
        for whose in ("daemon", "guardian"):
            times = [each.back_s for each in self.kills if each.whom == whose and each.back_s and not each.early]
            yield f"{f'back, {whose}':24}{_seconds(times)}"
        times = [each.back_s for each in self.kills if each.back_s and not each.early]
        yield f"{'back':24}{_seconds(times)}"
        for what, count in (*sorted(self.counts.items()), *sorted(self.faults.items())):
            yield f"{what:24}{count:>12}"


TITLES = {
    "unknown": "unknown exit codes",
    "wrong": "wrong exit codes",
    "untold": "ends not told",
    "made_up": "ends that never were",
}


def _seconds(times: list[float]) -> str:
    """Median, the 99th of a hundred, and the longest."""
    if not times:
        return f"{'-':>12}"
    ranked = sorted(times)
    median, p99 = (ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.99))
    return f"{median:>10.3f} s   p99 {p99:.3f} s, max {ranked[-1]:.3f} s"


def main() -> int:
    """Run it as the environment says."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    seconds = float(os.environ.get("SECONDS") or 600)
    kills = int(os.environ.get("KILLS") or 100)
    again = f"make chaos SEED={seed} SECONDS={seconds:g} KILLS={kills}"
    print(f"seed {seed}, {seconds:g} s, {kills} kills; the same again: {again}")
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"what it leaves when it fails: {home}", flush=True)
    chaos = Chaos(home, seed)
    chaos.run(seconds, kills)
    print("\n".join(chaos.table()))
    if chaos.faults.total():
        (home / "faults.json").write_text(json.dumps(chaos.details, indent=1))
        print("\n".join(chaos.details[:20]))
        return 1
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
