"""Control groups: where ours is, who is in one, and signals to all of it. Real cgroups, where they can be made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import cgroups
from tests.integration.driver import alive
from tests.unit.build import task
from tests.waiting import until
from tm.core.launch import Launch, launch
from tm.core.task import KillMode
from tm.daemon import starting
from tm.daemon.reach import Reach
from tm.edge import cgroup, pidfd


def test_a_cgroup_is_found_made_and_removed() -> None:
    home = cgroups.home()
    assert cgroup.where(os.getpid()) == str(home)
    with cgroups.made("tm-edge") as place:
        inner = place / "inner"
        cgroup.make(str(inner))
        cgroup.make(str(inner))
        assert cgroup.below(str(place), "in") == ["inner"]
        assert not cgroup.populated(str(place))
        assert cgroup.remove(str(inner))
        assert not inner.exists()
        assert cgroup.remove(str(inner)), "gone is gone"


def family(place: Path, ready: Path) -> subprocess.Popen[bytes]:
    """Three in a cgroup, one of them in one below it; two write a word for each SIGUSR1."""
    script = f"""
        trap 'echo one >> {ready}.heard' USR1
        mkdir {place}/below
        sh -c 'echo $$ > {place}/below/cgroup.procs; trap "echo two >> {ready}.heard" USR1; echo up >> {ready}
               while :; do sleep 1000 & wait $!; done' &
        echo up >> {ready}
        while :; do sleep 1000 & wait $!; done
    """
    process = subprocess.Popen([*cgroups.inside(place), "sh", "-c", script], start_new_session=True)
    until(
        lambda: ready.exists() and ready.read_text() == "up\nup\n" and len(list(cgroup.members(str(place)))) > 3, "up"
    )
    return process


@pytest.mark.parametrize("kill", [lambda path, deliver: cgroup.send(path, signal.SIGKILL, deliver), cgroup.kill_each])
def test_everybody_in_it_is_signalled_and_killed(tmp_path: Path, kill: Callable[[str, cgroup.Deliver], bool]) -> None:
    with cgroups.made("tm-edge") as place:
        process = family(place, tmp_path / "ready")
        members = list(cgroup.members(str(place)))
        assert cgroup.populated(str(place))
        assert not cgroup.remove(str(place))
        assert cgroup.send(str(place), signal.SIGCONT, pidfd.deliver)
        assert kill(str(place), pidfd.deliver)
        process.wait()
        until(lambda: not any(alive(pid) for pid in members), "the end of all")
        until(lambda: not cgroup.populated(str(place)), "nobody there")
        assert not cgroup.send(str(place), signal.SIGKILL, pidfd.deliver)
        assert not cgroup.send(str(place), signal.SIGTERM, pidfd.deliver)
        assert cgroup.remove(str(place))
        cgroup.make(str(place))
        assert "frozen 0" in (place / "cgroup.events").read_text()


def test_each_hears_a_signal_once(tmp_path: Path) -> None:
    with cgroups.made("tm-edge") as place:
        process = family(place, tmp_path / "ready")
        sent: list[int] = []

        def deliver(pid: int, signum: int, meant: Callable[[int], bool]) -> bool:
            sent.append(pid)
            return meant(pid) and not meant(os.getpid())

        members = sorted(cgroup.members(str(place)))
        assert cgroup.send(str(place), signal.SIGUSR1, deliver)
        assert sorted(sent) == members
        cgroup.send(str(place), signal.SIGKILL, pidfd.deliver)
        process.wait()


def test_nobody_but_who_is_meant_is_signalled(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "1000"])
    try:
        assert not pidfd.deliver(process.pid, signal.SIGKILL, lambda pid: False)
        assert process.poll() is None
        assert pidfd.deliver(process.pid, signal.SIGKILL, lambda pid: True)
        assert process.wait() == -signal.SIGKILL
        assert not pidfd.deliver(process.pid, signal.SIGKILL, lambda pid: True)
    finally:
        process.kill()
        process.wait()


def start(reach: Reach, started: Launch) -> int:
    """As the daemon starts it."""
    with open(os.devnull, "r+b", buffering=0) as null:
        outcome = starting.spawn(started, (null.fileno(),) * 3)
    assert isinstance(outcome, int), outcome
    reach.spawned(("web", 1), started, outcome)
    return outcome


def test_who_cannot_enter_runs_outside_and_it_is_told(tmp_path: Path) -> None:
    place = cgroups.home()
    reach = Reach(str(tmp_path / "journal"))
    tree = task(kill_mode=KillMode.TREE)
    prepared = reach.prepare(("web", 1), launch(tree, 1, {}))
    assert Path(prepared.cgroup).parent == place
    from dataclasses import replace

    marked = {**prepared.environment, **reach.mark}
    runs = replace(prepared, argv=("sleep", "1000"), directory="/", environment=marked)
    os.rmdir(prepared.cgroup)
    pid = start(reach, runs)
    way = reach.way(tree, pid)
    assert way is not None
    assert way.text == f"by parent, session and marker (no cgroup: it could not enter {prepared.cgroup})"
    assert way.pids == {pid}
    assert reach.send(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not reach.left(pid)


def test_a_number_that_is_another_ones_by_now_ends_nobody(tmp_path: Path) -> None:
    """The tree outlives its leader, whose pid is given to the leader of another tree meanwhile."""
    reach, tree = Reach(str(tmp_path / "journal")), task(kill_mode=KillMode.TREE)
    reach.spawned(("web", 1), launch(tree, 1, {}), 77)
    held = reach.hold(tree, 77)
    assert held < 0
    assert reach.hold(tree, held) == held
    reach.spawned(("web", 2), launch(tree, 2, {}), 77)
    reach.forget(held)
    assert not reach.covers(tree, held)
    assert reach.covers(tree, 77)


def test_memory_is_what_cannot_be_had_back(tmp_path: Path) -> None:
    assert cgroup.memory(str(tmp_path)) is None
    (tmp_path / "memory.stat").write_text("anon 8192\nfile 1048576\nkernel 100\nfile_mapped 4096\nanon_thp 0\n")
    assert cgroup.memory(str(tmp_path)) == 12288


def test_the_kernel_counts_where_it_can(tmp_path: Path) -> None:
    """A process of ours in a cgroup moves below it; another's keeps it from being counted."""
    cgroups.need_memory()
    with cgroups.made("tm-weigh") as place:
        ours, other = (subprocess.Popen([*cgroups.inside(place), "sleep", "1000"]) for _ in range(2))
        until(lambda: set(cgroup.members(str(place))) == {ours.pid, other.pid}, "both inside")
        assert not cgroup.weigh(str(place), {ours.pid})
        other.kill()
        other.wait()
        assert cgroup.weigh(str(place), {ours.pid})
        assert cgroup.weigh(str(place), set()), "it is already"
        assert cgroup.where(ours.pid) == f"{place}/taskmaster-self"
        (place / "other").mkdir()
        big = [sys.executable, "-c", "x = b'x' * (30 << 20); print('up', flush=True); input()"]
        with subprocess.Popen(
            [*cgroups.inside(place / "other"), *big], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin and process.stdout and process.stdout.readline()
            assert 30 << 20 < (cgroup.memory(f"{place}/other") or 0) < 60 << 20
            process.stdin.close()
        ours.kill()
        ours.wait()
