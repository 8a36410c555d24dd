"""etc/ for real, as far as this machine goes: sysv and OpenRC through a life, and what the others' own tools say."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.driver import PROGRAM, ROOT, alive, environment, kill_all
from tests.waiting import until

ETC = ROOT / "etc"
CONFIG = "tasks: {web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}}\n"
PARTLY = """tasks:
  web: {command: sleep 1000, autoLaunch: true}
  missing: {command: /no/such/program, autoLaunch: true, restart: never}
"""


def needs(program: str) -> pytest.MarkDecorator:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return pytest.mark.skipif(shutil.which(program, path=path) is None, reason=f"there is no {program} here")


# ---- sysv


class Script:
    """An init script that runs a taskmaster with everything of it in `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.pidfile = home / "run" / "web.pid"
        self.program = home / "taskmaster.sh"
        self.program.write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
        self.program.chmod(0o755)
        self.config = home / "web.yaml"
        self.config.write_text(CONFIG)
        self.options = f"--state-dir {home}/state --socket {home}/control.sock --logfile {home}/web.log"
        self.command = self.install()

    def install(self) -> list[str]:
        """Put the script and its settings into `home`; what runs it, but for the verb."""
        (self.home / "default").write_text(
            f"DAEMON={self.program}\nCONFIG={self.config}\nPIDFILE={self.pidfile}\nSTOP_TIMEOUT=20\n"
            f'OPTIONS="{self.options}"\n'
        )
        text = (ETC / "init.d" / "taskmaster").read_text()
        assert text.count("/etc/default/taskmaster ]") == 1
        path = self.home / "script"
        path.write_text(text.replace("/etc/default/taskmaster", str(self.home / "default")))
        path.chmod(0o755)
        return [str(path)]

    def __call__(self, verb: str) -> tuple[int, str]:
        """Its exit code, and what it says."""
        done = subprocess.run(
            [*self.command, verb],
            cwd="/",
            env=environment(self.home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def pid(self) -> int:
        return int(self.pidfile.read_text())

    @property
    def log(self) -> str:
        return (self.home / "web.log").read_text()

    def kill(self) -> None:
        """A crash: guardian and daemon and what they keep are killed."""
        daemon = self.pid
        children = [int(pid) for pid in re.findall(r"\(spawned\), pid (\d+)", self.log)]
        kill_all(daemon)
        until(lambda: gone(daemon), "its death, and that somebody has taken note of it")
        for child in filter(alive, children):
            os.kill(child, signal.SIGKILL)


class OpenRC(Script):
    """The OpenRC script by openrc-run, in a room whose /run, with OpenRC's record, and /etc/init.d are in `home`."""

    def install(self) -> list[str]:
        for name in RECORD:
            (self.home / "run" / "openrc" / name).mkdir(parents=True)
        (self.home / "run" / "openrc" / "softlevel").touch()  # as if OpenRC had booted this machine
        self.pidfile = self.home / "run" / "taskmaster" / "taskmaster.pid"
        for name in ("init.d", "conf.d"):
            (self.home / name).mkdir()
        (self.home / "conf.d" / "taskmaster").write_text(
            f'command={self.program}\ntaskmaster_config={self.config}\ncommand_args="{self.options}"\n'
        )
        path = self.home / "init.d" / "taskmaster"
        shutil.copy(ETC / "openrc" / "taskmaster", path)
        return [*ROOM, str(self.home), str(path)]


RECORD = ("daemons", "exclusive", "failed", "hotplugged", "inactive", "options", "scheduled", "started", "starting")
RECORD += ("stopping", "tmp", "wasinactive")
ROOM = ("unshare", "--mount", "sh", "-c")
ROOM += ('mount --bind "$0/run" /run && mount --bind "$0/init.d" /etc/init.d && exec "$@"',)


def without_openrc() -> str:
    """Why the OpenRC script cannot be run here, or nothing."""
    if shutil.which("openrc-run", path="/sbin:/usr/sbin") is None:
        return "there is no openrc-run here"
    if subprocess.run(
        ["unshare", "--mount", "mount", "--bind", "/run", "/run"], capture_output=True, check=False
    ).returncode:
        return "openrc-run writes into /run, and no other can be mounted here"
    return ""


def gone(pid: int) -> bool:
    """Whether there is no process of that number, not even a dead one that nobody has waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    made = Script(tmp_path)
    yield made
    made("stop")


@needs("start-stop-daemon")
def test_sysv_through_a_life(script: Script) -> None:
    assert script("status") == (3, "taskmaster is not running.\n")
    assert script("stop") == (0, "taskmaster is not running.\n")
    code, told = script("start")
    first = script.pid
    assert (code, told) == (0, f"taskmaster is running, as pid {first}.\n")
    assert script("status") == (0, f"taskmaster is running, as pid {first}.\n")
    assert script("start") == (0, f"taskmaster is running already, as pid {first}.\n")
    assert script("reload")[0] == 0
    until(lambda: "reload: nothing changed, by SIGHUP" in script.log, "a reload")
    assert script.pid == first
    assert script("restart")[0] == 0
    second = script.pid
    assert second != first
    assert not alive(first)
    assert script("try-restart")[0] == 0
    assert script.pid != second
    assert script("stop") == (0, "taskmaster has stopped.\n")
    assert not script.pidfile.exists()
    assert script("status")[0] == 3
    assert script("try-restart")[0] == 0
    assert not script.pidfile.exists()


@needs("start-stop-daemon")
def test_sysv_after_a_crash(script: Script) -> None:
    assert script("start")[0] == 0
    first = script.pid
    script.kill()
    assert script("status") == (1, f"taskmaster is not running, but {script.pidfile} is there.\n")
    assert script("start")[0] == 0
    assert script.pid != first


@needs("start-stop-daemon")
def test_sysv_never_takes_a_stranger_for_the_daemon(script: Script) -> None:
    script.pidfile.parent.mkdir()
    script.pidfile.write_text(f"{os.getpid()}\n")
    assert script("status")[0] in (1, 3)
    assert script("stop")[0] == 0
    assert script("reload")[0] == 7
    assert script("start")[0] == 0
    assert script.pid != os.getpid()


@needs("start-stop-daemon")
def test_sysv_tells_what_is_wrong_and_does_not_stop_for_a_configuration_that_cannot_start(script: Script) -> None:
    assert script("start")[0] == 0
    pid = script.pid
    script.config.write_text("tasks: {web: {comand: x}}\n")
    for verb in ("restart", "reload"):
        code, told = script(verb)
        assert code != 0
        assert re.search(r"web\.yaml:1:\d+: unknown key 'comand' in task 'web'", told)
    assert alive(pid)
    script("stop")
    code, told = script("start")
    assert code != 0
    assert re.search(r"web\.yaml:1:\d+: unknown key 'comand' in task 'web'", told)


@needs("start-stop-daemon")
def test_sysv_a_daemon_that_is_up_has_started_though_a_program_of_its_configuration_has_not(script: Script) -> None:
    script.config.write_text(PARTLY)
    code, told = script("start")
    assert code == 0
    assert re.search(r"'missing' failed to start: command '/no/such/program' .*web\.yaml:3", told)
    assert f"taskmaster is running, as pid {script.pid}, but not everything that it should start.\n" in told
    assert script("status")[0] == 0


def test_sysv_usage_and_header(script: Script) -> None:
    assert script("nonsense")[0] == 2
    text = (ETC / "init.d" / "taskmaster").read_text()
    header = text.split("### BEGIN INIT INFO\n")[1].split("### END INIT INFO")[0]
    keys = set(re.findall(r"(?m)^# ([A-Z][A-Za-z-]+):", header))
    assert {"Provides", "Required-Start", "Required-Stop", "Default-Start", "Default-Stop"} <= keys
    assert {"Short-Description", "Description"} <= keys
    assert re.search(r"(?m)^# Provides: +taskmaster$", header)


@pytest.mark.parametrize("name", ["init.d/taskmaster", "openrc/taskmaster"])
def test_scripts_are_posix_shell(name: str) -> None:
    subprocess.run(["sh", "-n", str(ETC / name)], check=True, timeout=20)
    assert os.access(ETC / name, os.X_OK)


@needs("shellcheck")
@pytest.mark.parametrize("name", ["init.d/taskmaster", "openrc/taskmaster"])
def test_shellcheck_has_nothing_to_say(name: str) -> None:
    subprocess.run(["shellcheck", "-s", "sh", str(ETC / name)], check=True, timeout=60)


# ---- OpenRC


@pytest.fixture
def openrc(tmp_path: Path) -> Iterator[OpenRC]:
    if why := without_openrc():
        pytest.skip(why)
    made = OpenRC(tmp_path)
    yield made
    made("stop")


def test_openrc_through_a_life(openrc: OpenRC) -> None:
    assert openrc("checkconfig") == (0, f"{openrc.config}: no problems, 1 task(s).\n")
    assert openrc("status")[0] == 3
    assert openrc("reload")[0] == 1
    assert openrc("start")[0] == 0
    first = openrc.pid
    assert alive(first)
    assert openrc("status")[0] == 0
    assert openrc("start")[0] == 0
    assert openrc("reload")[0] == 0
    until(lambda: "reload: nothing changed, by SIGHUP" in openrc.log, "a reload")
    assert openrc.pid == first
    assert openrc("restart")[0] == 0
    second = openrc.pid
    assert second != first
    assert not alive(first)
    assert openrc("stop")[0] == 0
    assert not alive(second)
    assert not openrc.pidfile.exists()
    assert openrc("status")[0] == 3
    assert "Read the configuration again" in openrc("describe")[1]


def test_openrc_after_a_crash(openrc: OpenRC) -> None:
    assert openrc("start")[0] == 0
    openrc.kill()
    openrc.pidfile.write_text(f"{os.getpid()}\n")
    code, told = openrc("status")
    assert (code, "crashed" in told) == (32, True)
    assert openrc("reload")[0] == 1
    assert openrc("restart")[0] == 0
    assert openrc.pid != os.getpid()
    assert openrc("status")[0] == 0


def test_openrc_does_not_stop_for_a_configuration_that_cannot_start(openrc: OpenRC) -> None:
    assert openrc("start")[0] == 0
    pid = openrc.pid
    openrc.config.write_text("tasks: {web: {comand: x}}\n")
    for verb in ("restart", "reload"):
        code, told = openrc(verb)
        assert code == 1
        assert re.search(r"web\.yaml:1:\d+: unknown key 'comand' in task 'web'", told)
    assert alive(pid)
    assert openrc("status")[0] == 0
    assert openrc("stop")[0] == 0
    assert openrc("start")[0] == 1
    assert openrc("status")[0] == 3


def test_openrc_a_daemon_that_is_up_has_started_though_a_program_of_its_configuration_has_not(openrc: OpenRC) -> None:
    openrc.config.write_text(PARTLY)
    code, told = openrc("start")
    assert code == 0
    assert re.search(r"'missing' failed to start: command '/no/such/program' .*web\.yaml:3", told)
    assert openrc("status")[0] == 0


# ---- systemd, launchd, logrotate


@needs("systemd-analyze")
@pytest.mark.parametrize("name", ["taskmaster.service", "taskmaster-forking.service", "taskmaster.socket"])
def test_systemd_finds_no_fault(tmp_path: Path, name: str) -> None:
    """The program need not be installed: its place is the only thing that is changed."""
    program = tmp_path / "taskmaster"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for each in {name, "taskmaster.service"}:  # a socket's unit needs its service
        text = (ETC / "systemd" / each).read_text()
        (tmp_path / each).write_text(text.replace("/usr/bin/taskmaster", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, name in done.stderr) == (0, False), done.stderr


def test_systemd_says_what_the_contract_says() -> None:
    text = (ETC / "systemd" / "taskmaster.service").read_text()
    for line in ("Type=notify", "NotifyAccess=all", "KillMode=process", "Delegate=yes", "Restart=on-failure"):
        assert f"\n{line}\n" in text
    forking = (ETC / "systemd" / "taskmaster-forking.service").read_text()
    assert "\nType=forking\nNotifyAccess=all\n" in forking
    pidfile = re.search(r"(?m)^PIDFile=(.*)$", forking)
    assert pidfile
    assert f"--daemon --pidfile {pidfile[1]} " in forking
    assert "\nSuccessExitStatus=1\nRestartForceExitStatus=1\n" in forking


def test_the_plist_is_one() -> None:
    with (ETC / "launchd" / "taskmaster.plist").open("rb") as file:
        plist = plistlib.load(file)
    assert plist["Label"] == "taskmaster"
    assert plist["ProgramArguments"][1] == "--no-shell"
    assert plist["KeepAlive"] == {"SuccessfulExit": False}


@needs("logrotate")
def test_logrotate_takes_it(tmp_path: Path) -> None:
    text = (ETC / "logrotate.d" / "taskmaster").read_text()
    log = tmp_path / "web.log"
    log.write_text("a line\n")
    copy = tmp_path / "logrotate.conf"
    copy.write_text(text.replace("/var/log/taskmaster/*.log", str(log)))
    copy.chmod(0o644)
    done = subprocess.run(
        ["logrotate", "-d", "-s", str(tmp_path / "state"), str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


@pytest.mark.parametrize("path", sorted(str(each.relative_to(ROOT)) for each in ETC.rglob("*") if each.is_file()))
def test_everything_in_etc_is_installed(path: str) -> None:
    assert re.search(rf"(?m)^    {re.escape(path)}$", (ROOT / "setup.cfg").read_text())
