"""The tables of exit codes, signals, variables and files say what the programs do."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.build import task
from tm.cli import answer, ctl, event_log, follow, forms, oneshot, outcome, places, request, script, top
from tm.core import interface
from tm.core.interface import Entry, Exit
from tm.core.launch import launch
from tm.core.listening import Socket
from tm.daemon import service
from tm.daemon.answers import Outcome
from tm.edge import signals

ROOT = Path(__file__).resolve().parents[2]
SETUP = (ROOT / "setup.cfg").read_text(encoding="utf-8")
ALSO = {"NOT_LET": "NOT_ALLOWED"}
"""Where a module has another name for a code."""


def names(rows: Iterable[Entry]) -> list[str]:
    return [name for row in rows for name in row.names]


def codes(module: ModuleType) -> dict[str, int]:
    """The exit codes that a module names; what is negative is an error of the protocol."""
    named = {name: value for name, value in vars(module).items() if name.isupper() and not name.startswith("_")}
    return {ALSO.get(name, name): value for name, value in named.items() if type(value) is int and value >= 0}


def listed(rows: Iterable[Exit]) -> dict[str, int]:
    return {row.name: row.code for row in rows}


def test_the_exit_codes_of_the_daemon_are_those_of_the_code() -> None:
    assert listed(interface.DAEMON_EXITS) == codes(forms)


def test_the_exit_codes_of_the_client_are_those_of_the_code() -> None:
    used = {each.name: each.value for each in Outcome}
    for module in (ctl, outcome, answer, oneshot, request, follow, script, top):
        for name, code in codes(module).items():
            assert used.setdefault(name, code) == code, module.__name__
    assert used == listed(interface.CLIENT_EXITS)


@pytest.mark.parametrize("rows", [interface.DAEMON_EXITS, interface.CLIENT_EXITS])
def test_an_exit_code_is_listed_once_and_in_order(rows: tuple[Exit, ...]) -> None:
    listed = [row.code for row in rows]
    assert listed == sorted(set(listed))


def test_every_signal_that_is_handled_or_ignored_is_listed() -> None:
    """SIGCHLD is the children's and nobody's to send."""
    handled = {*signals.HANDLED, *signals._IGNORED} - {signal.SIGCHLD}
    assert sorted(names(interface.SIGNALS)) == sorted(each.name for each in handled)
    idle = ("SIGCONT", "SIGWINCH", "SIGTSTP", "SIGTTIN", "SIGTTOU")
    assert set(names(interface.SIGNALS)) - set(idle) == {signal.Signals(each).name for each in service.ACTED_ON}


def test_every_variable_that_is_read_is_listed_and_no_other() -> None:
    """HOME is what `~` stands for; TASKMASTER_FAULT is for tests alone."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tm").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'environ(?:\.get\(|\[)"(\w+)"', text)}
    known = names((*interface.DAEMON_VARIABLES, *interface.CLIENT_VARIABLES))
    assert set(known) == (read | {"HOME"}) - {"TASKMASTER_FAULT"}


def test_what_a_process_is_given_is_listed() -> None:
    marks = ["TASKMASTER_GENERATION", "TASKMASTER_STATE", "TASKMASTER_DAEMON", "LISTEN_PID", "NOTIFY_SOCKET", *WATCHED]
    web = task(sockets=(Socket("http", "127.0.0.1", 80),))
    assert sorted(names(interface.CHILD_VARIABLES)) == sorted([*launch(web, 1, {}).environment, *marks])


WATCHED = ("WATCHDOG_USEC", "WATCHDOG_PID")


def test_what_a_process_with_a_watchdog_is_given_more() -> None:
    plain, watched = launch(task(), 1, {}), launch(task(watchdog_s=2.5), 1, {})
    assert dict(watched.environment) == {**plain.environment, "WATCHDOG_USEC": "2500000"}
    assert (watched.speaks, watched.pid_variables) == (True, ("WATCHDOG_PID",))
    assert (plain.speaks, plain.pid_variables, plain.needs_fork) == (False, (), False)


@pytest.mark.parametrize(
    ("uid", "environ"),
    [(0, {}), (7, {"XDG_RUNTIME_DIR": "$XDG_RUNTIME_DIR"})],
)
def test_socket_and_pidfile_are_where_the_table_says(
    monkeypatch: pytest.MonkeyPatch, uid: int, environ: Mapping[str, str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    socket, pidfile = (find("/etc/NAME.yaml", environ) for find in (places.socket_path, places.pidfile_path))
    assert {socket, pidfile} <= set(names(interface.DAEMON_FILES))
    assert socket in names(interface.CLIENT_FILES)


def test_without_a_runtime_directory_they_are_where_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 7)
    directory = places.runtime_directory({}).replace("7", "UID")
    for rows in (interface.DAEMON_FILES, interface.CLIENT_FILES):
        assert any(f"`{directory}`" in row.doc for row in rows)


def test_the_log_of_the_daemon_is_where_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    (entry,) = [each for each in interface.DAEMON_FILES if places.log_path("/etc/NAME.yaml", "STATE") in each.names]
    monkeypatch.setattr("os.geteuid", lambda: 7)
    assert f"`{places.log_path('/etc/NAME.yaml', 'STATE').removeprefix('STATE/')}`" in entry.doc


@pytest.mark.parametrize(
    ("uid", "own", "listed"),
    [
        (0, "/var/lib/taskmaster/NAME", "/var/lib/taskmaster/NAME/"),
        (7, "$XDG_STATE_HOME/taskmaster/NAME-HASH", "$XDG_STATE_HOME/taskmaster/NAME-HASH/"),
    ],
)
def test_state_is_where_the_table_says(monkeypatch: pytest.MonkeyPatch, uid: int, own: str, listed: str) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    found = places.state_directory("/etc/NAME.yaml", {"XDG_STATE_HOME": "$XDG_STATE_HOME"})
    assert re.sub(r"-[0-9a-f]{12}$", "-HASH", found) == own
    assert listed in names(interface.DAEMON_FILES)
    history = places.history_path({"XDG_STATE_HOME": "$XDG_STATE_HOME"})
    assert history in names(interface.CLIENT_FILES)


def test_the_names_of_files_in_the_current_directory_are_those_of_the_code() -> None:
    known = names(interface.DAEMON_FILES)
    assert {f"./{places.EXAMPLE}", f"./{event_log.DEFAULT_LOG}", "./taskmaster.yaml"} <= set(known)
    assert set(places.searched({})) == {"taskmaster.yaml", "/etc/taskmaster.yaml"}


def test_installed_files_are_installed_there() -> None:
    installed = {
        f"PREFIX/{folder}/{line.strip().rpartition('/')[2]}"
        for folder, lines in re.findall(r"^(share/\S+) =\n((?: +\S+\n)+)", SETUP, re.M)
        for line in lines.splitlines()
    }
    named = [name for name in names((*interface.DAEMON_FILES, *interface.CLIENT_FILES)) if name.startswith("PREFIX")]
    assert len(named) == 4
    for name in named:
        assert any(each == name or (name.endswith("/") and each.startswith(name)) for each in installed), name
