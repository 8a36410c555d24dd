"""Output from pipes into logs: taskmaster beside cat, supervisor, svlogd and s6-log.

Prints for each work MB/s, CPU seconds a GiB of whatever takes the output (the daemon or the loggers, never the
writers), both also as ratios to `cat`, which is a floor: a read and a write, and nothing that watches over it. Then
what did not arrive. All take turns, so that each ratio is of two runs with little time between them; medians count.

Writers are the same for all: numbered lines of one length. They wait at a FIFO until everything runs, then time begins;
it ends when the last byte is in its file. CPU is what the scheduler has counted (/proc/PID/schedstat).

A run moves a quarter of a GB and no more: memory that a machine has to find first costs more than what is measured,
and s6-log, which always rotates, allows no larger file. So no log is rotated. What is not installed is fetched
(`bench/peers/install.py`), or told as not here, with the reason. Only for Linux.

    bench/output.py [--rounds N] [--only NAME ...] [--work N ...] [--beside CHECKOUT ...] [--small]

`--small`: a hundredth of the lines, to see that it works. `--beside` measures the taskmaster of other checkouts too, to
see what a change is worth.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.peers.install import Found, Unavailable, carry_out
from bench.peers.runit import Runit
from bench.peers.s6 import S6
from bench.peers.supervisor import Supervisor
from tests.integration.driver import ROOT, environment
from tests.waiting import until

ROUNDS = 3
LIMIT_S = 60
SETTLED_S = 1.0
LOOK_S = 0.003
QUIET_S = 0.3
FLOOR = "cat"
NUMBER = 12

WRITER_C = """
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    long line = atol(argv[3]), size = atol(argv[4]), lines = atol(argv[5]), n, at, digit, value;
    int marks = open(argv[1], O_WRONLY | O_APPEND);
    char *text = memset(malloc(size), 'x', size);
    alarm(LIMIT);
    for (at = 0; at < size; at += line)
        text[at + NUMBER] = ' ', text[at + line - 1] = '\\n';
    if (write(marks, ".", 1) != 1 || open(argv[2], O_RDONLY) < 0)
        return 1;
    for (n = 0; n < lines;) {
        for (at = 0; at < size; at += line, n++)
            for (digit = NUMBER - 1, value = n; digit >= 0; digit--, value /= 10)
                text[at + digit] = '0' + value % 10;
        for (at = 0; at < size; at += digit)
            if ((digit = write(1, text + at, size - at)) < 0)
                return 1;
    }
    return write(marks, ".", 1) != 1;
}
"""
WRITER_PY = """
import os, signal, sys
line, size, lines = map(int, sys.argv[3:])
marks = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
signal.alarm(LIMIT)
rest = b" " + b"x" * (line - NUMBER - 2) + b"\\n"
os.write(marks, b".")
os.open(sys.argv[2], os.O_RDONLY)
for n in range(0, lines, size // line):
    text = b"".join([b"%0*d%b" % (NUMBER, n + i, rest) for i in range(size // line)])
    while text:
        text = text[os.write(1, text):]
os.write(marks, b".")
"""
SUPERVISORD = """[supervisord]
nodaemon=true
minfds=4096
logfile={home}/supervisord.log
pidfile={home}/supervisord.pid
[program:writer]
command={command}
numprocs={count}
process_name=%(process_num)d
redirect_stderr=true
stdout_logfile={home}/%(process_num)d.log
stdout_logfile_maxbytes=0
startsecs=0
autorestart=false
"""
TASKMASTER = """tasks:
  writer:
    command: {command}
    instances: {count}
    autoLaunch: true
    restart: never
    successfulStartTimeout: 0
    stdout: "{{n}}.log"
    stderr: stdout
    logMaxSize: 0
"""


class Work(NamedTuple):
    """So many writers, each of so many lines, so many bytes at a time."""

    name: str
    writers: int
    lines: int
    line_bytes: int
    write_bytes: int

    @property
    def size(self) -> int:
        """Bytes of one writer."""
        return self.lines * self.line_bytes


WORKS = (
    Work("one writer, 240,000 lines of 1 KiB in writes of 64 KiB", 1, 240_000, 1024, 65536),
    Work("one writer, 2,560,000 lines of 100 bytes, a write each", 1, 2_560_000, 100, 100),
    Work("200 writers, 10,000 lines of 100 bytes each, a write each", 200, 10_000, 100, 100),
)


class Course(NamedTuple):
    """One run: where, which work, and the command of a writer."""

    home: Path
    work: Work
    command: tuple[str, ...]

    @property
    def marks(self) -> int:
        """How many marks the writers have made: one when they wait at the gate, one when they have written all."""
        return (self.home / "marks").stat().st_size


class Contender(NamedTuple):
    """Who takes the output. `start` starts it with its writers and gives the pids whose CPU counts; `logs` finds the
    files of one writer in order.
    """

    name: str
    start: Callable[[Course, ExitStack], list[int]]
    logs: Callable[[Path], list[list[Path]]]


class Result(NamedTuple):
    """What one run has shown. Lines are `lost` that are nowhere, `torn` that are not as they were written."""

    took_s: float
    cpu_s: float
    lost_bytes: int = 0
    lost: int = 0
    torn: int = 0
    doubled: int = 0

    def more(self, found: tuple[int, int, int, int]) -> Result:
        """With the losses of one more log."""
        lost_bytes, lost, torn, doubled = (a + b for a, b in zip(self[2:], found, strict=True))
        return Result(self.took_s, self.cpu_s, lost_bytes, lost, torn, doubled)

    @property
    def losses(self) -> str:
        """In words."""
        if not any(self[2:]):
            return "none"
        return f"{self.lost_bytes:,} bytes, {self.lost:,} lines lost, {self.torn:,} torn, {self.doubled:,} doubled"


# ---- the contenders


def end(process: subprocess.Popen[bytes]) -> None:
    """Make sure that it is gone."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def piped(logger: Callable[[Path], tuple[str, ...]]) -> Callable[[Course, ExitStack], list[int]]:
    """A logger of its own for each writer. Its pipe is held open here too, so that it is there to be looked at when
    its writer has ended.
    """

    def start(course: Course, stack: ExitStack) -> list[int]:
        pids = []
        for n in range(course.work.writers):
            place = course.home / f"log{n}"
            place.mkdir()
            out, into = os.pipe()
            stack.callback(os.close, into)
            with (place / "current").open("wb") as file:
                taker = subprocess.Popen(logger(place), stdin=out, stdout=file, env=environment(course.home))
            os.close(out)
            stack.callback(end, taker)
            stack.callback(end, subprocess.Popen(course.command, stdout=into))
            pids.append(taker.pid)
        return pids

    return start


def daemon(course: Course, stack: ExitStack, *command: str, **changes: str) -> list[int]:
    """One that starts the writers itself, with such variables."""
    with (course.home / "said").open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=course.home,
            env=environment(course.home) | changes,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    stack.callback(end, process)
    return [process.pid]


def taskmaster(root: Path) -> Callable[[Course, ExitStack], list[int]]:
    """The one of that checkout."""

    def start(course: Course, stack: ExitStack) -> list[int]:
        command = " ".join(course.command)
        (course.home / "web.yaml").write_text(TASKMASTER.format(command=command, count=course.work.writers))
        own = ("--state-dir", "state", "--socket", "control.sock", "-n", "web.yaml")
        return daemon(course, stack, sys.executable, str(root / "bin" / "taskmaster"), *own)

    return start


def supervisor(course: Course, stack: ExitStack) -> list[int]:
    """supervisord."""
    command = " ".join(course.command)
    text = SUPERVISORD.format(home=course.home, command=command, count=course.work.writers)
    (course.home / "supervisord.conf").write_text(text)
    return daemon(course, stack, "supervisord", "-c", "supervisord.conf", **Supervisor().obtain().environment)


def svlogd(place: Path) -> tuple[str, ...]:
    """Size 0: it does not rotate. The larger buffer saves it a fifth, and two fifths of large writes."""
    (place / "config").write_text("s0\n")
    return *within(Runit().obtain()), "svlogd", "-b", "65536", str(place)


def s6_log(place: Path) -> tuple[str, ...]:
    """As large as it allows: more than any work writes."""
    return *within(S6().obtain()), "s6-log", "n10", "s268435455", str(place)


def within(found: Found) -> tuple[str, ...]:
    """What runs a command with its variables, and becomes it."""
    return "env", *(f"{name}={value}" for name, value in found.environment.items())


def one_file(home: Path) -> list[list[Path]]:
    """`N.log` of each writer."""
    return [[path] for path in home.glob("*.log") if path.stem.isdigit()]


def directories(home: Path) -> list[list[Path]]:
    """What is named by its time of rotation, then `current`, of each writer."""
    return [[*sorted(place.glob("@*")), place / "current"] for place in home.glob("log*")]


def contenders(beside: list[Path], only: list[str] | None) -> tuple[list[Contender], list[str]]:
    """Those that are there, of those that are wanted (None: all), and what is to be said of the others."""
    found = [Contender(FLOOR, piped(lambda place: ("cat",)), directories)]
    found.append(Contender("taskmaster", taskmaster(ROOT), one_file))
    found += [Contender(f"taskmaster in {each.name}", taskmaster(each.resolve()), one_file) for each in beside]
    missing = []
    for peer, contender in (
        (Supervisor(), Contender("supervisor", supervisor, one_file)),
        (Runit(), Contender("svlogd", piped(svlogd), directories)),
        (S6(), Contender("s6-log", piped(s6_log), directories)),
    ):
        if only is not None and contender.name not in only:
            continue
        try:
            peer.obtain()
            found.append(contender)
        except Unavailable as error:
            missing.append(f"{contender.name} is not here: {error}")
    return found, missing


# ---- what has to be built


def writer(scratch: Path) -> tuple[tuple[str, ...], str]:
    """The program that writes, and what it is written in."""
    replaced = {"LIMIT": str(2 * LIMIT_S), "NUMBER": str(NUMBER)}
    for suffix, text in ((".c", WRITER_C), (".py", WRITER_PY)):
        for name, value in replaced.items():
            text = text.replace(name, value)
        (scratch / f"writer{suffix}").write_text(text)
    program = scratch / "writer"
    try:
        carry_out("cc", "-O2", "-o", program, "writer.c", cwd=scratch)
    except Unavailable:
        return (sys.executable, "-I", "-S", str(scratch / "writer.py")), "Python"
    return (str(program),), "C"


# ---- one run


def cpu_s(pid: int) -> float:
    """What a process has used. The scheduler's own count where there is one; ticks are coarse."""
    with contextlib.suppress(FileNotFoundError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def quiet(pids: list[int]) -> bool:
    """Whether they have done nothing for a while: what the start of the writers has left them to do is done."""
    before = sum(map(cpu_s, pids))
    time.sleep(QUIET_S)
    return sum(map(cpu_s, pids)) - before < QUIET_S / 100


def children(pid: int) -> list[int]:
    """Those of its main thread."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def arrived(files: list[list[Path]]) -> int:
    """Bytes in the logs."""
    total = 0
    for path in (path for each in files for path in each):
        with contextlib.suppress(FileNotFoundError):  # it is being rotated
            total += path.stat().st_size
    return total


def flow(course: Course, contender: Contender) -> float:
    """Open the gate and wait until everything is in the logs, or nothing comes any more; when the last byte came."""
    began = last = time.monotonic()
    gate = os.open(course.home / "gate", os.O_RDWR)
    size, due = -1, course.work.writers * course.work.size
    try:
        while (now := time.monotonic()) < began + LIMIT_S:
            if course.marks == 2 * course.work.writers:  # looking at all files while they write would cost them much
                seen = arrived(contender.logs(course.home))
                if seen != size:
                    size, last = seen, now
                if size == due or now > last + SETTLED_S:
                    break
            time.sleep(LOOK_S)
    finally:
        os.close(gate)
    return last - began


def run(contender: Contender, work: Work, command: tuple[str, ...], expected: str) -> Result:
    """One contender at one work, in a directory of its own."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        home = Path(scratch)
        (home / "marks").touch()
        os.mkfifo(home / "gate")
        sizes = (str(each) for each in (work.line_bytes, work.write_bytes, work.lines))
        course = Course(home, work, (*command, str(home / "marks"), str(home / "gate"), *sizes))
        pids = contender.start(course, stack)
        until(lambda: course.marks == work.writers, f"{work.writers} writers of {contender.name}", LIMIT_S)
        pids += [each for pid in pids for each in children(pid) if children(each)]  # a daemon below its guardian
        until(lambda: quiet(pids), f"{contender.name} to be quiet", LIMIT_S)
        before = sum(map(cpu_s, pids))
        took = flow(course, contender)
        used = sum(map(cpu_s, pids)) - before
        stack.close()
        return tally(Result(took, used), contender.logs(home), work, expected)


# ---- what has arrived


def chunks(paths: list[Path]) -> Iterator[bytes]:
    """The bytes of a log."""
    for path in paths:
        with path.open("rb") as file:
            while data := file.read(1 << 20):
                yield data


def digest(data: Iterator[bytes]) -> str:
    """The same for the same bytes."""
    whole = hashlib.sha256()
    for each in data:
        whole.update(each)
    return whole.hexdigest()


def written(command: tuple[str, ...], work: Work) -> str:
    """The digest of what one writer writes."""
    sizes = (str(each) for each in (work.line_bytes, work.write_bytes, work.lines))
    with subprocess.Popen((*command, os.devnull, os.devnull, *sizes), stdout=subprocess.PIPE) as process:
        out = process.stdout
        assert out is not None
        return digest(iter(lambda: out.read(1 << 20), b""))


def tally(result: Result, logs: list[list[Path]], work: Work, expected: str) -> Result:
    """Add what is missing, line by line where a log is not what was written."""
    logs = logs + [[]] * (work.writers - len(logs))
    for paths in logs:
        if digest(chunks(paths)) != expected:
            found = lines(paths, work)
            result = result.more(found)
    return result


def lines(paths: list[Path], work: Work) -> tuple[int, int, int, int]:
    """Bytes that are missing; lines lost, torn and doubled."""
    seen = bytearray(work.lines)
    rest = b" " + b"x" * (work.line_bytes - NUMBER - 2) + b"\n"
    size = torn = doubled = 0
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                size += len(line)
                if line[NUMBER:] != rest or not line[:NUMBER].isdigit() or int(line[:NUMBER]) >= work.lines:
                    torn += 1
                    continue
                doubled += seen[int(line[:NUMBER])]
                seen[int(line[:NUMBER])] = 1
    return work.size - size, seen.count(0), torn, doubled


# ---- all of it


def compare(work: Work, takers: list[Contender], command: tuple[str, ...], rounds: int) -> None:
    """Let all take turns, and print each beside the floor."""
    expected = written(command, work)
    results: dict[str, list[Result]] = {each.name: [] for each in takers}
    for turn in range(rounds):
        for each in takers if turn % 2 == 0 else takers[::-1]:
            results[each.name].append(run(each, work, command, expected))
    print(f"\n{work.name}; median of {rounds}")
    print(f"{'':<20} {'MB/s':>8} {'x cat':>7} {'CPU s/GiB':>10} {'x cat':>7}   lost, the worst of all rounds")
    for name, ours in results.items():
        print(f"{name:<20} {row(ours, results[FLOOR], work.writers * work.size)}", flush=True)


def row(ours: list[Result], floor: list[Result], size: int) -> str:
    """The medians of one contender, and those of its ratios to the floor."""
    speed = statistics.median(size / 1e6 / each.took_s for each in ours)
    cpu = statistics.median(each.cpu_s * (1 << 30) / size for each in ours)
    pairs = list(zip(ours, floor, strict=True))
    faster = statistics.median(beside.took_s / each.took_s for each, beside in pairs)
    dearer = statistics.median(each.cpu_s / beside.cpu_s for each, beside in pairs)
    worst = max(ours, key=lambda each: sum(each[2:]))
    return f"{speed:8.0f} {faster:7.2f} {cpu:10.3f} {dearer:7.2f}   {worst.losses}"


def main() -> None:
    """Every work, each contender in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these and cat")
    parser.add_argument("--work", nargs="+", type=int, default=range(1, 1 + len(WORKS)), metavar="N")
    parser.add_argument("--beside", nargs="+", type=Path, default=[], metavar="CHECKOUT")
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda signum, _: sys.exit(128 + signum))
    with tempfile.TemporaryDirectory() as scratch:
        command, language = writer(Path(scratch))
        takers, missing = contenders(options.beside, options.only)
        takers = [each for each in takers if not options.only or each.name.split()[0] in (FLOOR, *options.only)]
        print(f"writers in {language}" + "".join(f"; {each}" for each in missing))
        for number in options.work:
            work = WORKS[number - 1]
            if options.small:
                work = work._replace(name=f"small: {work.name}", lines=work.lines // 100)
            compare(work, takers, command, options.rounds)


if __name__ == "__main__":
    main()
