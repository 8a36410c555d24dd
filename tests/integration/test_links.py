"""Links where a log was, put there by somebody who can write to its directory: nobody follows them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.client import Daemon
from tests.waiting import until

CONFIG = """
    defaults: {successfulStartTimeout: 0, autoLaunch: true}
    tasks:
      web: {command: "exec tail -n +1 -f input", stdout: open/web.log, logMaxSize: 100000, logKeep: 3}
"""
SECRET = "root:$6$secret\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a directory that everybody can write to, and a log in it that is a link to another's file."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "input").write_text("hello\n")
    (tmp_path / "shadow").write_text(SECRET)
    (tmp_path / "shadow.1").write_text(SECRET)
    return tmp_path


def test_what_a_link_leads_to_is_not_read_rotated_or_removed(home: Path) -> None:
    with Daemon(home, CONFIG) as daemon:
        log = home / "open" / "web.log"
        until(lambda: daemon.ctl("logs", "web").stdout == "hello\n", "output")
        os.rename(log, home / "open" / "away.log")
        os.symlink(home / "shadow", log)
        done = daemon.ctl("logs", "web", "--all")
        assert (done.returncode, done.stdout) == (1, "")
        assert "cannot be read" in done.stderr
        with open(home / "input", "a") as file:
            file.write(("x" * 99 + "\n") * 1500)
        until(lambda: (home / "open" / "web.log.1").is_symlink() or len([*home.glob("shadow*")]) > 2, "a rotation")
        daemon.ctl("clear-logs", "web")
        assert (home / "shadow").read_text() == (home / "shadow.1").read_text() == SECRET
        assert sorted(each.name for each in home.glob("shadow*")) == ["shadow", "shadow.1"]


def test_a_link_in_the_place_of_a_rotated_log_is_not_read(home: Path) -> None:
    with Daemon(home, CONFIG) as daemon:
        until(lambda: daemon.ctl("logs", "web").stdout == "hello\n", "output")
        os.symlink(home / "shadow", home / "open" / "web.log.1")
        assert daemon.ctl("logs", "web").stdout == "hello\n"
