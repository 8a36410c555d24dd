"""Bad weather without end: clients, reloads and deaths at random, and a model of what is promised that looks on.

`make soak` runs it for half an hour; `SECONDS` and `SEED` in the environment say otherwise. What is drawn follows from
the seed, which is printed: run it again with the same one. When what was drawn happens is the machine's affair.

The model is small: /proc knows which processes live, and the contract says how many there may be.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.fault.kernel import descriptors, number, processes
from tests.integration.driver import Taskmaster, alive
from tests.rpc import Rpc, listening
from tests.waiting import until

CLIENTS = 5
ROUNDS = 12
"""Of storm, between two moments of quiet."""
PATIENCE_S = 60
OUTCOMES = {0, 1, 2, 6}
STATES = {"STOPPED", "STARTED", "RUNNING", "BACKOFF", "STOPPING", "KILLING", "EXITED", "FATAL"}
AT_REST = {"STOPPED", "EXITED", "FATAL"}


class Kind(NamedTuple):
    """A task's nature. `attempts` 0: it never gives up under `always`, the only policy it then has."""

    command: str
    policies: tuple[str, ...] = ("always", "on-failure")
    attempts: int = 3
    more: str = ""


TASKS = {
    "quiet": Kind("sleep 1000"),
    "full": Kind("sleep 1001", more="nice: 1, umask: 077"),
    "crashes": Kind("exit 1", ("always",), 0),
    "givesUp": Kind("sleep 0.01; exit 1", ("on-failure",), 3),
    "done": Kind("sleep 0.02; exit 0", ("on-failure",)),
    "once": Kind("sleep 0.05; exit 3", ("never",)),
    "flaps": Kind("sleep 0.05", ("always",), 0, "successfulStartTimeout: 0"),
    "deaf": Kind("trap '' TERM; while :; do sleep 1000; done"),
    "family": Kind("(sleep 1002 & sleep 1003) & sleep 1004 & sleep 1005; true"),
    "floods": Kind("yes | head -c 5000000; exec sleep 1006", more="stdout: flood.log, logMaxSize: 1MB, logKeep: 1"),
    "mutters": Kind("yes | head -c 1000000 >&2; sleep 0.2; exit 1", ("always",), 0),
    "shared": Kind("while echo line; do sleep 0.02; done", more="stdout: shared.log, logFormat: json, logMaxSize: 1MB"),
    "missing": Kind("exec no-such-program", ("on-failure",), 1),
    "marker": Kind("sleep 1007"),
}
STORMY = [name for name in TASKS if name != "marker"]
"""All but the one that nobody touches in a storm: what is wished of it is carried out after all earlier wishes."""
DEFAULTS = "{restartDelay: 10ms, restartDelayMax: 50ms, successfulStartTimeout: 30ms, gracefulStopTimeout: 100ms}"


@dataclass
class Drawn:
    """A configuration: how many instances of which tasks, with which policy. `broken`: it cannot be read."""

    instances: dict[str, int]
    policies: dict[str, str]
    epochs: dict[str, int]
    broken: bool = False

    def text(self) -> str:
        """As a file."""
        lines = [f"defaults: {DEFAULTS}", "taskmaster: {restartFloor: 20ms, logMaxSize: 20MB, logKeep: 1}", "tasks:"]
        for name, count in self.instances.items():
            kind = TASKS[name]
            lines += [f"  {name}:", f"    command: {json.dumps(kind.command)}", f"    instances: {count}"]
            lines += [f"    restart: {self.policies[name]}", f"    restartsAttempts: {kind.attempts}"]
            lines += [f"    environment: {{EPOCH: '{self.epochs[name]}'}}"]
            lines += [f"    {each.strip()}" for each in kind.more.split(",") if each]
        return "\n".join([*lines, "  broken: ["] if self.broken else lines) + "\n"


def calm() -> Drawn:
    """Where it begins and ends."""
    return Drawn(
        dict.fromkeys(TASKS, 1), {name: kind.policies[0] for name, kind in TASKS.items()}, dict.fromkeys(TASKS, 0)
    )


class Member(NamedTuple):
    """A live process of an instance; `leads`: its own one."""

    pid: int
    task: str
    n: int
    leads: bool

    @property
    def key(self) -> tuple[str, int]:
        return self.task, self.n


def members(home: Path) -> list[Member]:
    """Those that all live at one instant."""
    found = []
    for each in processes(home):
        with suppress(OSError, KeyError):  # in the middle of its exec it has no environment
            lines = Path(f"/proc/{each.pid}/environ").read_bytes().decode().split("\0")
            values = dict(line.partition("=")[::2] for line in lines)
            found.append(Member(each.pid, values["TASKMASTER_TASK"], int(values["TASKMASTER_N"]), each.leads))
    return [each for each in found if alive(each.pid)]


def leaders(home: Path) -> list[Member]:
    """The instances' own ones."""
    return [each for each in members(home) if each.leads]


@dataclass
class Soak:
    """One run. `most`: how many instances of each task there may be at present; `stopped`: who stays so."""

    home: Path
    seed: int
    chance: random.Random = field(init=False)
    drawn: Drawn = field(default_factory=calm)
    most: Counter[str] = field(default_factory=Counter)
    stopped: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.most = Counter(self.drawn.instances)

    def run(self, seconds: float) -> None:
        """Storm and quiet by turns, until the time is over at a moment of quiet; then the end."""
        until_s = time.monotonic() + seconds
        flags = ("-n", "-l", "taskmaster.log")
        with Taskmaster(self.home, self.drawn.text(), *flags) as self.taskmaster, ExitStack() as stack:
            path = listening(self.home / "control.sock")
            self.clients = [stack.enter_context(Rpc(path, PATIENCE_S)) for _ in range(CLIENTS)]
            self.status()
            self.pid = self.taskmaster.daemon
            used, memory = descriptors(self.pid), 0
            while time.monotonic() < until_s:
                for _ in range(ROUNDS):
                    self.storm()
                self.quiet()
                memory = memory or number(self.pid, "VmRSS")
            self.end(used, memory)
        assert not processes(self.home), "nothing is left behind"

    # ---- storm

    def storm(self) -> None:
        """Every client asks for something, children are killed and files rewritten meanwhile; then all is answered."""
        asked: list[tuple[Rpc, set[int]]] = []
        for client in self.chance.sample(self.clients, CLIENTS):
            asked.append((client, {self.request(client) for _ in range(self.chance.randint(1, 4))}))
            if self.chance.random() < 0.5:
                self.kill_somebody()
        self.never_too_many()
        for client, numbers in asked:
            while numbers:
                numbers.remove(self.well_formed(client.answer()))
        self.never_too_many()

    def request(self, client: Rpc) -> int:
        """Send something drawn; its number."""
        verb = self.chance.choice(("start", "stop", "restart", "restart", "signal", "status", "reload", "look"))
        self.counts[verb] += 1
        match verb:
            case "reload":
                if self.chance.random() < 0.7:
                    self.rewrite()
                return client.ask("reload", options=self.chance.choice(([], [], ["--dry-run"])))
            case "signal":
                signum = self.chance.choice(("CONT", "USR1", "HUP", "KILL", "TERM"))
                return client.ask("signal", signal=signum, words=[self.word()])
            case "look":
                look = self.chance.choice(("logs", "show", "pid", "events", "version"))
                return client.ask(look, **({} if look == "version" else {"words": [self.word()]}))
            case "status":
                return client.ask("status", options=self.chance.choice(([], ["--long"], ["--json"])))
            case _:
                return client.ask(verb, words=[self.word()])

    def word(self) -> str:
        """A task, an instance, a pattern or nothing at all; never one of those that are to stay stopped."""
        name = self.chance.choice([each for each in STORMY if each not in self.stopped])
        return self.chance.choice(
            (name, name, f"{name}_{self.chance.randint(1, 4)}", f"{name}*", f"{name}:*", "nobody")
        )

    def rewrite(self) -> None:
        """Draw another configuration. Who is to stay stopped is not taken out, which would be the end of the wish."""
        now = self.drawn = Drawn(dict(self.drawn.instances), dict(self.drawn.policies), dict(self.drawn.epochs))
        now.broken = self.chance.random() < 0.1
        for name in self.chance.sample(STORMY, 4):
            now.policies[name] = self.chance.choice(TASKS[name].policies)
            now.epochs[name] += self.chance.random() < 0.2
            if name not in self.stopped:
                now.instances.pop(name, None)
                if self.chance.random() < 0.8:
                    now.instances[name] = self.chance.randint(1, 4)
                    self.most[name] = max(self.most[name], now.instances[name])
        self.taskmaster.write(now.text())

    def kill_somebody(self) -> None:
        """Any process of ours, an instance's own or not, in any state."""
        if found := [each for each in processes(self.home) if each.instance != "marker"]:
            self.counts["kill -9"] += 1
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(found).pid, signal.SIGKILL)

    # ---- what is promised

    def well_formed(self, answer: Any) -> int:
        """Whether it is what the protocol promises; its number."""
        assert answer["jsonrpc"] == "2.0", answer
        assert set(answer) == {"jsonrpc", "id", "result"}, answer
        result = answer["result"]
        assert result["outcome"] in OUTCOMES, answer
        assert all(isinstance(line, str) for line in result["lines"]), answer
        return int(answer["id"])

    def never_too_many(self) -> None:
        """At most one process of each instance, and of each task as many as there may be."""
        found = leaders(self.home)
        doubles = {key: count for key, count in Counter(each.key for each in found).items() if count > 1}
        assert not doubles, f"more than one of {doubles}: {found}"
        for task, count in Counter(each.task for each in found).items():
            assert count <= self.most[task], f"{count} of {task}, at most {self.most[task]}: {found}"

    def status(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The rows, each a possible one."""
        rows = self.clients[0].call("status")["data"]
        for row in rows:
            assert row["status"] in STATES, row
            kind = TASKS[row["task"]]
            if row["status"] == "FATAL" and "never" not in kind.policies:
                assert kind.attempts, f"it was never to give up: {row}"
                assert row["retries"] == kind.attempts, f"attempts are left: {row}"
        return {(row["task"], row["instance"]): row for row in rows}

    def agrees(self) -> bool:
        """Whether `status` and /proc say the same of every instance that has not changed meanwhile."""
        before, found, after = self.status(), leaders(self.home), self.status()
        live = {each.key: each.pid for each in found}
        if not set(live) <= set(before) | set(after):
            return False
        same = [key for key, row in before.items() if key in after and after[key]["pid"] == row["pid"]]
        return all(before[key]["pid"] == live.get(key) for key in same)

    # ---- quiet

    def quiet(self) -> None:
        """The clients pause: now everything must come to agree, and what was stopped must still be."""
        self.counts["quiet"] += 1
        self.still_stopped()
        self.drawn.broken = False
        self.settle(self.drawn)
        self.stopped = {}
        names = self.chance.sample([name for name in STORMY if name in self.drawn.instances], 3)
        self.clients[0].call("stop", words=names)
        self.drain()
        self.wait(
            lambda: all(row["status"] in AT_REST for row in self.status().values() if row["task"] in names), "rest"
        )
        self.stopped = {f"{key[0]} {key[1]}": row["status"] for key, row in self.status().items() if key[0] in names}
        self.stopped |= dict.fromkeys(names, "")
        down = {key for key, row in self.status().items() if row["status"] == "STOPPED"}
        left = [each for each in members(self.home) if each.key in down]
        assert not left, f"stopped, and not gone: {left}"
        assert " bug: " not in self.taskmaster.log
        self.clients[0].call("start", words=[name for name in STORMY if name in {*self.drawn.instances} - {*names}])

    def drain(self) -> None:
        """Wait until every wish so far has been carried out: they are, in their order, and this is the last."""
        before = self.status()["marker", 1]["pid"]
        self.clients[0].call("restart", words=["marker"])
        self.wait(lambda: self.status()["marker", 1]["pid"] not in (None, before), "another marker")

    def still_stopped(self) -> None:
        """Whom nobody has started since, whatever else was asked for."""
        for key, row in self.status().items():
            if key[0] in self.stopped:
                assert row["status"] == self.stopped.get(f"{key[0]} {key[1]}"), f"nobody asked for it: {row}"
                assert row["pid"] is None, row

    def settle(self, drawn: Drawn) -> None:
        """Let this configuration hold, and wait until no more lives than it allows, and everybody says the same."""
        self.taskmaster.write(drawn.text())
        assert self.clients[0].call("reload")["outcome"] == 0
        wanted = {(name, n) for name, count in drawn.instances.items() for n in range(1, count + 1)}
        self.wait(lambda: set(self.status()) == wanted, "the rows that the file has")
        self.wait(self.agrees, "status and /proc agree")
        self.most = Counter(drawn.instances)
        self.never_too_many()

    def end(self, used: int, memory: int) -> None:
        """Everything as it was at the beginning: descriptors, memory, children."""
        self.drawn = calm()
        self.settle(self.drawn)
        self.clients[0].call("stop", words=["all"])
        self.wait(lambda: all(row["status"] in AT_REST for row in self.status().values()), "all at rest")
        self.wait(lambda: not processes(self.home), "no process is left")
        self.wait(lambda: descriptors(self.pid) == used, f"{used} descriptors")
        assert number(self.pid, "VmRSS") < memory + 16 * 1024, "memory"
        self.clients[0].call("shutdown")
        assert self.taskmaster.process.wait(PATIENCE_S) == 0

    def wait(self, condition: Callable[[], object], what: str) -> None:
        until(condition, f"{what}; seed {self.seed}; {self.taskmaster.log[-3000:]}", PATIENCE_S)


def main() -> None:
    """Run it as the environment says."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    seconds = float(os.environ.get("SECONDS") or 1800)
    print(f"seed {seed}, {seconds:g} s; the same again: make soak SEED={seed} SECONDS={seconds:g}", flush=True)
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"what it leaves when it fails: {home}", flush=True)
    soak = Soak(home, seed)
    soak.run(seconds)
    shutil.rmtree(home)
    print(", ".join(f"{what}: {count}" for what, count in sorted(soak.counts.items())))


if __name__ == "__main__":
    sys.exit(main())
