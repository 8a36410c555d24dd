"""Processes by a descriptor: who it is, whether it lives, what it is sent, how it ended; also those of others."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.driver import ROOT, others_can_run
from tests.waiting import until
from tm.core.exitstatus import ExitStatus
from tm.edge import pidfd, procfs

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="there are no pidfds here")

KERNEL = tuple(int(word) for word in os.uname().release.split(".")[:2])
since_6_9 = pytest.mark.skipif(KERNEL < (6, 9), reason="pidfds have no file system of their own before Linux 6.9")
since_6_15 = pytest.mark.skipif(KERNEL < (6, 15), reason="pidfds do not keep an exit status before Linux 6.15")


@contextmanager
def opened(pid: int) -> Iterator[int]:
    fd = pidfd.open_pidfd(pid)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads its own group and ends when it is told to."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as child:
        try:
            yield child
        finally:
            child.kill()


def ended(fd: int) -> None:
    """Wait as the loop does."""
    assert select.select([fd], [], [], 20) == ([fd], [], [])


REAPER = """
import os, subprocess, sys
from contextlib import suppress
from tm.edge import reap
reap.adopt_orphans()
starter = ["sh", "-c", 'setsid sh -c "$0" >/dev/null & echo $!', sys.argv[1]]
print(int(subprocess.run(starter, stdout=subprocess.PIPE).stdout), flush=True)
with suppress(ChildProcessError):
    while True:
        os.wait()
"""


@contextmanager
def orphan(script: str) -> Iterator[int]:
    """The pid of a shell that runs `script` in a group of its own, whose parent has died; somebody else reaps."""
    command = [sys.executable, "-c", REAPER, script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as reaper:
        assert reaper.stdout is not None
        pid = int(reaper.stdout.readline())
        try:
            yield pid
        finally:
            subprocess.run(["kill", "-9", "--", f"-{pid}"], stderr=subprocess.DEVNULL, check=False)


# ---- which process


def test_a_pidfd_is_closed_on_exec() -> None:
    with opened(os.getpid()) as fd:
        assert not os.get_inheritable(fd)


def test_a_process_that_is_gone_is_not_opened() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    with pytest.raises(ProcessLookupError):
        pidfd.open_pidfd(child.pid)


@pytest.mark.parametrize("pid", [0, -1])
def test_what_is_no_process_is_not_opened(pid: int) -> None:
    with pytest.raises(ProcessLookupError):
        pidfd.open_pidfd(pid)


def test_the_number_of_a_thread_is_no_process() -> None:
    script = (
        "import threading, sys; t = threading.Thread(target=sys.stdin.read); t.start(); print(t.native_id, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        with pytest.raises(ProcessLookupError):
            pidfd.open_pidfd(int(child.stdout.readline()))


@since_6_9
def test_an_identity_is_of_one_process_whoever_opens_it() -> None:
    with sleeping() as one, sleeping() as other, ExitStack() as stack:
        first, again, second = (stack.enter_context(opened(child.pid)) for child in (one, one, other))
        assert pidfd.identity(first) == pidfd.identity(again) != 0
        assert pidfd.identity(first) != pidfd.identity(second)
        script = f"import os; print(os.fstat(os.pidfd_open({one.pid})).st_ino)"
        found = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True).stdout
        assert int(found) == pidfd.identity(first)


@since_6_9
def test_an_identity_stays_when_the_process_has_ended() -> None:
    with sleeping() as child, opened(child.pid) as fd:
        before = pidfd.identity(fd)
        child.kill()
        child.wait()
        assert pidfd.identity(fd) == before


def test_a_descriptor_whose_inode_is_everybodys_is_no_identity() -> None:
    """As pidfds were before Linux 6.9."""
    with select.epoll() as other:
        fd = os.eventfd(0)
        assert os.fstat(fd).st_ino == os.fstat(other.fileno()).st_ino
        assert pidfd.identity(fd) == 0
        os.close(fd)


def test_the_start_of_a_process_is_told_in_ticks_since_boot() -> None:
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    with sleeping() as child:
        start = pidfd.start_time(child.pid)
        assert start == pidfd.start_time(child.pid)
        assert start is not None
        assert abs(start / os.sysconf("SC_CLK_TCK") - uptime_s) < 20
    assert pidfd.start_time(child.pid) is None


@pytest.mark.parametrize("name", ["a) (b", ") S 1 1", "))", "new\nline", ") R 0 0 0 (", "\udcff"])
def test_a_name_made_to_mislead_does_not(name: str) -> None:
    pid = os.fork()
    if pid == 0:
        Path("/proc/self/comm").write_bytes(os.fsencode(name))
        signal.pause()
        os._exit(0)
    with opened(pid) as fd, sleeping() as child:
        until(lambda: os.fsencode(name) in Path(f"/proc/{pid}/stat").read_bytes(), "a name that misleads")
        start, later = pidfd.start_time(pid), pidfd.start_time(child.pid)
        assert start is not None
        assert later is not None
        assert 0 <= later - start < 20 * os.sysconf("SC_CLK_TCK")
        assert pidfd.send(fd, signal.SIGKILL)
        ended(fd)
        assert pidfd.exit_status(fd) == ExitStatus(-9)
        os.waitpid(pid, 0)


AGAIN = """
import os, sys
sys.path.insert(0, {root!r})
from tm.edge import pidfd

def child(number):
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(number - 1))
    pid = os.fork()
    if pid == 0:
        os.read(0, 1)
        os._exit(0)
    assert pid == number, pid
    return pid

told = []
for _ in range(100):
    pid = child(300)
    fd = pidfd.open_pidfd(pid)
    told.append((pidfd.identity(fd), pidfd.start_time(pid)))
    if len(told) > 1:
        assert not pidfd.send(first, 9), "a stranger was signalled"
        assert pidfd.identity(first) == told[0][0]
    else:
        first = os.dup(fd)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(fd)
identities = [identity for identity, _ in told]
print(len(identities), len(set(identities)), len(set(told)))
"""


@since_6_9
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a pid namespace whose next number can be chosen")
def test_a_pid_used_again_is_told_apart() -> None:
    """Their starts are often of the same tick, and say nothing."""
    within = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made here")
    script = AGAIN.format(root=str(ROOT))
    done = subprocess.run(
        [*within, sys.executable, "-c", script], stdin=subprocess.PIPE, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.split()) == (0, ["100", "100", "100"]), done.stderr


def test_a_boot_and_a_namespace_have_names() -> None:
    assert len(procfs.boot_id()) == 36
    assert procfs.boot_id() == procfs.boot_id()
    assert procfs.pid_namespace().startswith("pid:[")


NAME = "import sys; sys.path.insert(0, {root!r}); from tm.edge import procfs; print(procfs.pid_namespace())"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for pid namespaces")
def test_no_two_namespaces_have_one_name_though_their_numbers_are_used_again() -> None:
    within = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made here")
    command = [*within, sys.executable, "-S", "-c", NAME.format(root=str(ROOT))]
    names = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(12)]
    assert len(set(names)) == 12
    assert {each[:5] for each in names} == {"pid:["}


# ---- whether it lives, and what it is sent


def test_a_pidfd_is_readable_when_its_process_has_ended_and_not_before() -> None:
    with sleeping() as child, opened(child.pid) as fd:
        assert select.select([fd], [], [], 0) == ([], [], [])
        assert not pidfd.ended(fd)
        child.kill()
        ended(fd)
        child.wait()
        assert pidfd.ended(fd)


def test_a_signal_reaches_its_process() -> None:
    with sleeping() as child, opened(child.pid) as fd:
        assert pidfd.send(fd, signal.SIGTERM)
        assert child.wait() == -signal.SIGTERM


def test_a_signal_after_death_reaches_nobody() -> None:
    with sleeping() as child, opened(child.pid) as fd:
        child.kill()
        ended(fd)
        assert not pidfd.send(fd, signal.SIGTERM), "a zombie heeds nothing"
        child.wait()
        assert not pidfd.send(fd, signal.SIGTERM)


@pytest.mark.skipif(not others_can_run(), reason="needs root, and a program that others can run")
def test_a_signal_that_is_not_allowed_reaches_nobody() -> None:
    with sleeping() as child, opened(child.pid) as fd:
        pid = os.fork()
        if pid == 0:
            os.setuid(65534)
            os._exit(pidfd.send(fd, signal.SIGKILL))
        assert os.waitpid(pid, 0)[1] == 0
        assert not pidfd.ended(fd)


@since_6_9
def test_a_signal_to_a_group_reaches_what_its_dead_leader_left() -> None:
    with orphan("sleep 1000 & exec sleep 1000") as leader, opened(leader) as fd:

        def members() -> list[procfs.Stat]:
            return [each for each in procfs.sessions().get(leader, []) if each.state != "Z"]

        until(lambda: len(members()) == 2, "a leader and one more")
        assert pidfd.send(fd, signal.SIGKILL)
        ended(fd)
        until(lambda: len(members()) == 1, "one more")
        assert not pidfd.send(fd, signal.SIGKILL)
        assert pidfd.send(fd, signal.SIGKILL, group=True)
        until(lambda: not pidfd.send(fd, signal.SIGKILL, group=True), "nobody")
        assert members() == []


# ---- how it ended


def test_what_lives_has_no_exit_status() -> None:
    with sleeping() as child, opened(child.pid) as fd:
        assert pidfd.exit_status(fd) is None


@pytest.mark.parametrize("number", [0, 3, 255, -9, -15])
def test_a_zombie_is_told_about_and_so_is_what_was_reaped(number: int) -> None:
    script = f"exit {number}" if number >= 0 else f"kill {number} $$"
    with (
        subprocess.Popen(["sh", "-c", f"read line; {script}"], stdin=subprocess.PIPE) as child,
        opened(child.pid) as fd,
    ):
        child.communicate()
        assert child.returncode == number
        if KERNEL >= (6, 15):
            assert pidfd.exit_status(fd) == ExitStatus(number)
    pid = os.fork()
    if pid == 0:
        if number < 0:
            os.kill(os.getpid(), -number)
        os._exit(number)
    with opened(pid) as fd:
        ended(fd)
        assert procfs.stat(pid) is not None
        assert pidfd.exit_status(fd) == ExitStatus(number)
        os.waitpid(pid, 0)


@since_6_15
@pytest.mark.parametrize(("script", "number"), [("exit 7", 7), ("kill -9 $$", -9), ("exit 0", 0)])
def test_the_exit_status_of_an_orphan_that_another_one_reaped(script: str, number: int, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with orphan(f"read line <{gate}; {script}") as pid, opened(pid) as fd:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        gate.write_text("now\n")
        ended(fd)
        assert pidfd.exit_status(fd) == ExitStatus(number)
        until(lambda: procfs.stat(pid) is None, "reaped by somebody")
        assert pidfd.exit_status(fd) == ExitStatus(number)


REAPED_WHILE_WE_LOOK = """
import os, select, signal
from tm.edge import pidfd
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for number in range(300):
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(ours, 1)
        os._exit(number % 256)
    fd = pidfd.open_pidfd(pid)
    os.write(theirs, b"x")
    select.select([fd], [], [])
    status = pidfd.exit_status(fd)
    assert status is not None and status.number == number % 256, (number, status)
    for each in (fd, ours, theirs):
        os.close(each)
"""


@since_6_15
def test_the_exit_status_of_a_process_that_is_reaped_while_we_look() -> None:
    """The kernel reaps the child of one that does not care, at once and beside us."""
    subprocess.run([sys.executable, "-c", REAPED_WHILE_WE_LOOK], cwd=ROOT, check=True)


@since_6_15
def test_the_end_of_all_threads_counts_and_not_that_of_the_first() -> None:
    script = (
        "import ctypes, os, sys, threading\n"
        "threading.Thread(target=lambda: (sys.stdin.read(), os._exit(7))).start()\n"
        "print(flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child, opened(child.pid) as fd:
        until(lambda: (found := procfs.stat(child.pid)) and found.state == "Z", "a leader that has ended")
        assert not pidfd.ended(fd)
        assert pidfd.exit_status(fd) is None
        child.communicate()
        assert pidfd.exit_status(fd) == ExitStatus(child.returncode) == ExitStatus(7)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_status_that_we_may_not_see_is_none_and_not_0() -> None:
    """The kernel shows a 0 in its place."""
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    with opened(pid) as fd:
        ended(fd)
        looker = os.fork()
        if looker == 0:
            os.setgid(65534)
            os.setuid(65534)
            os._exit(pidfd.exit_status(fd) is not None)
        assert os.waitpid(looker, 0)[1] == 0
        assert pidfd.exit_status(fd) == ExitStatus(3)
        os.waitpid(pid, 0)


def test_a_descriptor_of_something_else_has_no_exit_status() -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    assert pidfd.exit_status(ours) is None
    os.close(ours)


WITHOUT = """
import errno, os, select, signal
del os.pidfd_open, signal.pidfd_send_signal, select.epoll
from tm.edge import pidfd
try:
    pidfd.open_pidfd(os.getpid())
except OSError as error:
    assert error.errno == errno.ENOSYS, error
else:
    raise AssertionError
"""


def test_a_machine_without_pidfds_says_so() -> None:
    assert subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, check=False).returncode == 0
