"""`taskmaster -d`: what its starter says and returns, what the daemon is like, and that there is only one."""

from __future__ import annotations

import os
import pwd
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.background import CONFIG, Background
from tests.integration.driver import (
    PROGRAM,
    ROOT,
    SYSTEM_PYTHON,
    Taskmaster,
    alive,
    daemons_of,
    environment,
    kill_all,
    others_can_run,
    run,
)
from tests.mounts import on_an_empty_machine
from tests.waiting import until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Background]:
    with Background(tmp_path) as background:
        yield background


def field(pid: int, name: str) -> list[str]:
    """A line of /proc/PID/status."""
    found = re.search(rf"(?m)^{name}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text())
    assert found, name
    return found[1].split()


# ---- what the daemon is like


def test_it_is_up_when_the_starter_returns(daemon: Background) -> None:
    pid = daemon.up()
    assert alive(pid)
    (child,) = daemon.children()
    assert alive(child)
    assert stat.S_ISSOCK(daemon.socket.stat().st_mode)
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(daemon.pidfile.stat().st_mode) == 0o644


@needs_proc
def test_it_has_a_session_and_no_terminal_and_is_not_its_leader(daemon: Background) -> None:
    pid = daemon.up()
    stats = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ppid, session, terminal = int(stats[1]), int(stats[3]), int(stats[4])
    assert terminal == 0
    assert session not in (pid, os.getsid(0))
    assert ppid != os.getpid()


@needs_proc
def test_directory_umask_and_descriptors(daemon: Background) -> None:
    guardian = daemon.up()
    for pid in (guardian, *daemons_of(guardian)):
        proc = Path(f"/proc/{pid}")
        assert os.readlink(proc / "cwd") == "/"
        assert field(pid, "Umask") == ["0022"]
        until(lambda proc=proc: [os.readlink(proc / "fd" / str(fd)) for fd in range(3)] == ["/dev/null"] * 3, "nothing")


@needs_proc
def test_descriptors_of_the_starter_are_not_kept(daemon: Background, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    script = 'exec 7>"$1"; shift; exec "$@"'
    own = ["--state-dir", "state", "--socket", "control.sock", *daemon.flags()]
    command = ["sh", "-c", script, "sh", str(witness), *PROGRAM, "-d", *own, "web.yaml"]
    subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), check=True, timeout=60)
    links = [os.readlink(each) for each in Path(f"/proc/{daemon.pid}/fd").iterdir()]
    daemon.end(daemon.pid)
    assert str(witness) not in links


def test_the_title_in_ps(daemon: Background) -> None:
    guardian = daemon.up()
    (pid,) = daemons_of(guardian)

    def title(pid: int) -> str:
        words = ["ps", "-o", "args=", "-p", str(pid)]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    assert title(pid) == "taskmaster: web.yaml (1/1 running)"
    until(lambda: title(guardian) == "taskmaster: guardian of web.yaml", "that it is the guardian")


@needs_proc
def test_core_dumps_are_prevented_and_limits_of_children_are_not_changed(tmp_path: Path) -> None:
    ours = resource.getrlimit(resource.RLIMIT_CORE)
    with Background(tmp_path) as daemon:
        daemon.up()
        (child,) = daemon.children()
        assert resource.prlimit(child, resource.RLIMIT_CORE) == ours
        assert Path(f"/proc/{child}/stat").stat().st_uid == os.geteuid()


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_it_starts_without_standard_streams(daemon: Background, tmp_path: Path, redirection: str) -> None:
    own = ["--state-dir", "state", "--socket", "control.sock", *daemon.flags()]
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *PROGRAM, "-d", *own, "web.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), timeout=60, check=False)
    assert done.returncode == 0
    assert alive(daemon.pid)
    daemon.end(daemon.pid)


def test_relative_paths_mean_where_it_was_started(tmp_path: Path) -> None:
    config = "taskmaster: {logfile: logs/web.log, socket: run/c.sock, pidfile: run/p.pid}\n" + CONFIG
    (tmp_path / "run").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "web.yaml").write_text(config.replace("sleep 1000", "sleep 1000, stdout: out.txt"))
    done = subprocess.run(
        [*PROGRAM, "-d", "--state-dir", "state", "web.yaml"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pid = int((tmp_path / "run" / "p.pid").read_text())
    os.kill(pid, signal.SIGHUP)
    log = tmp_path / "logs" / "web.log"
    until(lambda: "reload: nothing changed" in log.read_text(), "a reload")
    os.kill(pid, signal.SIGTERM)
    until(lambda: not alive(pid), "the end")
    assert (tmp_path / "out.txt").exists()
    assert not any((tmp_path / "run").iterdir())


# ---- its end


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_its_end_is_orderly(daemon: Background, signum: signal.Signals) -> None:
    pid = daemon.up()
    (child,) = daemon.children()
    daemon.end(pid, signum)
    assert not alive(child)
    assert "taskmaster end: leaving" in daemon.log
    assert not daemon.socket.exists()
    assert not daemon.pidfile.exists()
    assert list((daemon.home / "state").iterdir()) == []


def test_it_can_be_started_again(daemon: Background) -> None:
    daemon.end(daemon.up())
    daemon.end(daemon.up())
    assert daemon.log.count("taskmaster start: ") == 2


def test_reload_and_reopening(daemon: Background) -> None:
    pid = daemon.up()
    (daemon.home / "web.log").rename(daemon.home / "old.log")
    os.kill(pid, signal.SIGUSR2)
    daemon.logged("logs opened anew")
    os.kill(pid, signal.SIGHUP)
    daemon.logged("reload: nothing changed, by SIGHUP")


# ---- only one


def files(home: Path) -> dict[str, tuple[int, int, int]]:
    """Every file with its inode, size and time of change."""
    found = {}
    for path in home.rglob("*"):
        if path.is_file() or path.is_socket():
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


@pytest.mark.parametrize(
    "name", ["web.yaml", "./web.yaml", "{home}/web.yaml", "link.yaml", "hard.yaml"], ids=lambda name: name[:5]
)
@pytest.mark.parametrize("form", ["-d", "-n", ""])
def test_a_second_one_touches_nothing(daemon: Background, name: str, form: str) -> None:
    (daemon.home / "link.yaml").symlink_to("web.yaml")
    os.link(daemon.home / "web.yaml", daemon.home / "hard.yaml")
    pid = daemon.up()
    before = files(daemon.home)
    config = name.format(home=daemon.home)
    done = run(daemon.home, *([form] if form else []), *daemon.flags(), config, stdin="status\n")
    assert done.returncode == 3
    assert f"is already running as pid {pid}" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(daemon.home) == before
    assert alive(pid)
    assert daemon.pid == pid


def test_a_second_one_without_the_pidfile_and_with_another_socket(daemon: Background) -> None:
    pid = daemon.up()
    done = run(daemon.home, "-n", "-s", "other.sock", "-l", "other.log", "web.yaml")
    assert done.returncode == 3
    assert f"already running as pid {pid}" in done.stderr
    assert not (daemon.home / "other.sock").exists()
    assert not (daemon.home / "other.log").exists()


def test_a_pidfile_that_another_configuration_holds(daemon: Background) -> None:
    pid = daemon.up()
    (daemon.home / "b.yaml").write_text(CONFIG)
    done = run(daemon.home, "-d", *daemon.flags(), "--state-dir", "b", "-s", "b.sock", "b.yaml")
    assert done.returncode == 3
    assert f"already running as pid {pid}" in done.stderr
    assert "web.pid" in done.stderr
    assert not (daemon.home / "b.sock").exists()


@pytest.mark.parametrize("form", ["-d", "-n"])
def test_a_named_socket_that_another_configuration_holds(daemon: Background, form: str) -> None:
    daemon.up()
    done = run(daemon.home, form, "-p", "b.pid", "-l", "b.log", "--state-dir", "b", "web.yaml")
    assert done.returncode == 3
    assert "control.sock is held by another process" in done.stderr
    assert not (daemon.home / "b.pid").exists()


def test_many_at_once_and_one_wins(daemon: Background) -> None:
    command = [*PROGRAM, "-d", "--state-dir", "state", "--socket", "control.sock", *daemon.flags(), "web.yaml"]
    started = [
        subprocess.Popen(command, cwd=daemon.home, env=environment(daemon.home), stderr=subprocess.PIPE)
        for _ in range(5)
    ]
    codes = []
    for each in started:
        each.communicate(timeout=60)
        codes.append(each.returncode)
    assert sorted(codes) == [0, 3, 3, 3, 3]
    assert len(daemon.children()) == 1
    daemon.end(daemon.pid)


def test_what_a_dead_one_left_is_taken_over(daemon: Background) -> None:
    pid = daemon.up()
    (child,) = daemon.children()
    kill_all(pid)
    until(lambda: not alive(pid), "its death")
    assert daemon.socket.exists()
    assert daemon.pidfile.exists()
    again = daemon.up()
    assert again != pid
    assert alive(again)
    assert alive(child)
    assert daemon.children() == [child], "no second copy"
    daemon.end(again)
    assert not alive(child)


@pytest.mark.parametrize("content", ["", "1\n", "4194303\n", "nonsense\n", "\0\xff\n" * 5000, "{own}\n"])
def test_a_stale_pidfile_of_any_content_is_taken_over(daemon: Background, content: str) -> None:
    daemon.pidfile.write_text(content.format(own=os.getpid()))
    pid = daemon.up()
    assert daemon.pidfile.read_text() == f"{pid}\n"


def test_a_stale_socket_is_taken_over(daemon: Background) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(daemon.socket))
    daemon.up()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))


# ---- what goes wrong is told where it was started


def test_errors_of_the_configuration(daemon: Background) -> None:
    daemon.config.write_text("tasks:\n  web: {comand: x}\n")
    done = daemon.start()
    assert done.returncode == 2
    assert re.search(r"(?m)^\S*web\.yaml:2:9: unknown key 'comand'", done.stderr)
    assert sorted(path.name for path in daemon.home.iterdir()) == ["web.yaml"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["-l", "no/such/place.log"], "the event log .*no/such/place.log cannot be opened: No such file or directory"),
        (["-p", "no/such/place.pid"], "the pidfile .*no/such/place.pid cannot be written: No such file or directory"),
        (["-p", "/dev/null"], "the pidfile /dev/null cannot be written: it is no regular file"),
        (["-p", "link.pid"], "the pidfile .*link.pid cannot be written: Too many levels of symbolic links"),
        (["-s", "s" * 108], "at most 107 are possible"),
        (["-s", "web.yaml"], "web.yaml is there and is no socket"),
        (["--state-dir", "web.yaml"], "the state directory .*web.yaml cannot be used"),
    ],
)
def test_what_cannot_be_had(daemon: Background, flags: list[str], told: str) -> None:
    (daemon.home / "link.pid").symlink_to("elsewhere")
    done = run(daemon.home, "-d", *daemon.flags(), *flags, "web.yaml")
    assert done.returncode == 1
    assert re.search(told, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not daemon.socket.exists()
    assert not daemon.pidfile.exists()
    assert not (daemon.home / "elsewhere").exists()


def test_a_program_that_does_not_start_is_told_with_its_line_and_the_daemon_goes_on(tmp_path: Path) -> None:
    text = "tasks:\n  web: {command: sleep 1000, autoLaunch: true}\n  bad: {command: /no/such, autoLaunch: true}\n"
    with Background(tmp_path, text) as daemon:
        done = daemon.start()
        assert done.returncode == 1
        told = (
            r"taskmaster: process 'bad' failed to start: .*/no/such.*; see web\.yaml:3\n"
            r"taskmaster: the daemon is up and keeps the rest\.\n"
        )
        assert re.fullmatch(told, done.stderr), done.stderr
        (child,) = daemon.children()
        assert alive(child)


def test_a_death_on_the_way_is_no_success_and_its_last_words_are_seen(tmp_path: Path) -> None:
    program = ROOT / "tests" / "programs" / "dies_on_the_way.py"
    command = [sys.executable, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)
    assert done.returncode == 1
    assert "RuntimeError: a bug that nobody foresaw" in done.stderr
    assert done.stderr.endswith("taskmaster: the daemon ended before it was up.\n")


# ---- another user


@needs_root
@pytest.mark.parametrize("way", ["flag", "key", "number"])
def test_it_gives_up_root_and_so_do_its_children(tmp_path: Path, way: str) -> None:
    nobody = pwd.getpwnam("nobody")
    text = CONFIG if way == "flag" else "taskmaster: {user: nobody}\n" + CONFIG
    text = text.replace("nobody", str(nobody.pw_uid)) if way == "number" else text
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(place.stat().st_mode | 0o011)
    with Background(tmp_path, text) as daemon:
        pid = daemon.up(*(["-u", "nobody"] if way == "flag" else []))
        (child,) = daemon.children()
        for each in (pid, child):
            assert field(each, "Uid") == [str(nobody.pw_uid)] * 4
            assert field(each, "Gid") == [str(nobody.pw_gid)] * 4
            assert set(field(each, "Groups")) <= {str(gid) for gid in os.getgrouplist("nobody", nobody.pw_gid)}
        variables = Path(f"/proc/{child}/environ").read_text().split("\0")
        assert {f"USER={nobody.pw_name}", f"HOME={nobody.pw_dir}"} <= set(variables)
        assert daemon.socket.stat().st_uid == nobody.pw_uid
        assert (tmp_path / "web.log").stat().st_uid == nobody.pw_uid
        assert (tmp_path / "state").stat().st_uid == nobody.pw_uid
        assert daemon.pidfile.stat().st_uid == 0
        daemon.end(pid)
        assert daemon.pidfile.read_text() == "" if daemon.pidfile.exists() else True
        daemon.up(*(["-u", "nobody"] if way == "flag" else []))


@needs_root
def test_a_state_directory_that_stays_roots_keeps_nothing_from_being_started(tmp_path: Path) -> None:
    """Where no file can be made the journal is written anew in its place, and read by the next one."""
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(place.stat().st_mode | 0o011)
    (tmp_path / "state").mkdir(mode=0o755)
    with Background(tmp_path, CONFIG) as daemon:
        pid = daemon.up("-u", "nobody")
        (child,) = daemon.children()
        assert (tmp_path / "state").stat().st_uid == 0
        kill_all(pid)
        until(lambda: not alive(pid), "its death")
        daemon.up("-u", "nobody")
        assert daemon.children() == [child]


@needs_root
@pytest.mark.parametrize("key", ["user: root", "group: root"])
@pytest.mark.parametrize("form", ["-t", "-d"])
def test_a_user_of_its_own_and_one_of_a_task_do_not_go_together(tmp_path: Path, key: str, form: str) -> None:
    task = "tasks:\n  web:\n    command: x\n    " + key + "\n"
    (tmp_path / "web.yaml").write_text(task)
    done = run(tmp_path, form, "-u", "nobody", "web.yaml")
    assert done.returncode == 2
    assert re.search(r"web\.yaml:4:5: .*\(--user\).*\[two-users\]", done.stderr), done.stderr
    (tmp_path / "web.yaml").write_text("taskmaster:\n  user: nobody\n" + task)
    done = run(tmp_path, form, "web.yaml")
    assert done.returncode == 2
    assert re.search(r"web\.yaml:6:5: .*web\.yaml:2:3\).*\[two-users\]", done.stderr), done.stderr


@needs_root
def test_an_unknown_user_is_a_mistake_of_the_command_line(daemon: Background) -> None:
    done = daemon.start("-u", "no-such-user")
    assert (done.returncode, done.stderr) == (2, "taskmaster: there is no user 'no-such-user' on this machine.\n")


@needs_root
def test_who_is_not_root_cannot_become_another(tmp_path: Path) -> None:
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(place.stat().st_mode | 0o011)
    tmp_path.chmod(0o777)
    (tmp_path / "web.yaml").write_text(CONFIG)
    command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", sys.executable, *PROGRAM[1:]]
    probe = subprocess.run([*command, "--version"], capture_output=True, cwd=tmp_path, check=False, timeout=60)
    if probe.returncode:
        pytest.skip("this Python cannot be run by nobody")
    command += ["-d", "-u", "root", "--state-dir", "state", "-s", "c.sock", "web.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)
    assert done.returncode == 1
    assert "only root can become user 'root'" in done.stderr


# ---- the defaults


@needs_root
def test_the_places_of_root(tmp_path: Path) -> None:
    """In a mount namespace of its own, where /run, /var/lib and /var/log are empty and nobody else's."""
    (tmp_path / "web.yaml").write_text(CONFIG)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "web.yaml").write_text(CONFIG)
    (tmp_path / "link.yaml").symlink_to("web.yaml")
    program = " ".join(PROGRAM)
    script = f"""
    {program} -d web.yaml
    ls -l /run/taskmaster/web.sock /run/taskmaster/web.pid /var/lib/taskmaster/web/lock /var/log/taskmaster/web.log
    pid=$(cat /run/taskmaster/web.pid)
    {program} -d link.yaml && exit 91 || echo "link: $?"
    {program} -d sub/web.yaml && exit 92 || echo "other: $?"
    echo status | {program} -l shell.log sub/web.yaml
    echo "shell: $?"
    kill $pid
    timeout 20 tail --pid=$pid -f /dev/null
    ls -A /run/taskmaster /var/lib/taskmaster/web
    """
    done = on_an_empty_machine(tmp_path, script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "link: 3\n" in done.stdout
    assert "other: 3\n" in done.stdout
    assert "shell: 0\n" in done.stdout
    assert re.search(r"(?m)^web +(STARTED|RUNNING)", done.stdout)
    assert "Going on without a control socket." in done.stderr
    assert re.search(r"keeping state in /var/lib/taskmaster/web-[0-9a-f]{12}\.", done.stderr)
    assert done.stdout.endswith("/run/taskmaster:\n\n/var/lib/taskmaster/web:\n"), done.stdout


@needs_root
def test_the_socket_of_a_group(tmp_path: Path) -> None:
    """Members find root's daemon by themselves and are let in, strangers are not; also when its file was made again."""
    if not others_can_run():
        pytest.skip("needs a checkout and a Python that others can reach")
    (tmp_path / "web.yaml").write_text("taskmaster: {socketGroup: 54321}\n" + CONFIG)
    client = f"{SYSTEM_PYTHON} -I -S {ROOT / 'bin' / 'taskmasterctl'}"
    member = f"cd /; setpriv --reuid 65534 --regid 65534 --groups 54321,54322 {client}"
    stranger = f"cd /; setpriv --reuid 65534 --regid 65534 --clear-groups {client}"
    script = f"""
    {" ".join(PROGRAM)} -d web.yaml
    stat -c '%a %g' /run/taskmaster/web.sock
    ({member} stop web)
    ({member} check /etc/shadow) && exit 92 || echo "check: $?"
    ({member} show web --env) && exit 93 || echo "env: $?"
    ({stranger} pid) && exit 91 || echo "stranger: $?"
    rm /run/taskmaster/web.sock
    timeout 20 sh -c 'until ls /run/taskmaster/web.sock; do :; done'
    stat -c '%a %g' /run/taskmaster/web.sock
    ({member} shutdown)
    ls -A /run/taskmaster
    """
    done = on_an_empty_machine(tmp_path, script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("660 54321\n") == 2, done.stdout
    assert "Process 'web' stopped gracefully\n" in done.stdout
    assert "stranger: 5\n" in done.stdout
    assert "check: 5\nenv: 5\n" in done.stdout
    assert "root:" not in done.stdout + done.stderr
    assert "not allowed to connect to /run/taskmaster/web.sock" in done.stderr
    assert done.stdout.endswith("The daemon has left.\n"), done.stdout


def test_an_unknown_group_is_a_mistake_of_the_configuration(daemon: Background) -> None:
    daemon.config.write_text("taskmaster: {socketGroup: no-such-group}\n" + CONFIG)
    done = daemon.start()
    assert done.returncode == 2
    assert re.search(r"web\.yaml:1:27: .*no-such-group", done.stderr), done.stderr


def test_whoever_has_seen_it_leave_can_start_the_next_one_at_once(daemon: Background) -> None:
    client = [sys.executable, "-I", "-S", str(ROOT / "bin" / "taskmasterctl"), "-s", "control.sock", "shutdown"]
    for _ in range(5):
        daemon.up()
        subprocess.run(client, cwd=daemon.home, env=environment(daemon.home), check=True, timeout=60)
        assert not daemon.pidfile.exists()
        assert not daemon.socket.exists()


@needs_root
def test_a_directory_in_tmp_that_a_stranger_has_made_is_not_asked() -> None:
    """The client of a user without XDG_RUNTIME_DIR."""
    if not others_can_run():
        pytest.skip("needs a checkout and a Python that others can reach")
    uid = 40_000 + os.getpid() % 20_000
    place = Path(f"/tmp/taskmaster-{uid}")
    place.mkdir(mode=0o755)
    os.chown(place, 65534, 65534)
    (place / "web.yaml").write_text(CONFIG)
    fake = socket.socket(socket.AF_UNIX)
    try:
        fake.bind(str(place / "web.sock"))
        fake.listen()
        (place / "web.sock").chmod(0o777)
        command = [str(SYSTEM_PYTHON), "-I", "-S", str(ROOT / "bin" / "taskmasterctl")]
        for words in (["-c", str(place / "web.yaml"), "status"], ["status"]):
            done = subprocess.run(
                [*command, *words], input="", user=uid, cwd="/", capture_output=True, text=True, check=False, timeout=60
            )
            assert done.returncode == 4, done
    finally:
        fake.close()
        shutil.rmtree(place)


def test_a_runtime_directory_that_is_not_private_is_refused(tmp_path: Path) -> None:
    """Asked of the function: the directory of a user without XDG_RUNTIME_DIR is the machine's."""
    from tm.cli.places import make_private

    place = tmp_path / "run"
    make_private(str(place))
    make_private(str(place))
    place.chmod(0o777)
    with pytest.raises(OSError, match=r"chmod 7\d\d "):
        make_private(str(place))
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(OSError, match="no directory"):
        make_private(str(link))


def test_a_foreground_one_holds_its_state_too(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as first:
        done = run(tmp_path, "-n", "-s", "other.sock", "web.yaml")
        assert done.returncode == 3
        assert f"already running as pid {first.process.pid}" in done.stderr
