"""Many write into one file, and it is renamed under them: every line whole, once, and in its writer's order."""

from __future__ import annotations

import os
import re
import signal
import sys
from itertools import pairwise
from pathlib import Path

from tests.integration.driver import ROOT, Taskmaster
from tests.waiting import until

NUMBERED = ROOT / "tests" / "programs" / "numbered_lines.py"
FLOOD = ROOT / "tests" / "programs" / "flood_until.py"
LINE = re.compile(r"(\S+) (\d+) (?:(\d+) (x*)|(end))")
PATIENCE_S = 60


def by_writer(text: str) -> dict[str, list[int]]:
    """The numbers of each writer's lines, in the order of the file; every line must be whole."""
    assert text.endswith("\n")
    numbers: dict[str, list[int]] = {}
    for line in text.removesuffix("\n").split("\n"):
        found = LINE.fullmatch(line)
        assert found, line[:300]
        assert found[5] or int(found[3]) == len(found[4]), line[:300]
        numbers.setdefault(found[1], []).append(int(found[2]))
    return numbers


def are_done(taskmaster: Taskmaster) -> bool:
    return {row["status"] for row in taskmaster.status().values()} == {"EXITED"}


def test_20_writers_share_a_file(tmp_path: Path) -> None:
    config = f"""
        tasks:
          writer:
            command: [{sys.executable}, {NUMBERED}, "{{instance}}", "2000"]
            instances: 20
            autoLaunch: true
            stdout: shared.log
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: are_done(taskmaster), "all have written", PATIENCE_S)
        text = (tmp_path / "shared.log").read_text()
        assert by_writer(text) == {f"writer_{n}": list(range(2000)) for n in range(1, 21)}
        writers = [line.split()[0] for line in text.splitlines()]
        changes = sum(one != other for one, other in pairwise(writers))
        assert changes > 20, "they did write at the same time"


def test_who_begins_before_the_others_begins_with_whole_lines(tmp_path: Path) -> None:
    config = """
        tasks:
          writer:
            command: "printf 'be'; until [ -e begun_$TASKMASTER_N ]; do sleep 0.02; done; printf 'gun\\n'"
            instances: 2
            stdout: shared.log
    """
    log = tmp_path / "shared.log"
    with Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.ask("start writer_1")
        taskmaster.wait_for(writer_1="STARTED")
        taskmaster.ask("start writer_2")
        (tmp_path / "begun_2").touch()
        until(lambda: log.read_text() == "begun\n", f"the second one's line, but: {log.read_text()!r}")
        (tmp_path / "begun_1").touch()
        until(lambda: log.read_text() == "begun\nbegun\n", f"the first one's line, but: {log.read_text()!r}")


def test_a_file_for_each_instance(tmp_path: Path) -> None:
    config = f"""
        tasks:
          writer:
            command: [{sys.executable}, {NUMBERED}, "{{instance}}", "500"]
            instances: 5
            autoLaunch: true
            stdout: "{{task}}.{{n}}.{{instance}}.log"
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: are_done(taskmaster), "all have written", PATIENCE_S)
        for n in range(1, 6):
            text = (tmp_path / f"writer.{n}.writer_{n}.log").read_text()
            assert by_writer(text) == {f"writer_{n}": list(range(500))}
        assert len(list(tmp_path.glob("writer.*"))) == 5


def test_a_line_that_was_never_finished_gets_its_end(tmp_path: Path) -> None:
    config = """
        tasks:
          writer:
            command: [sh, -c, 'echo whole $0; printf "unfinished $0"; echo > done.$0; exec sleep 1000', "{n}"]
            instances: 10
            autoLaunch: true
            stdout: shared.log
          alone:
            command: [printf, "no end"]
            stdout: alone.log
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: all((tmp_path / f"done.{n}").exists() for n in range(1, 11)), "all have written")
        for row in taskmaster.status().values():
            if row["pid"]:
                os.kill(row["pid"], signal.SIGKILL)
        until(lambda: {row["status"] for row in taskmaster.status().values()} == {"FATAL", "STOPPED"}, "all are dead")
        text = (tmp_path / "shared.log").read_text()
        assert text.endswith("\n")
        expected = [f"{what} {n}" for n in range(1, 11) for what in ("whole", "unfinished")]
        assert sorted(text.splitlines()) == sorted(expected)
        for n in range(1, 11):
            assert text.index(f"whole {n}\n") < text.index(f"unfinished {n}\n")
        taskmaster.type("start alone")
        taskmaster.wait_for(alone="EXITED")
        assert (tmp_path / "alone.log").read_text() == "no end", "a file of its own is left as it was written"


def test_two_tasks_and_both_streams_share_a_file(tmp_path: Path) -> None:
    """The same file by another spelling of its path, and as stdout of one and stderr of another."""
    config = f"""
        defaults: {{autoLaunch: true}}
        tasks:
          one: {{command: [{sys.executable}, {NUMBERED}, one, "2000"], stdout: shared.log}}
          two: {{command: [sh, -c, "exec {sys.executable} {NUMBERED} two 2000 >&2"], stderr: ./shared.log}}
          three: {{command: [{sys.executable}, {NUMBERED}, three, "2000"], stdout: "{tmp_path}/state/../shared.log"}}
    """
    (tmp_path / "state").mkdir()
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: are_done(taskmaster), "all have written", PATIENCE_S)
        numbers = by_writer((tmp_path / "shared.log").read_text())
        assert numbers == {name: list(range(2000)) for name in ("one", "two", "three")}


def test_merged_streams_keep_their_order(tmp_path: Path) -> None:
    config = """
        tasks:
          web:
            command: [sh, -c, 'i=0; while [ $i -lt 1000 ]; do echo "out $i"; echo "err $i" >&2; i=$((i + 1)); done']
            autoLaunch: true
            stdout: OUT
            stderr: stdout
    """
    expected = [f"{stream} {n}" for n in range(1000) for stream in ("out", "err")]
    with Taskmaster(tmp_path, config.replace("OUT", "web.log")) as taskmaster:
        taskmaster.wait_for(web="EXITED")
        assert (tmp_path / "web.log").read_text().splitlines() == expected
        assert taskmaster.ask("logs web 2000").splitlines() == expected
        assert taskmaster.ask("logs web 4 --stderr").splitlines() == expected[-4:]


def test_a_rename_in_the_middle_of_a_flood_loses_nothing(tmp_path: Path) -> None:
    """They write until the rename is done, and then some more: the flood is as long as it has to be."""
    config = f"""
        defaults: {{autoLaunch: true, logMaxSize: 0}}
        tasks:
          writer:
            command: [{sys.executable}, {FLOOD}, "{{instance}}", renamed]
            instances: 20
            stdout: shared.log
          alone:
            command: [{sys.executable}, {FLOOD}, alone, renamed]
            stdout: alone.log
    """
    logs = [tmp_path / "shared.log", tmp_path / "alone.log"]
    with Taskmaster(tmp_path, config) as taskmaster:
        for turn in range(3):
            for log in logs:
                until(lambda log=log: log.exists() and log.stat().st_size > 100_000, f"a flood into {log}")
                log.rename(f"{log}.{turn}")
            taskmaster.signal(signal.SIGUSR2)
            until(lambda now=turn: taskmaster.log.count("logs opened anew") == now + 1, "logs opened anew")
        (tmp_path / "renamed").touch()
        until(lambda: are_done(taskmaster), "all have written", PATIENCE_S)
        shared, alone = ("".join(part.read_text() for part in parts(log)) for log in logs)
        numbers = by_writer(shared)
        assert set(numbers) == {f"writer_{n}" for n in range(1, 21)}
        numbers |= by_writer(alone)
        for name, found in numbers.items():
            assert found == list(range(len(found))), name
            assert f"{name} {found[-1]} end\n" in (alone if name == "alone" else shared)
        for part in parts(logs[0]):
            by_writer(part.read_text())


def parts(log: Path) -> list[Path]:
    """A log in the order in which it was written."""
    return [*(log.with_name(f"{log.name}.{turn}") for turn in range(3)), log]
