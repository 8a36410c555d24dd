"""`watch`: the real program and real files, written, renamed, replaced and removed."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from tests.integration.driver import Taskmaster
from tests.waiting import until

BRIEF = "50ms"


def config(watch: object, **keys: object) -> str:
    """One task `web` that watches."""
    task = {"command": "exec sleep 1000", "successfulStartTimeout": 0, "watch": watch, **keys}
    return json.dumps({"tasks": {"web": task}})


def watching(*paths: str, **keys: object) -> dict[str, object]:
    return {"paths": list(paths), "debounce": BRIEF, **keys}


def up(taskmaster: Taskmaster) -> None:
    taskmaster.type("start web")
    taskmaster.wait_for(web="RUNNING")


def answered(taskmaster: Taskmaster, path: Path, times: int = 1) -> None:
    """Wait until a change of the path has led to a restart."""
    pattern = rf"\(restart\).*by watch: {re.escape(str(path))} changed"
    until(lambda: len(re.findall(pattern, taskmaster.log)) == times, f"{pattern} in {taskmaster.log[-2000:]}")
    taskmaster.wait_for(web="RUNNING")


def restarts(taskmaster: Taskmaster) -> int:
    return taskmaster.log.count("(restart)")


def test_a_written_file_restarts_once_however_often_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    with Taskmaster(tmp_path, config(watching("src"))) as taskmaster:
        up(taskmaster)
        first = taskmaster.pid("web")
        for text in ("one", "two", "three"):
            (tmp_path / "src" / "a").write_text(text)
        answered(taskmaster, tmp_path / "src" / "a")
        assert taskmaster.pid("web") != first
        (tmp_path / "src" / "b").write_text("")
        answered(taskmaster, tmp_path / "src" / "b")
        assert restarts(taskmaster) == 2


def test_an_editor_that_writes_a_new_file_and_renames_it_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "app.conf"
    path.write_text("a")
    with Taskmaster(tmp_path, config(watching("app.conf"))) as taskmaster:
        up(taskmaster)
        for times in (1, 2):
            (tmp_path / "app.conf.tmp").write_text("b")
            (tmp_path / "app.conf.tmp").rename(path)
            answered(taskmaster, path, times)
        path.unlink()
        answered(taskmaster, path, 3)
        path.symlink_to("app.conf.tmp")
        answered(taskmaster, path, 4)


def test_other_files_mean_nothing(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    with Taskmaster(tmp_path, config(watching("src/**/*.py", "src/last"))) as taskmaster:
        up(taskmaster)
        for name in ("a.txt", ".b.py", "b.py.new"):
            (tmp_path / "src" / name).write_text("")
        (tmp_path / "src" / ".git").mkdir()
        (tmp_path / "src" / ".git" / "c.py").write_text("")
        (tmp_path / "src" / "last").write_text("")
        answered(taskmaster, tmp_path / "src" / "last")
        assert restarts(taskmaster) == 1


def test_directories_that_appear_later_are_watched_with_what_is_in_them(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, config(watching("src/**/*.py"))) as taskmaster:
        up(taskmaster)
        (tmp_path / "new" / "one" / "two").mkdir(parents=True)
        (tmp_path / "new" / "one" / "two" / "a.py").write_text("")
        (tmp_path / "new").rename(tmp_path / "src")
        answered(taskmaster, tmp_path / "src/one/two/a.py")
        (tmp_path / "src" / "three" / "four").mkdir(parents=True)
        (tmp_path / "src" / "three" / "four" / "b.py").write_text("")
        answered(taskmaster, tmp_path / "src/three/four/b.py")
        (tmp_path / "src" / "three" / "four" / "b.py").write_text("more")
        answered(taskmaster, tmp_path / "src/three/four/b.py", 2)


def test_a_directory_that_is_replaced_is_watched_again(tmp_path: Path) -> None:
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / "src" / "deep" / "a").write_text("")
    with Taskmaster(tmp_path, config(watching("src/**"))) as taskmaster:
        up(taskmaster)
        shutil.rmtree(tmp_path / "src")
        until(lambda: restarts(taskmaster) == 1, "the restart for what is gone")
        (tmp_path / "src" / "deep").mkdir(parents=True)
        (tmp_path / "src" / "deep" / "b").write_text("")
        answered(taskmaster, tmp_path / "src/deep/b")
        (tmp_path / "src").rename(tmp_path / "old")
        answered(taskmaster, tmp_path / "src")
        (tmp_path / "src").mkdir()
        (tmp_path / "src" / "c").write_text("")
        answered(taskmaster, tmp_path / "src/c")
        count = restarts(taskmaster)
        (tmp_path / "old" / "deep" / "b").write_text("not ours any more")
        (tmp_path / "src" / "d").write_text("")
        answered(taskmaster, tmp_path / "src/d")
        assert restarts(taskmaster) == count + 1


def test_a_directory_by_two_names_is_heard_by_both(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "link").symlink_to("src")
    two = json.loads(config(watching("src/*")))
    two["tasks"]["other"] = {**two["tasks"]["web"], "watch": watching("link/*")}
    with Taskmaster(tmp_path, json.dumps(two)) as taskmaster:
        taskmaster.type("start all")
        taskmaster.wait_for(web="RUNNING", other="RUNNING")
        (tmp_path / "src" / "a").write_text("")
        answered(taskmaster, tmp_path / "src" / "a")
        answered(taskmaster, tmp_path / "link" / "a")


def test_a_signal_in_place_of_a_restart(tmp_path: Path) -> None:
    command = "trap 'echo heard >> heard' HUP; echo up; while :; do sleep 0.05; done"
    with Taskmaster(tmp_path, config(watching("app.conf", signal="HUP"), command=command)) as taskmaster:
        up(taskmaster)
        pid = taskmaster.pid("web")
        until(lambda: "up" in taskmaster.ask("logs web"), "the trap")
        (tmp_path / "app.conf").write_text("")
        until(lambda: (tmp_path / "heard").exists(), "the signal")
        assert re.search(r"INFO web signal: SIGHUP sent, by watch: /.*app.conf changed", taskmaster.log)
        assert taskmaster.pid("web") == pid


def test_what_failed_or_ended_is_started_again_and_what_was_stopped_is_not(tmp_path: Path) -> None:
    three = {
        "failed": {"command": "test -e app.py && exec sleep 1000"},
        "ended": {"command": "exit 0"},
        "stopped": {"command": "exec sleep 1000"},
        "never": {"command": "exec sleep 1000"},
    }
    keys = {"watch": watching("app.py"), "successfulStartTimeout": 0}
    text = json.dumps({"tasks": {name: {**each, **keys} for name, each in three.items()}})
    with Taskmaster(tmp_path, text) as taskmaster:
        for name in ("failed", "ended", "stopped"):
            taskmaster.type(f"start {name}")
        taskmaster.wait_for(failed="FATAL", ended="EXITED", stopped="RUNNING")
        taskmaster.type("stop stopped")
        taskmaster.wait_for(stopped="STOPPED")
        (tmp_path / "app.py").write_text("")
        taskmaster.wait_for(failed="RUNNING", ended="EXITED", stopped="STOPPED", never="STOPPED")
        until(lambda: len(re.findall("ended state: EXITED -> STARTED", taskmaster.log)) == 1, "the second run")


def test_logs_of_tasks_are_no_change(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    keys = {"stdout": "src/web.log", "stderr": "src/{instance}.err", "logMaxSize": 100, "logKeep": 2}
    command = "i=0; while [ $i -lt 200 ]; do echo a line of output; i=$((i+1)); done; echo err >&2; exec sleep 1000"
    text = config(watching("src"), command=command, **keys)
    with Taskmaster(tmp_path, text) as taskmaster:
        up(taskmaster)
        until(lambda: (tmp_path / "src" / "web.log.2").exists(), "rotations")
        taskmaster.ask("reopen-logs")
        (tmp_path / "src" / "last").write_text("")
        answered(taskmaster, tmp_path / "src" / "last")
        assert restarts(taskmaster) == 1


def test_a_task_that_writes_what_it_watches_is_let_alone(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    command = "echo $$ > src/pid; exec sleep 1000"
    with Taskmaster(tmp_path, config(watching("src"), command=command)) as taskmaster:
        up(taskmaster)
        until(lambda: "does it write that itself?" in taskmaster.log, "the end of the loop")
        assert 4 <= restarts(taskmaster) <= 6
        assert taskmaster.status()["web"]["status"] == "RUNNING"


def test_a_reload_changes_what_is_watched_and_restarts_nothing(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, config(watching("a"))) as taskmaster:
        up(taskmaster)
        pid = taskmaster.pid("web")
        taskmaster.write(config(watching("b")))
        assert "no restart" in taskmaster.ask("reload")
        (tmp_path / "a").write_text("")
        (tmp_path / "b").write_text("")
        answered(taskmaster, tmp_path / "b")
        assert restarts(taskmaster) == 1
        assert taskmaster.pid("web") != pid
        taskmaster.write(config(None))
        taskmaster.ask("reload")
        (tmp_path / "b").write_text("again")
        taskmaster.write(config(watching("c")))
        taskmaster.ask("reload")
        (tmp_path / "c").write_text("")
        answered(taskmaster, tmp_path / "c")
        assert restarts(taskmaster) == 2


def test_what_cannot_be_watched_is_told_with_the_reason(tmp_path: Path) -> None:
    """The kernel's limit cannot be reached without harm to others; our own can."""
    for number in range(8192):
        (tmp_path / "src" / str(number // 100) / str(number)).mkdir(parents=True)
    with Taskmaster(tmp_path, config(watching("src", "app.conf"))) as taskmaster:
        up(taskmaster)
        until(lambda: "not everything is watched" in taskmaster.log, "the limit")
        assert "more than 8192 directories would be watched; name fewer with 'watch'" in taskmaster.log
        assert taskmaster.log.count("not everything is watched") == 1
        os.rename(tmp_path / "src", tmp_path / "gone")
        (tmp_path / "app.conf").write_text("")
        until(lambda: restarts(taskmaster) >= 1, "what is watched")
