"""`restart --rolling`, and reloads that roll: one process at a time, and what ends it before it is through."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.integration.client import Daemon
from tests.integration.driver import ROOT, Taskmaster, daemons_of
from tests.knock import PROGRAM, free_port
from tests.waiting import until

CONFIG = """
    defaults: {restart: always, gracefulStopTimeout: 60, successfulStartTimeout: 0.3, restartsAttempts: 1,
               restartDelay: 600, restartDelayMax: 600}
    tasks:
      web: {command: sleep 1000, instances: 3, autoLaunch: true}
      mail: {command: sleep 1000, instances: 2, autoLaunch: true}
"""
STEPS = re.compile(r"INFO (\w+) state: (RUNNING -> STOPPING|STARTED -> RUNNING)")


def up(home: Path, config: str = CONFIG) -> Daemon:
    daemon = Daemon(home, config, "-l", "taskmaster.log")
    until(lambda: all(row["status"] == "RUNNING" for row in daemon.rows().values()), "everything up")
    return daemon


def pids(daemon: Daemon) -> dict[str, int]:
    return {name: row["pid"] for name, row in daemon.rows().items()}


def test_one_at_a_time_each_up_before_the_next(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        before, told = pids(daemon), len(daemon.log)
        done = daemon.ctl("restart", "--rolling", "web")
        assert (done.returncode, done.stderr) == (0, "")
        steps = STEPS.findall(daemon.log[told:])
        names = [f"web_{n}" for n in (1, 2, 3)]
        assert steps == [(name, what) for name in names for what in ("RUNNING -> STOPPING", "STARTED -> RUNNING")]
        assert re.findall(r"Process '(\w+)' started", done.stdout) == names
        after = pids(daemon)
        assert {name for name in after if after[name] != before[name]} == set(names)
        until(lambda: "rolling restart is through: 3 process(es)" in daemon.log, "its end on record")


def test_tasks_roll_beside_one_another_and_one_of_them_alone(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        before = pids(daemon)
        assert daemon.ctl("restart", "--rolling", "web_2", "mail").returncode == 0
        after = pids(daemon)
        assert {name for name in after if after[name] != before[name]} == {"web_2", "mail_1", "mail_2"}


def test_what_is_stopped_is_started_first(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        assert daemon.ctl("stop", "web_3").returncode == 0
        told = len(daemon.log)
        assert daemon.ctl("restart", "--rolling", "web").returncode == 0
        assert STEPS.findall(daemon.log[told:])[0] == ("web_3", "STARTED -> RUNNING")


def patient(config: str) -> str:
    """Whoever fails does so before it counts as up, however slow the machine is."""
    return config.replace("successfulStartTimeout: 0.3", "successfulStartTimeout: 60")


def fails_now(home: Path) -> str:
    """The processes of `web` fail from now on as soon as this file is there."""
    return CONFIG.replace("sleep 1000, instances: 3", f"'[ ! -e {home}/broken ] && exec sleep 1000', instances: 3")


def test_the_first_that_does_not_come_up_ends_it_and_the_others_are_untouched(tmp_path: Path) -> None:
    with up(tmp_path, fails_now(tmp_path)) as daemon:
        daemon.write(patient(fails_now(tmp_path)))
        assert daemon.ctl("reload").returncode == 0
        before = pids(daemon)
        (tmp_path / "broken").touch()
        done = daemon.ctl("restart", "--rolling", "web")
        assert done.returncode == 1
        assert "Process 'web_1' is BACKOFF: exit code 1" in done.stderr
        assert "Process 'web_2' was left as it is: 'web_1' is BACKOFF: exit code 1" in done.stderr
        assert "Process 'web_3' was left as it is" in done.stderr
        after = pids(daemon)
        assert {name: after[name] for name in ("web_2", "web_3")} == {name: before[name] for name in ("web_2", "web_3")}
        assert "rolling restart has ended: 'web_1' is BACKOFF" in daemon.log
        data = json.loads(daemon.ctl("--json", "restart", "--rolling", "web").stdout)
        assert data["rolling"] == ["web"]
        assert set(data["failed"]) == {"web_1", "web_2", "web_3"}


@pytest.mark.parametrize(("verb", "name"), [("stop", "web_3"), ("restart", "web_1")])
def test_an_operators_other_wish_ends_it_and_is_told(tmp_path: Path, verb: str, name: str) -> None:
    slow = CONFIG.replace("successfulStartTimeout: 0.3", "successfulStartTimeout: 2")
    with up(tmp_path, slow) as daemon:
        before = pids(daemon)
        rolling = daemon.begin("restart", "--rolling", "web")
        until(lambda: daemon.rows()["web_1"]["status"] == "STARTED", "the first one's turn")
        assert "A rolling restart of 'web' is under way, web_2, web_3 to go" in (
            daemon.ctl("restart", "--rolling", "web").stderr
        )
        daemon.ctl("--no-wait", verb, name)
        out, err = rolling.communicate(timeout=60)
        assert rolling.returncode == 1, out
        assert re.search(rf"Process 'web_2' was left as it is: {verb} of '{name}' by uid", err)
        assert pids(daemon)["web_2"] == before["web_2"]


def test_at_the_prompt_it_is_told_above_it(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, fails_now(tmp_path)) as taskmaster:
        taskmaster.wait_for(web_1="RUNNING", web_2="RUNNING", web_3="RUNNING")
        taskmaster.write(patient(fails_now(tmp_path)))
        taskmaster.ask("reload")
        (tmp_path / "broken").touch()
        taskmaster.type("restart --rolling web")
        taskmaster.wait_output(
            r"The rolling restart of 'web' has ended: 'web_1' is BACKOFF: .*; left as they are: web_2, web_3"
        )


def sockets(port: int, command: str = PROGRAM) -> str:
    return CONFIG.replace("{command: sleep 1000, instances: 3", f"{{command: '{command}', instances: 3").replace(
        "autoLaunch: true}\n      mail", f"autoLaunch: true, sockets: {{http: 'tcp://127.0.0.1:{port}'}}}}\n      mail"
    )


def test_a_reload_rolls_where_sockets_are_shared_and_ends_where_the_new_version_fails(tmp_path: Path) -> None:
    port = free_port()
    with up(tmp_path, sockets(port)) as daemon:
        told = len(daemon.log)
        daemon.write(sockets(port).replace("sockets:", "environment: {A: b}, sockets:"))
        done = daemon.ctl("reload")
        assert done.returncode == 0, done.stderr
        names = [f"web_{n}" for n in (1, 2, 3)]
        assert STEPS.findall(daemon.log[told:]) == [
            (name, what) for name in names for what in ("RUNNING -> STOPPING", "STARTED -> RUNNING")
        ]
        before = pids(daemon)
        daemon.write(patient(sockets(port, f"{PROGRAM} 3")))
        done = daemon.ctl("reload")
        assert done.returncode == 1
        assert "Process 'web_2' was left as it is: 'web_1' is BACKOFF: exit code 3" in done.stderr
        after = pids(daemon)
        assert (after["web_2"], after["web_3"]) == (before["web_2"], before["web_3"])
        daemon.write(sockets(port))
        assert daemon.ctl("reload").returncode == 0
        assert all(row["status"] == "RUNNING" for row in daemon.rows().values())


def test_a_reload_meanwhile_begins_anew(tmp_path: Path) -> None:
    port = free_port()
    slow = sockets(port).replace("successfulStartTimeout: 0.3", "successfulStartTimeout: 1")
    with up(tmp_path, slow) as daemon:
        before = pids(daemon)
        daemon.write(slow.replace("sockets:", "environment: {A: b}, sockets:"))
        assert daemon.ctl("--no-wait", "reload").returncode == 0
        until(lambda: daemon.rows()["web_1"]["status"] == "STARTED", "the first one's turn")
        daemon.write(slow.replace("sockets:", "environment: {A: c}, sockets:").replace("instances: 3", "instances: 2"))
        assert daemon.ctl("reload").returncode == 0
        after = pids(daemon)
        assert "web_3" not in after
        assert all(after[name] != before[name] for name in ("web_1", "web_2"))
        for name in ("web_1", "web_2"):
            assert b"A=c\0" in Path(f"/proc/{after[name]}/environ").read_bytes()


def test_the_next_daemon_goes_on(tmp_path: Path) -> None:
    slow = CONFIG.replace("successfulStartTimeout: 0.3", "successfulStartTimeout: 2")
    with up(tmp_path, slow) as daemon:
        before = pids(daemon)
        assert daemon.ctl("--no-wait", "restart", "--rolling", "web").returncode == 0
        until(lambda: daemon.rows()["web_1"]["status"] == "STARTED", "the first one's turn")
        killed = daemon.daemon
        os.kill(killed, signal.SIGKILL)
        until(lambda: any(each != killed for each in daemons_of(daemon.process.pid)), "the next daemon")
        until(lambda: "rolling restart is through: 3 process(es)" in daemon.log, "its end")
        after = pids(daemon)
        assert all(after[name] != before[name] for name in ("web_1", "web_2", "web_3"))
        assert daemon.log.count("web_1 state: RUNNING -> STOPPING") == 1
        assert "rolling restart goes on, which an earlier daemon had begun" in daemon.log


def test_an_upgrade_goes_on_too(tmp_path: Path) -> None:
    slow = CONFIG.replace("successfulStartTimeout: 0.3", "successfulStartTimeout: 2")
    with up(tmp_path, slow) as daemon:
        rolling = daemon.begin("restart", "--rolling", "web")
        until(lambda: daemon.rows()["web_1"]["status"] == "STARTED", "the first one's turn")
        assert daemon.ctl("upgrade").returncode == 0
        out, err = rolling.communicate(timeout=60)
        assert (rolling.returncode, err) == (0, ""), out


def test_without_a_client_that_knows_better_it_is_an_option_of_restart_alone(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        assert "'stop' has no option '--rolling'" in daemon.ctl("stop", "--rolling", "web").stderr


def example(home: Path) -> tuple[Daemon, int]:
    """etc/examples/sockets.yaml, up, and its port."""
    port, folder = free_port(), ROOT / "etc" / "examples"
    shutil.copy(folder / "sockets_server.py", home)
    text = (folder / "sockets.yaml").read_text().replace("python3", sys.executable)
    daemon = Daemon(home, text, "-l", "taskmaster.log", PORT=str(port), RUN=str(home))
    until(lambda: all(row["status"] == "RUNNING" for row in daemon.rows().values()), "everything up")
    return daemon, port


def test_the_example_answers_by_one_instance_or_the_other(tmp_path: Path) -> None:
    daemon, port = example(tmp_path)
    with daemon:
        for _ in range(2):
            with urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
                assert int(answer.read()) in pids(daemon).values()
            assert daemon.ctl("restart", "--rolling", "web").returncode == 0
        assert (tmp_path / "web-example.sock").is_socket()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_example_loses_no_request_in_a_rolling_restart(tmp_path: Path) -> None:
    """etc/examples/sockets.yaml, under load from before the restart until after it."""
    daemon, port = example(tmp_path)
    with daemon:
        before, requests, restarts = pids(daemon), 0, 0
        while requests < 10_000 or restarts < 2:
            load = subprocess.Popen(
                ["wrk", "-t1", "-c8", "-d8", f"http://127.0.0.1:{port}/"], stdout=subprocess.PIPE, text=True
            )
            while load.poll() is None:
                assert daemon.ctl("restart", "--rolling", "web").returncode == 0
                restarts += load.poll() is None
            assert load.stdout is not None
            said = load.stdout.read()
            load.stdout.close()
            assert "Socket errors" not in said and "Non-2xx" not in said, said
            found = re.search(r"(\d+) requests in", said)
            assert found, said
            requests += int(found[1])
        assert pids(daemon).keys() == before.keys()
        assert not set(pids(daemon).values()) & set(before.values())
