"""What the client says of a daemon that is not there: who is left running by it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.client import CLIENT, Daemon
from tests.integration.driver import PROGRAM, Taskmaster, alive, environment
from tests.mounts import on_an_empty_machine
from tests.waiting import until

CONFIG = """
    taskmaster: {stateDir: state, socket: control.sock}
    defaults: {successfulStartTimeout: 0, autoLaunch: true}
    tasks:
      web: {command: sleep 1000}
      worker: {command: sleep 1000, instances: 2}
      idle: {command: sleep 1000, autoLaunch: false}
      short: {command: "exit 3"}
"""


def ctl(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The client, by its configuration."""
    command = [*CLIENT, "-c", "web.yaml", *arguments]
    return subprocess.run(
        command, cwd=home, env=environment(home), input="", capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def left(tmp_path: Path) -> Iterator[dict[str, int]]:
    """The processes that a daemon, which is no longer there, has left running, by their names."""
    pids: dict[str, int] = {}
    try:
        with Daemon(tmp_path, CONFIG) as daemon:
            pids |= json.loads(daemon.ctl("--json", "pid", "web", "worker").stdout)
            until(lambda: daemon.state("short") == "FATAL", "one that has ended")
            daemon.kill()
            daemon.process.wait()
        yield pids
    finally:
        for pid in pids.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def nobody(home: Path) -> str:
    """The first sentence."""
    return f"no daemon answers at {home}/control.sock: connection refused. Start one: taskmaster -d web.yaml"


def told(home: Path, pids: dict[str, int]) -> str:
    """The complaint."""
    names = ", ".join(f"{name} (pid {pid})" for name, pid in pids.items())
    whose = home / "web.yaml"
    return (
        f"taskmasterctl: {nobody(home)}\n"
        f"taskmasterctl: left running by the daemon of {whose}: {names}. "
        f"The next 'taskmaster -d {whose}' takes over what lives.\n"
    )


def test_who_is_left_is_named(tmp_path: Path, left: dict[str, int]) -> None:
    assert sorted(left) == ["web", "worker_1", "worker_2"]
    for words in (["status"], ["stop", "all"], []):
        done = ctl(tmp_path, *words)
        assert (done.returncode, done.stdout, done.stderr) == (4, "", told(tmp_path, left))
    os.kill(left["worker_1"], signal.SIGKILL)
    until(lambda: not alive(left["worker_1"]), "its end")
    del left["worker_1"]
    done = ctl(tmp_path, "--json", "status")
    whose = str(tmp_path / "web.yaml")
    assert done.stderr == told(tmp_path, left)
    assert json.loads(done.stdout) == {
        "error": nobody(tmp_path),
        "survivors": [{"name": name, "pid": pid, "config": whose} for name, pid in left.items()],
    }
    with Daemon(tmp_path, CONFIG) as daemon:
        assert daemon.pid("web") == left["web"]
    assert "left running" not in ctl(tmp_path, "status").stderr
    assert json.loads(ctl(tmp_path, "status", "--json").stdout)["survivors"] == []


def test_a_journal_is_believed_only_of_this_machine_and_about_the_very_process(
    tmp_path: Path, left: dict[str, int]
) -> None:
    journal = tmp_path / "state" / "journal"
    text = journal.read_text()
    journal.write_text(text.replace(f'"pid":{left["web"]},', f'"pid":{os.getpid()},'))
    stderr = ctl(tmp_path, "status").stderr
    assert "daemon of" in stderr
    assert "web (" not in stderr
    for wrong in (
        re.sub(r'"boot":"[^"]*"', '"boot":"another"', text),
        text.replace("/web.yaml", "/other.yaml"),
        "nonsense\n",
        "",
    ):
        journal.write_text(wrong)
        assert "left running" not in ctl(tmp_path, "status").stderr
    journal.unlink()
    journal.symlink_to("elsewhere")
    done = ctl(tmp_path, "status")
    why = f"what it may have left running is not known: {journal} cannot be read (Too many levels of symbolic links)."
    assert done.returncode == 4
    assert done.stderr.endswith(f"taskmasterctl: {why}\n")


def test_a_file_that_is_wrong_by_now_is_no_error(tmp_path: Path, left: dict[str, int]) -> None:
    """Its socket is known all the same."""
    (tmp_path / "web.yaml").write_text("taskmaster: {stateDir: state, stateDir: other}\n")
    done = ctl(tmp_path, "status")
    assert done.returncode == 4
    assert "left running" not in done.stderr
    assert alive(left["web"])


def test_what_a_living_daemon_keeps_is_not_left(tmp_path: Path) -> None:
    """It is there, and only not where it is looked for."""
    with Taskmaster(tmp_path, CONFIG, "-s", "other.sock") as taskmaster:
        taskmaster.wait_for(web="RUNNING")
        done = ctl(tmp_path, "status")
        assert done.returncode == 4
        assert "left running" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a mount namespace")
def test_in_the_default_places(tmp_path: Path) -> None:
    """Whatever names the daemon: its configuration, its socket, or nothing."""
    (tmp_path / "web.yaml").write_text("tasks: {web: {command: sleep 1000, autoLaunch: true}}\n")
    (tmp_path / "link.yaml").symlink_to("web.yaml")
    client = " ".join(CLIENT)
    script = f"""
    {" ".join(PROGRAM)} -d web.yaml
    pid=$({client} pid web)
    {client} shutdown --keep
    for named in "" "-s /run/taskmaster/web.sock" "-c web.yaml" "-c link.yaml" "-s /run/taskmaster/other.sock"; do
        {client} $named status || echo "$named: $?"
    done
    kill $pid
    """
    done = on_an_empty_machine(tmp_path, script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": 4\n") == 5
    told = rf"taskmasterctl: left running by the daemon of {tmp_path}/web.yaml: web \(pid \d+\)\. "
    answers = done.stderr.split("no daemon answers at ")[1:]
    assert [bool(re.search(told, answer)) for answer in answers] == [True, True, True, True, False]
