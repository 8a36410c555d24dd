"""`killMode: tree`: whoever descends from an instance ends with it, by a cgroup and, as far as that goes, without."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests import cgroups
from tests.fault.kernel import processes
from tests.integration.client import Daemon
from tests.integration.driver import ROOT, SYSTEM_PYTHON, alive, others_can_run
from tests.waiting import until
from tm.edge import cgroup, pidfd

PROGRAMS = ROOT / "tests" / "programs"
LEAVES = f"{sys.executable} -I -S {PROGRAMS / 'leaves_a_daemon.py'}"
BOMBER = 54321
"""A user of nobody else's, whom a limit on processes can be set for."""


class Searching(Daemon):
    """One that finds no cgroup."""

    under = cgroups.WITHOUT


@pytest.fixture(params=["cgroup", "search"])
def kind(request: pytest.FixtureRequest) -> type[Daemon]:
    """Either way to reach a tree."""
    if request.param == "cgroup":
        cgroups.home()
        return Daemon
    cgroups.need_none()
    return Searching


@pytest.fixture(autouse=True)
def _no_cgroup_is_left(tmp_path: Path) -> Iterator[None]:
    """What the daemons of a test leave is there no more, empty or not."""
    yield
    left = cgroups_of(tmp_path)
    told = (tmp_path / "stderr.txt").read_text() if left else ""
    for each in left:
        cgroup.send(each, signal.SIGKILL, pidfd.deliver)
        until(lambda path=each: cgroup.remove(path), f"the end of {each}")
    assert not left, told


def cgroups_of(home: Path) -> list[str]:
    """The cgroups that have the name of the daemons of this place, and of nobody else."""
    place, state = cgroup.own()[0], home / "state"
    if not place or not state.exists():
        return []
    prefix = f"taskmaster-{state.stat().st_dev:x}.{state.stat().st_ino:x}-"
    return [f"{place}/{name}" for name in cgroup.below(place, prefix)]


def config(words: str = "stays", more: str = "", name: str = "web") -> str:
    """One task that leaves a daemon, whose pid it writes into `stray`."""
    return f"""
        tasks:
          {name}: {{command: "{LEAVES} stray {words}", killMode: tree, autoLaunch: true, successfulStartTimeout: 0,
                gracefulStopTimeout: 300ms, {more}}}
    """


def stray(home: Path) -> int:
    """The pid of the daemon that a task has left."""
    return int(until(lambda: (home / "stray").exists() and (home / "stray").read_text(), "a daemon of a task"))


def way(daemon: Daemon, name: str = "web") -> str:
    """How `show` says that the tree is reached."""
    lines = daemon.ctl("show", name).stdout.splitlines()
    return next((line.strip() for line in lines if line.startswith("  killMode tree, ")), "")


def test_a_daemonized_grandchild_that_ignores_the_stop_ends_with_its_task(tmp_path: Path, kind: type[Daemon]) -> None:
    with kind(tmp_path, config()) as daemon:
        pid, leader = stray(tmp_path), daemon.pid("web")
        assert os.getsid(pid) != leader
        shown = daemon.ctl("show", "web").stdout
        assert f"{pid} S" in shown, "the tree is shown, wherever it is"
        if kind is Searching:
            assert way(daemon) == "killMode tree, by parent, session and marker (no cgroup: cgroup v2 is not mounted)"
        else:
            path = way(daemon).removeprefix("killMode tree, by cgroup ")
            assert set((Path(path) / "cgroup.procs").read_text().split()) == {str(pid), str(leader)}
        assert daemon.ctl("stop", "web").returncode == 0
        assert not alive(pid)
        assert "STOPPING -> KILLING" in daemon.errors
        assert "killMode tree" not in daemon.ctl("show", "web").stdout


def test_what_hides_from_everybody_else_does_not_hide_from_its_cgroup(tmp_path: Path) -> None:
    cgroups.home()
    with Daemon(tmp_path, config("stays wiped")) as daemon:
        pid = stray(tmp_path)
        until(lambda: not Path(f"/proc/{pid}/environ").read_bytes(), "no environment")
        daemon.ctl("stop", "web")
        assert not alive(pid)


def test_what_a_search_cannot_see_is_what_left_session_parent_and_environment_before_the_first_look(
    tmp_path: Path,
) -> None:
    cgroups.need_none()
    with Searching(tmp_path, config("stays wiped")) as daemon:
        pid = stray(tmp_path)
        until(lambda: not Path(f"/proc/{pid}/environ").read_bytes(), "no environment")
        try:
            assert daemon.ctl("stop", "web").returncode == 0
            assert alive(pid)
        finally:
            os.kill(pid, signal.SIGKILL)


def test_what_a_search_has_seen_once_it_does_not_lose(tmp_path: Path) -> None:
    """A child in a session of its own without a variable: at SIGTERM its parent lives, at SIGKILL no more."""
    cgroups.need_none()
    with Searching(tmp_path, config("child wiped")) as daemon:
        pid = stray(tmp_path)
        until(lambda: not Path(f"/proc/{pid}/environ").read_bytes(), "no environment")
        assert daemon.ctl("stop", "web").returncode == 0
        assert not alive(pid)


@pytest.mark.skipif(not others_can_run(), reason="a limit on processes holds for users other than root")
def test_a_fork_bomb_is_ended_whole(tmp_path: Path, kind: type[Daemon]) -> None:
    command = [str(SYSTEM_PYTHON), "-I", "-S", "-c", (PROGRAMS / "fork_bomb.py").read_text()]
    text = f"""
        tasks:
          bomb: {{command: {json.dumps(command)}, user: "{BOMBER}", workingDirectory: /, limits: {{nproc: 150}},
                 killMode: tree, successfulStartTimeout: 0, gracefulStopTimeout: 200ms}}
    """
    try:
        with kind(tmp_path, text) as daemon:
            for _ in range(3):
                daemon.ctl("start", "bomb")
                until(lambda: len(bombs()) == 150, "as many as may be", 60)
                assert daemon.ctl("stop", "bomb").returncode == 0
                assert bombs() == []
    finally:
        for pid in bombs():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def bombs() -> list[int]:
    """The living processes of the user who has nothing but bombs."""
    found = []
    for name in os.listdir("/proc"):
        with suppress(OSError):
            if name.isdecimal() and os.stat(f"/proc/{name}").st_uid == BOMBER and alive(int(name)):
                found.append(int(name))
    return found


def test_a_crashed_leader_is_never_started_beside_its_tree(tmp_path: Path, kind: type[Daemon]) -> None:
    wrapped = config("fails", "restart: always, restartsAttempts: 0, restartDelay: 10ms").replace(
        LEAVES, f"[ -e stray ] && kill -0 $(cat stray) && echo beside >> beside; exec {LEAVES}"
    )
    with kind(tmp_path, "taskmaster: {restartFloor: 10ms}\n" + _dedented(wrapped)) as daemon:
        seen: set[int] = set()
        until(lambda: seen.add(stray(tmp_path)) or len(seen) > 3, "some crashes")
        assert not (tmp_path / "beside").exists()
        assert daemon.ctl("stop", "web").returncode == 0
        assert not any(alive(pid) for pid in seen | {stray(tmp_path)})


def _dedented(text: str) -> str:
    return "\n".join(line.removeprefix(" " * 8) for line in text.splitlines())


def test_what_ended_well_leaves_its_daemon_alone_until_it_is_started_again(tmp_path: Path, kind: type[Daemon]) -> None:
    with kind(tmp_path, config("")) as daemon:
        until(lambda: daemon.state("web") == "EXITED", "its end")
        first = stray(tmp_path)
        assert alive(first)
        daemon.ctl("start", "web")
        until(lambda: stray(tmp_path) != first, "another one")
        assert not alive(first)
        last = stray(tmp_path)
        daemon.write("tasks: {}")
        daemon.ctl("reload")
        until(lambda: not alive(last), "the end of what a task has left that is gone")


class Lives:
    """Daemons, one after the other, in one place; the last one is told to leave."""

    def __init__(self, home: Path, kind: type[Daemon]) -> None:
        self._home = home
        self._kind = kind
        self._stack = ExitStack()

    def __enter__(self) -> Lives:
        return self

    def __exit__(self, *rest: Any) -> None:
        with self._stack:
            if self.daemon.process.poll() is None:
                self.daemon.ctl("shutdown")
                self.daemon.process.wait(60)

    def begin(self, text: str, kind: type[Daemon] | None = None) -> Daemon:
        """The next one."""
        self.daemon = self._stack.enter_context((kind or self._kind)(self._home, text))
        return self.daemon

    def kill(self) -> None:
        """SIGKILL to the present one and its guardian, so that nobody starts the next one."""
        guardian = self.daemon.process
        guardian.send_signal(signal.SIGSTOP)
        os.kill(daemon_of(guardian.pid), signal.SIGKILL)
        guardian.kill()
        guardian.wait()


def daemon_of(guardian: int) -> int:
    """The pid of the daemon that a guardian has, by its title."""

    def look() -> int:
        numbers = (int(name) for name in os.listdir("/proc") if name.isdecimal())
        return max((_child(pid, guardian) for pid in numbers), default=0)

    return until(look, "a daemon")


def _child(pid: int, guardian: int) -> int:
    with suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
        if int(words[1]) == guardian and title.startswith(b"taskmaster: web.yaml"):
            return pid
    return 0


@pytest.mark.parametrize("after", ["kill", "kill of both", "upgrade", "shutdown --keep"])
def test_the_next_daemon_knows_the_tree_of_a_process_that_it_takes_over(
    tmp_path: Path, kind: type[Daemon], after: str
) -> None:
    with Lives(tmp_path, kind) as lives:
        daemon = lives.begin(config())
        pid, leader, before = stray(tmp_path), daemon.pid("web"), way(daemon)
        match after:
            case "kill":
                os.kill(daemon_of(daemon.process.pid), signal.SIGKILL)
                until(lambda: f"pid {leader} is taken over" in daemon.errors, "the next one")
            case "upgrade":
                assert daemon.ctl("upgrade").returncode == 0
            case "kill of both":
                lives.kill()
                daemon = lives.begin(config())
            case _:
                daemon.ctl("shutdown", "--keep")
                daemon.process.wait(60)
                daemon = lives.begin(config())
        assert daemon.pid("web") == leader
        assert way(daemon).partition("(")[0] == before.partition("(")[0]
        assert f"{pid} S" in daemon.ctl("show", "web").stdout
        assert daemon.ctl("stop", "web").returncode == 0
        assert not alive(pid)
        assert not alive(leader)


def test_a_leader_that_died_while_no_daemon_was_there_is_not_started_beside_its_tree(
    tmp_path: Path, kind: type[Daemon]
) -> None:
    with Lives(tmp_path, kind) as lives:
        text = config("stays", "restart: always")
        leader = lives.begin(text).pid("web")
        pid = stray(tmp_path)
        lives.kill()
        os.kill(leader, signal.SIGKILL)
        until(lambda: not alive(leader), "its end")
        (tmp_path / "stray").unlink()
        daemon = lives.begin(text)
        assert stray(tmp_path) != pid
        assert not alive(pid)
        assert daemon.pid("web") != leader


def test_what_an_instance_at_rest_has_left_is_known_to_the_next_daemon(tmp_path: Path) -> None:
    cgroups.home()
    with Lives(tmp_path, Daemon) as lives:
        daemon = lives.begin(config(""))
        until(lambda: daemon.state("web") == "EXITED", "its end")
        first = stray(tmp_path)
        lives.kill()
        daemon = lives.begin(config("").replace("autoLaunch: true", "autoLaunch: false"))
        assert alive(first), "nothing is due that it would be in the way of"
        daemon.ctl("start", "web")
        until(lambda: stray(tmp_path) != first, "another one")
        assert not alive(first)


@pytest.mark.parametrize("lost", ["task", "journal"])
def test_a_tree_that_nobody_knows_any_more_is_ended(tmp_path: Path, lost: str) -> None:
    cgroups.home()
    with Lives(tmp_path, Daemon) as lives:
        leader = lives.begin(config()).pid("web")
        pid = stray(tmp_path)
        lives.kill()
        if lost == "journal":
            (tmp_path / "state" / "journal").unlink()
        lives.begin("tasks: {}")
        until(lambda: not alive(pid), "the end of the daemon that it had left")
        until(lambda: not alive(leader), "its end")


def test_the_next_daemon_may_be_in_another_cgroup(tmp_path: Path) -> None:
    with cgroups.made("tree-test") as place, Lives(tmp_path, Daemon) as lives:
        first = type("Inside", (Daemon,), {"under": cgroups.inside(place)})
        path = way(lives.begin(config(), first))
        assert path.startswith(f"killMode tree, by cgroup {place}/taskmaster-")
        pid = stray(tmp_path)
        lives.kill()
        daemon = lives.begin(config())
        assert way(daemon) == path
        daemon.ctl("restart", "web")
        assert not alive(pid)
        assert way(daemon).startswith(f"killMode tree, by cgroup {cgroups.home()}/taskmaster-")
        assert [each for each in place.iterdir() if each.is_dir()] == []


def test_a_cgroup_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    with cgroups.made("tree-test") as place:
        (place / "cgroup.max.descendants").write_text("0")
        kind = type("Inside", (Daemon,), {"under": cgroups.inside(place)})
        with kind(tmp_path, config()) as daemon:
            pid = stray(tmp_path)
            why = f"{place}/taskmaster-.* cannot be made: Resource temporarily unavailable"
            assert re.fullmatch(rf"killMode tree, by parent, session and marker \(no cgroup: {why}\)", way(daemon))
            daemon.ctl("stop", "web")
            assert not alive(pid)


def test_a_reload_makes_a_tree_of_a_group_as_far_as_can_be(tmp_path: Path, kind: type[Daemon]) -> None:
    with kind(tmp_path, config().replace("killMode: tree", "killMode: group")) as daemon:
        pid = stray(tmp_path)
        assert way(daemon) == ""
        daemon.write(config())
        daemon.ctl("reload")
        told = (
            "killMode tree, by parent, session and marker (no cgroup: it was not put into a cgroup when it was started)"
        )
        assert way(daemon) == told
        daemon.ctl("restart", "web")
        assert not alive(pid)
        assert way(daemon) != told
        pid = until(lambda: alive(stray(tmp_path)) and stray(tmp_path), "the next one")
        daemon.write(config().replace("killMode: tree", "killMode: group"))
        daemon.ctl("reload")
        daemon.ctl("stop", "web")
        assert alive(pid), "another session is not its group"
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid), "its end")
        daemon.ctl("start", "web")
        pid = until(lambda: alive(stray(tmp_path)) and stray(tmp_path), "the next one")
        daemon.ctl("stop", "web")
        os.kill(pid, signal.SIGKILL)


def test_a_name_may_be_long_and_a_tree_may_have_trees_of_its_own(tmp_path: Path) -> None:
    """A task that makes cgroups below its own, as one that runs containers does."""
    cgroups.home()
    name = "a." + 120 * "b"
    with Daemon(tmp_path, config("stays", name=name, more="instances: 2")) as daemon:
        path = Path(way(daemon, f"{name}_2").removeprefix("killMode tree, by cgroup "))
        (path / "inner" / "most").mkdir(parents=True)
        pid = stray(tmp_path)
        (path / "inner" / "most" / "cgroup.procs").write_text(str(daemon.pid(f"{name}_2")))
        assert daemon.ctl("stop", name).returncode == 0
        assert not alive(pid)
        assert processes(tmp_path) == []
        assert not path.exists()
