"""`scale`: another number of instances, by an operator's wish, which lasts until the file says another number."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.integration.client import Daemon
from tests.integration.driver import Taskmaster, daemons_of
from tests.waiting import until

CONFIG = """
    defaults: {{successfulStartTimeout: 0}}
    tasks:
      web: {{command: sleep 1000, instances: {instances}, autoLaunch: {launch}, description: "{text}"}}
      api_2: {{command: sleep 1000}}
      api: {{command: sleep 1000}}
"""


def config(instances: int = 2, launch: str = "true", text: str = "") -> str:
    return CONFIG.format(instances=instances, launch=launch, text=text)


def web(daemon: Daemon) -> dict[str, tuple[str, int]]:
    """The processes of the task."""
    rows = daemon.rows().items()
    return {name: (row["status"], row["pid"]) for name, row in rows if name.partition("_")[0] == "web"}


def test_it_starts_and_stops_the_difference_and_touches_nobody_else(tmp_path: Path) -> None:
    with Daemon(tmp_path, config()) as daemon:
        before = web(daemon)
        done = daemon.ctl("scale", "web", "4")
        assert done.returncode == 0, done
        assert "Task 'web' scaled: 2 -> 4 instances; the file says 2" in done.stdout
        assert "Process 'web_4' started with PID" in done.stdout
        more = web(daemon)
        assert [state for state, _ in more.values()] == ["RUNNING"] * 4, "the client has waited for that"
        assert {name: more[name] for name in before} == before
        done = daemon.ctl("scale", "web", "3")
        assert done.returncode == 0, done
        assert "Process 'web_4' stopped gracefully" in done.stdout
        assert web(daemon) == {name: more[name] for name in ("web_1", "web_2", "web_3")}, "the highest number has gone"
        done = daemon.ctl("scale", "web", "3")
        assert (done.returncode, done.stdout) == (
            0,
            "Task 'web' has 3 instances already; the file says 2, which holds again once it says another number\n",
        )


def test_one_is_renamed_and_not_restarted(tmp_path: Path) -> None:
    with Daemon(tmp_path, config(1)) as daemon:
        pid = daemon.pid("web")
        assert daemon.ctl("scale", "web", "2").returncode == 0
        assert web(daemon)["web_1"] == ("RUNNING", pid)
        assert daemon.ctl("scale", "web", "1").returncode == 0
        assert web(daemon) == {"web": ("RUNNING", pid)}


def test_none_is_a_number_and_from_none_they_are_started(tmp_path: Path) -> None:
    with Daemon(tmp_path, config(2, "false")) as daemon:
        assert daemon.ctl("scale", "web", "0").returncode == 0
        assert web(daemon) == {}
        done = daemon.ctl("start", "web")
        assert (done.returncode, done.stderr) == (6, "Task 'web' has no instances; type: scale web 1\n")
        assert daemon.ctl("scale", "web", "2").returncode == 0
        assert [state for state, _ in web(daemon).values()] == ["RUNNING"] * 2


def test_where_the_others_are_down_new_ones_are_too(tmp_path: Path) -> None:
    with Daemon(tmp_path, config()) as daemon:
        assert daemon.ctl("stop", "web").returncode == 0
        assert daemon.ctl("scale", "web", "3").returncode == 0
        assert [state for state, _ in web(daemon).values()] == ["STOPPED"] * 3


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["web"], 2, "Usage: scale <task> <instances>\n"),
        (["web", "2", "3"], 2, "Usage: scale <task> <instances>\n"),
        (["web", "many"], 2, "Please provide a number of instances from 0 to 10,000.\n"),
        (["web", "-1"], 2, "Please provide a number of instances from 0 to 10,000.\n"),
        (["web", "10001"], 2, "Please provide a number of instances from 0 to 10,000.\n"),
        (["wbe", "2"], 6, "Task 'wbe' not found. Did you mean 'web'?\n"),
        (["web_1", "2"], 6, "Task 'web_1' not found. Did you mean 'web'?\n"),
        (["api", "2"], 1, "Task 'api' cannot have 2 instances: two processes would be named 'api_2'.\n"),
    ],
)
def test_what_makes_no_sense_is_refused(shared: Daemon, words: list[str], code: int, told: str) -> None:
    before = shared.rows()
    done = shared.ctl("scale", *words)
    assert (done.returncode, (done.stdout + done.stderr).removeprefix("taskmasterctl: ")) == (code, told)
    assert shared.rows() == before


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> object:
    with Daemon(tmp_path_factory.mktemp("shared"), config()) as daemon:
        yield daemon


def test_the_wish_holds_over_reload_kill_and_start_until_the_file_says_another_number(tmp_path: Path) -> None:
    with Daemon(tmp_path, config()) as daemon:
        assert daemon.ctl("scale", "web", "3").returncode == 0
        before = web(daemon)
        assert json.loads(daemon.ctl("reload", "--dry-run", "--json").stdout)["scale"] == {}
        daemon.write(config(text="changed"))
        assert "update   web: description" in daemon.ctl("reload").stdout
        assert web(daemon) == before

        killed = daemon.daemon
        os.kill(killed, signal.SIGKILL)
        until(lambda: next((pid for pid in daemons_of(daemon.process.pid) if pid != killed), 0), "the next daemon")
        assert web(daemon) == before
    with Daemon(tmp_path, config(text="changed")) as daemon:
        until(lambda: [state for state, _ in web(daemon).values()] == ["RUNNING"] * 3, "three, as wished")
        daemon.write(config(1))
        assert "scale    web: 3 -> 1 instances" in daemon.ctl("reload").stdout
        assert list(web(daemon)) == ["web"]
        daemon.write(config(2))
        assert "scale    web: 1 -> 2 instances" in daemon.ctl("reload").stdout, "the wish is forgotten for good"


def test_another_number_while_no_daemon_was_there_ends_it_too(tmp_path: Path) -> None:
    with Daemon(tmp_path, config()) as daemon:
        assert daemon.ctl("scale", "web", "3").returncode == 0
    for instances in (1, 2):
        with Daemon(tmp_path, config(instances)) as daemon:
            until(lambda: len(web(daemon)) == instances, f"{instances}, as the file says")  # noqa: B023


def test_a_name_that_the_file_gives_to_another_ends_it_and_the_reload_says_so(tmp_path: Path) -> None:
    with Daemon(tmp_path, config()) as daemon:
        assert daemon.ctl("scale", "web", "3").returncode == 0
        daemon.write(config() + "      web_3: {command: sleep 1000}\n")
        done = daemon.ctl("reload")
        assert (done.returncode, "scale    web: 3 -> 2 instances" in done.stdout) == (0, True), done


def test_what_was_started_by_scaling_is_up_in_the_next_life(tmp_path: Path) -> None:
    """The task does not launch by itself: what an operator has started is up again, and so is what he added to it."""
    with Daemon(tmp_path, config(1, "false")) as daemon:
        assert daemon.ctl("start", "web").returncode == 0
        assert daemon.ctl("scale", "web", "2").returncode == 0
    with Daemon(tmp_path, config(1, "false")) as daemon:
        until(lambda: [state for state, _ in web(daemon).values()] == ["RUNNING"] * 2, "both")


def test_at_the_prompt(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, config()) as taskmaster:
        assert "Task 'web' scaled: 2 -> 3 instances" in taskmaster.ask("scale web 3")
        taskmaster.wait_for(web_3="RUNNING")
