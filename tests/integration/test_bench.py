"""The benchmarks run, small, and say something in every column: nobody would notice otherwise until they are needed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import pytest

from tests.integration.driver import ROOT

LEFT_OUT = {"floor in C": {"status, ms", "request, ms"}, "loop in Python": {"request, ms"}}
"""Columns that a floor cannot have: it has no client, or no socket."""
BOOT_ONLY = "taskmaster, user:"
NUMBER = re.compile(r"[0-9][0-9,.]*( \([0-9.,]+ x\))?")


def bench(tmp_path: Path, name: str, *words: str) -> str:
    """What a benchmark prints, with a cache of its own."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / name), *words],
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(text: str) -> dict[str, dict[str, str]]:
    """The cells of a table in Markdown, by the second cell of the row and the head of the column."""
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if "|" in line]
    head = rows[0]
    return {row[1]: dict(zip(head[2:], row[2:], strict=False)) for row in rows[2:] if len(row) > 2}


def test_many_processes(tmp_path: Path) -> None:
    names = ["floor in C", "loop in Python", "taskmaster", BOOT_ONLY]
    text = bench(tmp_path, "scale.py", "--only", *names, "--count", "5", "--rounds", "1", "--idle", "0.1")
    found = table(text)
    for name in names[:3]:
        cells = found[name]
        empty = {column for column, cell in cells.items() if not NUMBER.fullmatch(cell)}
        assert len(cells) == 12, text
        assert empty == LEFT_OUT.get(name, set()), text
    if os.geteuid() == 0:
        assert NUMBER.fullmatch(found[BOOT_ONLY]["boot, s"]), text
    assert NUMBER.fullmatch(found["… x floor in C"]["boot, s"]), text


def test_answers(tmp_path: Path) -> None:
    rows = [line.strip("| ").split(" | ") for line in bench(tmp_path, "answers.py", "--small").splitlines()]
    assert len(rows) == 2 + 10
    for row in rows[2:]:
        assert len(row) == 8, row
        assert all(NUMBER.fullmatch(cell) for cell in row[1:]), row


def test_lines(tmp_path: Path) -> None:
    rows = [line.strip("| ").split(" | ") for line in bench(tmp_path, "lines.py", "--small").splitlines()]
    names = ["a pipe, nobody between", "a follower", "a follower, 8 floods", f"a follower, 8 floods, on {gettempdir()}"]
    assert [row[0] for row in rows[2:]] == names
    assert all(NUMBER.fullmatch(cell) for row in rows[2:] for cell in row[1:]), rows


def test_the_client(tmp_path: Path) -> None:
    lines = bench(tmp_path, "client.py", "--small").splitlines()
    assert len(lines) >= 8 + 4
    assert all(re.search(r" +\d+\.\d\d ms   ( *\d+\.\d\d x|over an open connection)$", line) for line in lines), lines


@pytest.mark.parametrize("work", ["1", "2", "3"])
def test_output(tmp_path: Path, work: str) -> None:
    text = bench(tmp_path, "output.py", "--small", "--rounds", "1", "--only", "taskmaster", "--work", work)
    rows = [line for line in text.splitlines() if line.startswith(("cat ", "taskmaster "))]
    assert len(rows) == 2, text
    assert all(re.search(r"( +[0-9.]+){4}   none$", row) for row in rows), text
