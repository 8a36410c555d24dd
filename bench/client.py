"""How long a command of taskmasterctl takes from exec to exit, beside a Python that does nothing at all.

Prints medians in milliseconds and the ratio to `python3 -I -S -c pass`, which counts: all commands take turns, so that
each ratio is of two neighbours in time. Then a request over a connection that is open. The clients of others are in
`bench/scale.py`.

    bench/client.py [--small]

`--small`: a few of everything, to see that it works.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.driver import ROOT, Taskmaster, environment
from tests.rpc import Rpc

ROUNDS = 25
ASKED = 200
FEW, MANY = 10, 1000
PYTHON = (sys.executable, "-I", "-S")
CLIENT = (*PYTHON, str(ROOT / "bin" / "taskmasterctl"))
INSTALLED = Path(sys.executable).with_name("taskmasterctl")


def config(count: int) -> str:
    """So many processes that do nothing."""
    return (
        f"tasks: {{quiet: {{command: sleep 100000, instances: {count}, autoLaunch: true, successfulStartTimeout: 0}}}}"
    )


def run_ms(command: tuple[str, ...], home: Path) -> float:
    """Milliseconds from exec to exit."""
    began = time.perf_counter()
    subprocess.run(
        command,
        cwd=home,
        env=environment(home) | {"COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return 1000 * (time.perf_counter() - began)


def answer_ms(ask: Callable[[], object], asked: int) -> float:
    """The median of so many answers."""
    times = []
    for _ in range(asked):
        began = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def compare(commands: dict[str, tuple[str, ...]], home: Path, rounds: int) -> None:
    """Let all take turns, and print each beside the first."""
    for command in commands.values():
        run_ms(command, home)
    times = [[run_ms(command, home) for command in commands.values()] for _ in range(rounds)]
    for at, name in enumerate(commands):
        ratio = statistics.median(each[at] / each[0] for each in times)
        print(f"{name:<36} {statistics.median(each[at] for each in times):7.2f} ms   {ratio:5.2f} x")


def commands_of(few: str, many: str, most: int) -> dict[str, tuple[str, ...]]:
    """What is measured, by name; `few` and `many` are sockets, `most` how many processes are at that."""
    measured = {
        "python3 -I -S -c pass": (*PYTHON, "-c", "pass"),
        "help": (*CLIENT, "help"),
        "no daemon": (*CLIENT, "-s", "none.sock", "status"),
        "version": (*CLIENT, "-s", few, "version"),
        f"status of {FEW}": (*CLIENT, "-s", few, "status"),
        f"status --json of {FEW}": (*CLIENT, "-s", few, "status", "--json"),
        f"status of {most}": (*CLIENT, "-s", many, "status"),
        f"status --json of {most}": (*CLIENT, "-s", many, "status", "--json"),
    }
    if INSTALLED.exists():
        measured[f"status of {FEW}, installed by pip"] = (str(INSTALLED), "-s", few, "status")
    return measured


def main() -> None:
    """Two daemons, and the client beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    rounds, asked, most = (1, 1, FEW + 1) if parser.parse_args().small else (ROUNDS, ASKED, MANY)
    with tempfile.TemporaryDirectory() as scratch:
        small, big = (Path(scratch) / name for name in ("few", "many"))
        for home in (small, big):
            home.mkdir()
        with Taskmaster(small, config(FEW)), Taskmaster(big, config(most)):
            sockets = str(small / "control.sock"), str(big / "control.sock")
            compare(commands_of(*sockets, most), small, rounds)
            for path, count in zip(sockets, (FEW, most), strict=True):
                with Rpc(path) as rpc:
                    for method in ("version", "status"):
                        took = answer_ms(lambda rpc=rpc, method=method: rpc.call(method), asked)
                        print(f"{f'request {method}, {count} processes':<36} {took:7.2f} ms   over an open connection")


if __name__ == "__main__":
    main()
