"""Output in quantity, through the real daemon, while its files are rotated: nothing lost, torn or doubled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.driver import ROOT, Taskmaster
from tests.waiting import until

NUMBERED = ROOT / "tests" / "programs" / "numbered_lines.py"
LIMIT = 1_000_000
LAST = 226_000_000
"""`seq` up to here writes a little more than 2 GiB."""
PATIENCE_S = 170


def parts(log: Path) -> list[Path]:
    """The files of a log, the oldest first; all that are complete keep the limit and end with a line."""
    numbered = sorted(log.parent.glob(f"{log.name}.*"), key=lambda each: -int(each.suffix[1:]))
    for each in numbered:
        assert each.stat().st_size <= LIMIT
        with each.open("rb") as file:
            file.seek(-1, 2)
            assert file.read() == b"\n"
    return [*numbered, log]


def is_done(taskmaster: Taskmaster) -> bool:
    return all(row["status"] == "EXITED" for row in taskmaster.status().values())


def collect(log: Path, kept: Path) -> None:
    """Take away what was rotated, as a shipper of logs does."""
    for each in sorted(log.parent.glob(f"{log.name}.*"), key=lambda each: -int(each.suffix[1:])):
        with suppress(FileNotFoundError):
            each.rename(kept / str(len(os.listdir(kept))))


def first(file: Path) -> int:
    """The number that it begins with."""
    with file.open("rb") as lines:
        return int(lines.readline())


@pytest.mark.skipif(shutil.disk_usage("/tmp").free < 6 << 30, reason="needs room for 2 GiB")
def test_two_gibibytes_through_one_pipe(tmp_path: Path) -> None:
    """Compared byte by byte with what was written."""
    config = f"""
        tasks:
          flood: {{command: seq 1 {LAST}, autoLaunch: true, stdout: log, logMaxSize: {LIMIT}, logKeep: 10000}}
    """
    log, kept = tmp_path / "log", tmp_path / "kept"
    kept.mkdir()
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: collect(log, kept) or is_done(taskmaster), "the end of the flood", PATIENCE_S)
        taskmaster.leave()
        assert "cannot be rotated" not in taskmaster.log
    collect(log, kept)
    files = [*sorted(kept.iterdir(), key=first), *parts(log)]
    assert len(files) > 2000
    assert all(each.stat().st_size <= LIMIT for each in files)
    assert sum(each.stat().st_size for each in files) > 2 << 30
    with (
        subprocess.Popen(["seq", "1", str(LAST)], stdout=subprocess.PIPE) as written,
        subprocess.Popen(["xargs", "-0", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as found,
    ):
        assert found.stdin is not None
        assert found.stdout is not None
        assert written.stdout is not None
        found.stdin.write(b"\0".join(bytes(each) for each in files))
        found.stdin.close()
        command = ["cmp", f"/dev/fd/{written.stdout.fileno()}", f"/dev/fd/{found.stdout.fileno()}"]
        fds = (written.stdout.fileno(), found.stdout.fileno())
        subprocess.run(command, pass_fds=fds, check=True, timeout=PATIENCE_S)
    shutil.rmtree(tmp_path)


def test_200_writers_of_one_file(tmp_path: Path) -> None:
    config = f"""
        tasks:
          writer:
            command: [{sys.executable}, {NUMBERED}, "{{instance}}", "10000"]
            instances: 200
            autoLaunch: true
            stdout: log
            logMaxSize: {LIMIT}
            logKeep: 10000
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: is_done(taskmaster), "the end of all writers", PATIENCE_S)
        taskmaster.leave()
    numbers: dict[str, list[int]] = defaultdict(list)
    for file in parts(tmp_path / "log"):
        for line in file.read_text().splitlines():
            name, number, length, text = line.split(" ")
            assert text == "x" * int(length)
            numbers[name].append(int(number))
    assert len(numbers) == 200
    assert all(found == list(range(10_000)) for found in numbers.values())
    shutil.rmtree(tmp_path)
