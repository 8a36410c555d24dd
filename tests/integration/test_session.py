"""A session as the README shows it: the real program at a real terminal, with programs as people have them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.driver import PROGRAM, alive, environment
from tests.terminal import PROMPT, SHELL_PROMPT, Terminal, family, marked, terminal_of
from tests.waiting import until

WORKERS = [f"worker_{n}" for n in range(1, 6)]
READLINE, COOKED = "xterm", "dumb"

PROGRAMS = {
    "worker.py": """
        import itertools, os, signal, time
        signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
        for n in itertools.count(1):
            print(os.environ["TASKMASTER_INSTANCE"], "line", n, flush=True)
            time.sleep(0.2)
    """,
    "crasher.py": """
        import random, sys, time
        with open("lives", "a+") as lives:
            lives.write("*")
            chance = random.Random(lives.tell())
        time.sleep(0.5 + chance.random())
        sys.exit("lost my way")
    """,
    "stubborn.py": """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("never", flush=True)
        while True:
            signal.pause()
    """,
}
NGINX = """
    pid nginx.pid;
    error_log stderr;
    {user}
    events {{}}
    http {{
      access_log off;
      client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
      server {{ listen 127.0.0.1:{port}; root html; }}
    }}
"""
TASKS = {
    "nginx": "{command: nginx -e stderr -p . -c nginx.conf -g 'daemon off;', stopSignal: QUIT}",
    "worker": '{command: python worker.py, instances: 5, stdout: "{instance}.log"}',
    "crasher": "{command: python crasher.py}",
    "stubborn": "{command: python stubborn.py, gracefulStopTimeout: 4}",
    "missing": "{command: no-such-program, restart: never}",
}
DEFAULTS = "defaults: {autoLaunch: true, restart: always, successfulStartTimeout: 0.1}\n"


class House:
    """A directory with the programs, and what happens in it at terminals."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = _free_port()
        for name, text in PROGRAMS.items():
            (home / name).write_text("\n".join(line[8:] for line in text.splitlines()))
        (home / "html").mkdir()
        (home / "html" / "index.html").write_text("<p>kept running</p>\n")
        (home / "nginx.conf").write_text(NGINX.format(port=self.port, user="user root;" * (os.geteuid() == 0)))
        (home / "bin").mkdir()
        (home / "bin" / "python").symlink_to(sys.executable)
        self.terminals: list[Terminal] = []

    def configure(self, **tasks: str) -> None:
        """Write `web.yaml`."""
        text = "".join(f"  {name}: {task}\n" for name, task in tasks.items())
        (self.home / "web.yaml").write_text(f"{DEFAULTS}tasks:\n{text}")

    @property
    def command(self) -> list[str]:
        return [*PROGRAM, "--state-dir", "state", "--socket", "control.sock", "web.yaml"]

    def terminal(self, *command: str, term: str = READLINE) -> Terminal:
        """`command` at a terminal, as it would be typed."""
        variables = environment(self.home) | {"TERM": term}
        variables["PATH"] = f"{self.home / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
        self.terminals.append(Terminal(list(command), self.home, variables))
        return self.terminals[-1]

    def begin(self, term: str = READLINE) -> Terminal:
        """The program itself as the terminal's session, up to its prompt."""
        terminal = self.terminal(*self.command, term=term)
        terminal.until_shown(f"^{PROMPT.rstrip()}$")
        return terminal

    def log(self) -> str:
        return (self.home / "taskmaster.log").read_text()

    def everybody(self, terminal: Terminal) -> set[int]:
        """All processes of a session, of nginx's workers too, whose environment cannot be read any more."""
        return family(terminal.program.pid) | marked(terminal.mark)

    def empty(self, terminal: Terminal, everybody: set[int]) -> None:
        """Nothing is left of a session in /proc."""
        assert not {pid for pid in everybody if alive(pid)}
        assert not marked(terminal.mark)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    for terminal in house.terminals:
        terminal.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# ---- the whole of it


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_a_session_as_the_readme_shows_it(house: House) -> None:
    house.configure(**TASKS)
    terminal = house.terminal("sh", "-i")
    terminal.until_shown(f"^{SHELL_PROMPT.rstrip()}$")
    modes = terminal.modes()
    terminal.type(shlex.join(house.command) + "\r")
    terminal.until_shown("^Taskmaster .*web.yaml, 5 task.s., 9 process")
    terminal.until_shown(f"^{PROMPT.rstrip()}$")

    sees_the_table(terminal)
    fetches_a_page(house)
    kills_a_worker_from_outside(terminal)
    completes_words(terminal)
    reads(terminal)
    stops_and_starts(terminal)
    stops_the_stubborn(terminal)
    drops_a_line(terminal)
    reloads(house, terminal)

    everybody = house.everybody(terminal) - {terminal.program.pid}
    assert len(everybody) >= len(terminal.status()) + 2
    terminal.type("exit\r")
    terminal.until_shown(rf"^Exiting Taskmaster\.\.\.\n(.*\n)*{SHELL_PROMPT.rstrip()}$")
    assert terminal.ask("echo code $?", SHELL_PROMPT) == "code 0"
    assert terminal.modes() == modes
    assert not {pid for pid in everybody if alive(pid)}
    assert marked(terminal.mark) == {terminal.program.pid}


def sees_the_table(terminal: Terminal) -> None:
    up = dict.fromkeys(["nginx", *WORKERS, "stubborn"], "RUNNING")
    table = terminal.wait_for(**up, missing="FATAL")
    assert list(table) == ["nginx", *WORKERS, "crasher", "stubborn", "missing"]
    shown = terminal.ask("status")
    assert re.search("^Task +Status +PID +Uptime +Restarts +Command$", shown, re.M)
    assert re.search("^missing +FATAL +- +- +0 +no-such-program$", shown, re.M)
    below = re.search(r"^missing: (.*)", shown, re.M)
    assert below
    assert below[1].startswith("command 'no-such-program' not found on PATH; ")
    assert below[1].endswith("; type: start missing")
    assert "web.yaml:7" in below[1]
    for name, (_, pid) in table.items():
        assert pid is None or terminal_of(pid) == 0, f"{name} could be reached by Ctrl-C"


def fetches_a_page(house: House) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{house.port}/", timeout=20) as page:
        assert page.status == 200
        assert b"kept running" in page.read()


def kills_a_worker_from_outside(terminal: Terminal) -> None:
    _, pid = terminal.status()["worker_3"]
    assert pid is not None
    terminal.type("stop half-typ")
    terminal.until_shown(f"^{PROMPT}stop half-typ$")
    os.kill(pid, signal.SIGKILL)
    found = terminal.until_shown(
        r"^Process 'worker_3' ended unexpectedly: signal SIGKILL after .*; starting it again\n"
        rf"(?:.*\n)*?Process 'worker_3' started with PID (\d+)\n(?:.*\n)*{PROMPT}stop half-typ$"
    )
    assert int(found[1]) != pid
    terminal.type("\x01xyz \x05ed\r")
    terminal.until_shown(f"^{PROMPT}xyz stop half-typed\nUnknown command: xyz\\.")
    assert terminal.status()["worker_3"][1] == int(found[1])


def completes_words(terminal: Terminal) -> None:
    terminal.type("\x15rest\tstub\t")
    terminal.until_shown(f"^{PROMPT}restart stubborn$")
    terminal.type("\x15sta\t\t")
    terminal.until_shown(f"^start +status *\n(?:.*\n)*{PROMPT}sta$")
    terminal.type("\x15logs work\t_\t\t")
    terminal.until_shown(f"^{' +'.join(WORKERS)} *\n(?:.*\n)*{PROMPT}logs worker_$")
    terminal.type("\x15")


def reads(terminal: Terminal) -> None:
    lines = until(lambda: len(found := terminal.ask("logs worker_2 3").splitlines()) >= 3 and found, "three lines")
    numbers = [int(n) for n in re.findall(r"(?m)^worker_2 line (\d+)$", "\n".join(lines))]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    until(lambda: "lost my way" in terminal.ask("logs crasher --stderr 1"), "the last words of the crasher")
    shown = terminal.ask("show worker_1")
    assert re.search(r"^worker_1: RUNNING for \d+s\n  configuration$", shown, re.M)
    assert re.search(r"^    instances +5  \(web.yaml:4\)$", shown, re.M)
    assert re.search(r"^    worker_1 line \d+$", shown, re.M)
    assert re.search(
        r"worker_3 state: RUNNING -> BACKOFF .reaped., pid \d+, signal SIGKILL", terminal.ask("events worker_3")
    )
    terminal.type("logs worker_4 1 -f\r")
    terminal.until_shown(r"(?:^worker_4 line \d+\n){4}(?:.*\n)*" + PROMPT.rstrip())
    terminal.type("\x03")
    terminal.until_shown(rf"^{PROMPT}\^C\n{PROMPT.rstrip()}$")


def stops_and_starts(terminal: Terminal) -> None:
    terminal.type("stop worker_5\r")
    terminal.until_shown("^Process 'worker_5' stopped gracefully$")
    assert terminal.status()["worker_5"] == ("STOPPED", None)
    assert "Process 'worker_5' is not running" in terminal.ask("stop worker_5")
    terminal.type("start worker_5\r")
    pid = terminal.until_shown(rf"^{PROMPT}start worker_5\n(?:.*\n)*?Process 'worker_5' started with PID (\d+)$")[1]
    assert "Process 'worker_5' is already running" in terminal.ask("start worker_5")
    terminal.type("restart worker_5\r")
    terminal.until_shown(
        f"^{PROMPT}restart worker_5\n(?:.*\n)*?Process 'worker_5' stopped gracefully\n"
        rf"(?:.*\n)*?Process 'worker_5' started with PID (?!{pid}$)\d+$"
    )


def stops_the_stubborn(terminal: Terminal) -> None:
    """The prompt answers while the grace runs."""
    assert "never" in terminal.ask("logs stubborn")
    _, pid = terminal.status()["stubborn"]
    assert "Process 'stubborn'" not in terminal.ask("stop stubborn")
    assert terminal.status()["stubborn"] == ("STOPPING", pid)
    terminal.until_shown(
        r"^Process 'stubborn' did not stop in time, killing\.\.\.\n(?:.*\n)*?Process 'stubborn' was killed$"
    )
    assert terminal.status()["stubborn"] == ("STOPPED", None)
    terminal.ask("start stubborn")
    terminal.wait_for(stubborn="RUNNING")


def drops_a_line(terminal: Terminal) -> None:
    before = {name: pid for name, (_, pid) in terminal.status().items() if name != "crasher"}
    terminal.type("stop all\x03")
    terminal.until_shown(rf"^{PROMPT}stop all\^C\n(?:.*\n)*{PROMPT.rstrip()}$")
    after = terminal.status()
    assert {name: after[name][1] for name in before} == before
    assert "interrupted" not in terminal.ask("logs worker 1000")


def reloads(house: House, terminal: Terminal) -> None:
    before = terminal.status()
    tasks = TASKS | {"missing": "{command: sleep 1000}", "added": "{command: sleep 1001}"}
    del tasks["crasher"]
    house.configure(**tasks)
    assert re.search("^Newer on disk than what runs: .*web.yaml; type: reload --dry-run$", terminal.ask("status"), re.M)
    plan = [
        "stop     crasher: no longer in the file",
        "restart  missing: command changed",
        "add      added: start 1 instance",
    ]
    terminal.type("reload --dry-run\r")
    terminal.until_shown(f"^{PROMPT}reload --dry-run\n(?:Process .*\n)*" + "\n".join(plan))
    assert "added" not in terminal.status()
    terminal.type("reload\r")
    terminal.until_shown(
        f"^{PROMPT}reload\n(?:Process .*\n)*Configuration reloaded\\.\n" + "\n".join(f"  {line}" for line in plan)
    )
    until(lambda: "crasher" not in terminal.status(), "the end of the removed task")
    after = terminal.wait_for(missing="RUNNING", added="RUNNING")
    for name in ("nginx", *WORKERS, "stubborn"):
        assert after[name] == before[name]


# ---- its ends


SMALL = {"worker": TASKS["worker"], "stubborn": TASKS["stubborn"].replace("Timeout: 4", "Timeout: 0.5")}


def begun(house: House, term: str = READLINE) -> tuple[Terminal, set[int]]:
    """A session of workers and a stubborn one, and all its processes."""
    house.configure(**SMALL, family="{command: 'sleep 1002 & sleep 1003 & wait'}")
    terminal = house.begin(term)
    terminal.wait_for(**dict.fromkeys([*WORKERS, "stubborn", "family"], "RUNNING"))
    until(lambda: "never" in terminal.ask("logs stubborn"), "the stubborn one is ready for it")
    everybody = until(lambda: len(found := house.everybody(terminal)) >= 10 and found, "workers and descendants")
    return terminal, everybody


@pytest.mark.parametrize("term", [READLINE, COOKED])
@pytest.mark.parametrize("keys", ["exit\r", "quit\r", "\x04"])
def test_leaving_leaves_nothing(house: House, term: str, keys: str) -> None:
    terminal, everybody = begun(house, term)
    terminal.type(keys)
    assert terminal.exit_code() == 0
    house.empty(terminal, everybody)


@pytest.mark.parametrize("term", [READLINE, COOKED])
def test_a_hang_up_of_the_terminal_leaves_nothing(house: House, term: str) -> None:
    terminal, everybody = begun(house, term)
    assert terminal.hang_up() == 0
    house.empty(terminal, everybody)
    assert "shutdown: asked for by the hang-up of the terminal" in house.log()


def test_a_hang_up_while_it_leaves_does_not_leave_sooner(house: House) -> None:
    terminal, everybody = begun(house)
    terminal.type("exit\r")
    terminal.until_shown("^Exiting Taskmaster")
    assert terminal.hang_up() == 0
    house.empty(terminal, everybody)
    assert "asked again" not in house.log()


def test_ctrl_c_while_it_leaves_is_a_request_to_hurry(house: House) -> None:
    house.configure(stubborn=TASKS["stubborn"].replace("Timeout: 4", "Timeout: 1h"))
    terminal = house.begin()
    until(lambda: "never" in terminal.ask("logs stubborn"), "the stubborn one is ready for it")
    everybody = house.everybody(terminal)
    terminal.type("exit\r")
    terminal.until_shown("^Exiting Taskmaster")
    until(lambda: "-> STOPPING" in house.log(), "on its way down")
    terminal.type("\x03")
    terminal.until_shown("Process 'stubborn' was killed$")
    assert terminal.exit_code() == 0
    house.empty(terminal, everybody)


@pytest.mark.parametrize("term", [READLINE, COOKED])
def test_ctrl_c_reaches_neither_daemon_nor_children(house: House, term: str) -> None:
    house.configure(worker=TASKS["worker"])
    terminal = house.begin(term)
    before = terminal.wait_for(**dict.fromkeys(WORKERS, "RUNNING"))
    terminal.type("stop all\x03")
    terminal.until_shown(rf"^{PROMPT}stop all\^C\n{PROMPT.rstrip()}\Z")
    terminal.type("\x03")
    terminal.until_shown(rf"^{PROMPT}\^C\n{PROMPT.rstrip()}\Z")
    assert terminal.status() == before
    assert "interrupted" not in terminal.ask("logs worker 1000")
    assert "SIGINT" not in house.log()
    assert {terminal_of(pid) for _, pid in before.values() if pid} == {0}
    terminal.type("exit\r")
    assert terminal.exit_code() == 0


# ---- job control


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_job_in_the_background_keeps_off_the_terminal_until_it_is_fetched(house: House, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    house.configure(worker=TASKS["worker"])
    terminal = house.terminal(shell, *["--norc"] * (shell == "bash"), "-i")
    terminal.until_shown(f"{SHELL_PROMPT.rstrip()}$")
    terminal.type(shlex.join(house.command) + " &\r")
    terminal.until_shown("^Process 'worker_5' started with PID")
    terminal.type("\r")
    terminal.until_shown(f"^{SHELL_PROMPT.rstrip()}\\Z")
    assert terminal.ask("echo $((40 + 2))", SHELL_PROMPT) == "42"
    assert "Running" in terminal.ask("jobs", SHELL_PROMPT)
    assert PROMPT.rstrip() not in "\n".join(terminal.look())
    pids = [int(pid) for pid in re.findall(r"worker_\d state: STARTED .spawned., pid (\d+)", house.log())]
    assert len(pids) == 5
    terminal.type("fg\r")
    until(lambda: os.tcgetpgrp(terminal.program.child_fd) != terminal.program.pid, "the job in front")
    terminal.type("\r")
    terminal.until_shown(f"^{PROMPT.rstrip()}$")
    assert [pid for _, pid in terminal.wait_for(**dict.fromkeys(WORKERS, "RUNNING")).values()] == pids
    terminal.type("exit\r")
    terminal.until_shown(rf"^Exiting Taskmaster\.\.\.\n(.*\n)*{SHELL_PROMPT.rstrip()}$")
    assert not {pid for pid in pids if alive(pid)}


def test_stop_signals_of_the_terminal_harm_nothing(house: House) -> None:
    house.configure(worker=TASKS["worker"])
    terminal = house.begin()
    before = terminal.wait_for(**dict.fromkeys(WORKERS, "RUNNING"))
    terminal.type("sta\x1a")
    for signum in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        os.kill(terminal.program.pid, signum)
    terminal.type("tus\r")
    terminal.until_shown(f"^{PROMPT}status\nTask ")
    assert terminal.status() == before
    os.kill(terminal.program.pid, signal.SIGSTOP)
    terminal.type("stat")
    os.kill(terminal.program.pid, signal.SIGCONT)
    terminal.until_shown(f"^{PROMPT}stat$")
    terminal.type("us\r")
    terminal.type("exit\r")
    assert terminal.exit_code() == 0


# ---- from one session to the next


def test_history_is_kept(house: House) -> None:
    house.configure(sleeper="{command: sleep 1004}")
    terminal = house.begin()
    terminal.ask("status sleeper")
    terminal.type("exit\r")
    assert terminal.exit_code() == 0
    terminal = house.begin()
    terminal.type("\x1b[A\x1b[A")
    terminal.until_shown(f"^{PROMPT}status sleeper$")
    terminal.type("\r\x04")
    assert terminal.exit_code() == 0
    assert (house.home / "state" / "history").read_text() == "status sleeper\nexit\nstatus sleeper\n"


@pytest.mark.parametrize("term", [READLINE, COOKED])
def test_the_terminal_is_left_as_it_was_found(house: House, term: str) -> None:
    house.configure(sleeper="{command: sleep 1005}")
    terminal = house.terminal("sh", "-i", term=term)
    terminal.until_shown(f"^{SHELL_PROMPT.rstrip()}$")
    found = terminal.modes()
    terminal.type(shlex.join(house.command) + "\r")
    terminal.until_shown(f"^{PROMPT.rstrip()}$")
    assert terminal.modes() != found
    terminal.type("half\x03exit\r")
    terminal.until_shown(rf"^Exiting Taskmaster\.\.\.\n(.*\n)*{SHELL_PROMPT.rstrip()}$")
    assert terminal.modes() == found
