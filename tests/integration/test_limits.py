"""`memoryMax`, `maxAge`, `cpuAffinity`, `oomScoreAdjust`: real programs that outgrow or outlive what the file says."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import cgroups
from tests.integration.client import Daemon
from tests.integration.driver import ROOT, alive, daemons_of
from tests.integration.driver import run as run_taskmaster
from tests.waiting import until
from tm.edge import cgroup

TAKES = f"{sys.executable} -I -S {ROOT / 'tests' / 'programs' / 'takes_memory.py'}"
EXAMPLE = ROOT / "etc" / "examples" / "limits.yaml"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def config(command: str, more: str = "", name: str = "web") -> str:
    """One task."""
    return f"""
        tasks:
          {name}: {{command: "{command}", autoLaunch: true, successfulStartTimeout: 0, {more}}}
    """


def rows(daemon: Daemon, *options: str) -> dict[str, dict[str, Any]]:
    """The rows of `status --json` by name."""
    return {row["name"]: row for row in json.loads(daemon.ctl("--json", "status", *options).stdout)}


def comes_to(daemon: Daemon, state: str, name: str = "web") -> dict[str, Any]:
    """The row, when it is there."""
    return until(
        lambda: next((row for row in rows(daemon).values() if (row["name"], row["status"]) == (name, state)), None),
        f"{name} {state}, but: {daemon.errors[-2000:]}",
    )


# ---- memory


@pytest.mark.parametrize("who", ["itself", "child", "orphan"])
def test_who_has_too_much_memory_with_its_descendants_is_ended_and_that_is_unexpected(tmp_path: Path, who: str) -> None:
    with Daemon(tmp_path, config(f"{TAKES} 80 {who}", "memoryMax: 60MiB, killMode: process, restart: never")) as daemon:
        row = comes_to(daemon, "FATAL")
        assert re.fullmatch(r"memoryMax: (8|9|10)\d(\.\d)?MiB is over the 60MiB allowed", row["hint"]), row
        assert re.search(
            r"web.*RUNNING -> STOPPING \(unhealthy\), memoryMax: [0-9.]+MiB is over the 60MiB allowed, SIGTERM to pid",
            daemon.errors,
        )
        assert "memoryMax: " in daemon.ctl("status").stdout
        holder = int((tmp_path / "taken").read_text())
        if alive(holder):  # `killMode: process` has left it
            os.kill(holder, 9)


def test_what_left_session_and_parent_counts_where_a_cgroup_has_it(tmp_path: Path) -> None:
    cgroups.home()
    with Daemon(tmp_path, config(f"{TAKES} 80 daemon", "memoryMax: 60MiB, killMode: tree")) as daemon:
        assert "over the 60MiB allowed" in comes_to(daemon, "FATAL")["hint"]
        taken = tmp_path / "taken"
        assert not taken.exists() or not alive(int(taken.read_text()))


@pytest.mark.parametrize("mode", ["tree", "process"])
def test_it_counts_by_the_kernel_where_that_counts(tmp_path: Path, mode: str) -> None:
    """The daemon is alone in its cgroup but for its guardian; the next daemon finds everything again."""
    cgroups.need_memory()
    text = config(f"{TAKES} 80 daemon", f"memoryMax: 1GiB, restart: never, killMode: {mode}")
    with cgroups.made("tm-limits") as place:
        kind = type("Inside", (Daemon,), {"under": cgroups.inside(place)})
        with kind(tmp_path, text) as daemon:
            pid = daemon.pid("web")
            ours = {daemon.process.pid, *daemons_of(daemon.process.pid)}
            assert set(cgroup.members(f"{place}/taskmaster-self")) == ours
            assert os.path.dirname(cgroup.where(pid)) == str(place)
            until(lambda: (cgroup.memory(cgroup.where(pid)) or 0) > 80 << 20, "what it has taken")
            before = daemon.daemon
            os.kill(before, signal.SIGKILL)
            until(lambda: daemon.daemon != before and daemon.answers(), "the next daemon")
            assert daemon.pid("web") == pid
            daemon.path.write_text(text.replace("1GiB", "60MiB"))
            assert daemon.ctl("reload").returncode == 0
            comes_to(daemon, "FATAL")
            holder = int((tmp_path / "taken").read_text())
            assert alive(holder) is (mode == "process"), "the cgroup is there for its memory alone"
        if alive(holder):
            os.kill(holder, signal.SIGKILL)
            until(lambda: not alive(holder), "its end")
    assert not place.exists()


def test_it_is_started_again_as_restart_says_and_counted(tmp_path: Path) -> None:
    once = f"[ -e again ] && exec sleep 1000; touch again; exec {TAKES} 80 itself"
    with Daemon(tmp_path, config(once, "memoryMax: 60MiB, restart: on-failure")) as daemon:
        until(lambda: rows(daemon)["web"]["restarts"] == 1, "an automatic start")
        assert comes_to(daemon, "RUNNING")["restarts"] == 1


def test_who_has_less_is_let_alone_beside_one_that_has_more(tmp_path: Path) -> None:
    both = f"""
        defaults: {{autoLaunch: true, successfulStartTimeout: 0, restart: never, killMode: tree}}
        tasks:
          small: {{command: "{TAKES} 20 child", memoryMax: 80MiB}}
          free: {{command: "{TAKES} 120 itself"}}
          big: {{command: "{TAKES} 120 child", memoryMax: 80MiB}}
    """
    with Daemon(tmp_path, both) as daemon:
        comes_to(daemon, "FATAL", "big")
        assert {name: row["status"] for name, row in rows(daemon).items()} == {
            "small": "RUNNING",
            "free": "RUNNING",
            "big": "FATAL",
        }


def test_before_it_is_up_it_is_a_failed_start(tmp_path: Path) -> None:
    more = "memoryMax: 60MiB, restart: always, restartsAttempts: 1, restartDelay: 0, successfulStartTimeout: 60"
    text = config(f"{TAKES} 80 itself").replace("successfulStartTimeout: 0, ", more)
    with Daemon(tmp_path, text) as daemon:
        comes_to(daemon, "FATAL")
        assert "attempt 2 of 2" in daemon.ctl("status").stdout


def test_a_reload_moves_the_limit_of_what_runs_and_takes_it_away(tmp_path: Path) -> None:
    command = f"{TAKES} 80 itself"
    with Daemon(tmp_path, config(command, "restart: never, memoryMax: 1GiB")) as daemon:
        pid = daemon.pid("web")
        until((tmp_path / "taken").exists, "memory that is taken")
        assert "memoryMax: 1GiB, of which " in daemon.ctl("show", "web").stdout
        daemon.write(config(command, "restart: never"))
        assert daemon.ctl("reload").returncode == 0
        assert "which are used" not in daemon.ctl("show", "web").stdout
        daemon.write(config(command, "restart: never, memoryMax: 60MiB"))
        assert daemon.ctl("reload").returncode == 0
        assert f"SIGTERM to pid {pid}" in until(
            lambda: comes_to(daemon, "FATAL") and daemon.errors, "the end of the same process"
        )


# ---- age


def test_who_is_too_old_is_restarted_whatever_restart_says_and_that_is_counted(tmp_path: Path) -> None:
    with Daemon(tmp_path, config("exec sleep 1000", "maxAge: 1, restart: never")) as daemon:
        first = daemon.pid("web")
        until(lambda: rows(daemon)["web"]["restarts"] >= 2, "a second automatic start")
        assert not alive(first)
        assert re.search(r"RUNNING -> STOPPING \(aged\), maxAge: it is [01]s old, SIGTERM to pid \d+", daemon.errors)
        assert " -> FATAL" not in daemon.errors


def test_who_is_not_up_yet_is_not_too_old(tmp_path: Path) -> None:
    text = config("exec sleep 1000", "maxAge: 100ms").replace("successfulStartTimeout: 0", "successfulStartTimeout: 1")
    with Daemon(tmp_path, text) as daemon:
        until(lambda: rows(daemon)["web"]["restarts"], "an automatic start")
        assert "STARTED -> RUNNING" in daemon.errors
        assert "STARTED -> STOPPING" not in daemon.errors


def test_a_reload_moves_the_age_of_what_runs(tmp_path: Path) -> None:
    with Daemon(tmp_path, config("exec sleep 1000", "maxAge: 1000")) as daemon:
        first = daemon.pid("web")
        assert re.search(r"maxAge: restarted in 1[4-8]m\d+s", daemon.ctl("show", "web").stdout)
        daemon.write(config("exec sleep 1000", "maxAge: 500ms"))
        assert daemon.ctl("reload").returncode == 0
        until(lambda: daemon.pid("web") != first, "another process")
        daemon.write(config("exec sleep 1000", "maxAge: 1d"))
        assert daemon.ctl("reload").returncode == 0
        assert re.search(r"maxAge: restarted in (1d|2[1-3]h)", daemon.ctl("show", "web").stdout)


# ---- CPUs and the killer


def test_it_runs_on_the_cpus_and_with_the_score_that_it_is_given(tmp_path: Path) -> None:
    command = "grep Cpus_allowed_list /proc/self/status > told; cat /proc/self/oom_score_adj >> told; touch done"
    cpu = min(os.sched_getaffinity(0))
    score = min(1000, int(Path("/proc/self/oom_score_adj").read_text()) + 7)
    with Daemon(tmp_path, config(command, f"cpuAffinity: {cpu}, oomScoreAdjust: {score}")):
        until((tmp_path / "done").exists, "what it was given")
    assert (tmp_path / "told").read_text().split() == ["Cpus_allowed_list:", str(cpu), str(score)]


def test_a_cpu_that_is_not_there_is_a_failed_start_with_its_place(tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    with Daemon(tmp_path, config("touch ran", f"cpuAffinity: [{cpu}, 8191]")) as daemon:
        row = comes_to(daemon, "FATAL")
        assert row["cause"] == "cannot run on CPU 8191: it is not there, or not for taskmaster"
        assert row["hint"].startswith(f"this machine has the CPUs {cpu}")
        assert "see web.yaml:3" in daemon.ctl("status").stdout
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("memoryMax: 0", "this is no size at all"),
        ("maxAge: 0", "this is no time at all"),
        ("cpuAffinity: 3-1", "3-1 goes backwards"),
        ("cpuAffinity: [0, 9999]", "CPU 9999 is not from 0 to 8191"),
        ("oomScoreAdjust: -2000", "-2000 is not from -1000 to 1000"),
    ],
)
def test_nonsense_is_a_problem_of_the_file(tmp_path: Path, more: str, told: str) -> None:
    (tmp_path / "web.yaml").write_text(config("true", more))
    done = run_taskmaster(tmp_path, "-t", "web.yaml")
    assert done.returncode == 2
    assert told in done.stdout + done.stderr


# ---- what is shown


def test_cpu_and_memory_of_a_process_with_its_descendants(tmp_path: Path) -> None:
    with Daemon(tmp_path, config(f"{TAKES} 40 child", "killMode: tree")) as daemon:
        holder = int(until(lambda: (tmp_path / "taken").exists() and (tmp_path / "taken").read_text(), "memory"))
        pid = daemon.pid("web")
        long = daemon.ctl("status", "-l").stdout
        used = re.search(r"(?m)^    Ready -  CPU (\d+\.\d)% \((\d+\.\d\d)s\)  Mem ([\d.]+)MiB  Last change: ", long)
        assert used, long
        assert 45 < float(used[3]) < 90
        row = rows(daemon, "-l")["web"]
        assert row["memory_bytes"] > 40 << 20
        assert row["cpu_s"] > 0
        assert row["cpu_percent"] > 0
        assert "memory_bytes" not in rows(daemon)["web"]
        shown = daemon.ctl("show", "web").stdout
        assert re.search(rf"(?m)^    {pid} S \d+\.\d\ds [\d.]+MiB .*takes_memory.py 40 child$", shown), shown
        assert re.search(rf"(?m)^      {holder} S \d+\.\d\ds [\d.]+MiB .*takes_memory.py 40 child$", shown), "a child"
        assert re.search(r"(?m)^    together CPU \d+\.\d% \(\d+\.\d\ds\)  Mem [\d.]+MiB$", shown)
        daemon.ctl("stop", "web")
        assert rows(daemon, "-l")["web"]["memory_bytes"] is None
        assert not alive(holder)


def test_the_example_does_what_it_says(tmp_path: Path) -> None:
    with Daemon(tmp_path, EXAMPLE.read_text()) as daemon:
        until(lambda: rows(daemon)["modest"]["status"] == "RUNNING", "one that runs modestly")
        until(lambda: all(rows(daemon)[f"old_{n}"]["restarts"] for n in (1, 2, 3)), "those that are old", 60)
        until(lambda: rows(daemon)["hungry"]["restarts"], "one that was too big", 60)
        assert "is over the 60MiB allowed" in daemon.errors
