"""Starting real programs, by the quick way and by the full one: what the child gets, and what a failed start says."""

from __future__ import annotations

import errno
import grp
import json
import os
import pwd
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tm.core.launch import Failed, Launch, SpawnFailure
from tm.core.listening import Socket
from tm.daemon.failures import explain
from tm.daemon.starting import spawn
from tm.edge import vfork
from tm.edge.descriptors import tidy
from tm.edge.signals import default_for_child

WHAT_I_AM = Path(__file__).resolve().parents[1] / "programs" / "what_i_am.py"
PYTHON = sys.executable
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

Way = Callable[[Launch], Launch]
WAYS: dict[str, Way] = {
    "quick": lambda launch: launch,
    "full": lambda launch: launch if launch.nice is not None or launch.limits else replace(launch, nice=0),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """One of the two ways, forced by what only the full one can do."""
    return WAYS[request.param]


@pytest.fixture
def null() -> Iterator[int]:
    fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    yield fd
    os.close(fd)


@pytest.fixture(autouse=True, scope="module")
def inherited_by_nobody() -> None:
    """As the program does at its start, for whatever descriptors the test run itself was given."""
    tidy()


def launch_of(*argv: str, **changes: Any) -> Launch:
    plain = Launch(
        argv=argv,
        environment={"PATH": "/usr/bin:/bin", "A": "1"},
        directory="/",
        umask=0o022,
        stdout=None,
        stderr=None,
        merges_stderr=False,
        user=None,
        group=None,
        limits=(),
        nice=None,
    )
    return replace(plain, **changes)


def start(launch: Launch, fd: int) -> int | Failed:
    with default_for_child():
        return spawn(launch, (fd, fd, fd))


def run(launch: Launch, fd: int) -> int:
    """Start it and wait for its end; the wait status."""
    pid = start(launch, fd)
    assert isinstance(pid, int), pid
    return os.waitpid(pid, 0)[1]


def told(launch: Launch, fd: int, folder: Path) -> dict[str, Any]:
    """What the program of `launch` (the interpreter with the program's own words behind) says of itself."""
    target = folder / "told"
    assert run(replace(launch, argv=(*launch.argv, PYTHON, "-S", str(WHAT_I_AM), str(target))), fd) == 0
    result: dict[str, Any] = json.loads(target.read_text())
    return result


def told_as_user(launch: Launch, fd: int, folder: Path) -> tuple[dict[str, list[int]], dict[str, str]]:
    """The ids and the environment of a program that any user may run."""
    for name in ("status", "environ"):
        (folder / name).unlink(missing_ok=True)
    assert run(replace(launch, argv=("/bin/cp", "/proc/self/status", "/proc/self/environ", str(folder))), fd) == 0
    lines = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines())
    variables = (folder / "environ").read_text().rstrip("\0").split("\0")
    ids = {name: [int(word) for word in lines[name].split()] for name in ("Uid", "Gid", "Groups")}
    return ids, dict(each.split("=", 1) for each in variables)


def failure(launch: Launch, fd: int) -> SpawnFailure:
    """The words for a start that has to fail, and leaves neither a zombie nor a descriptor."""
    before = os.listdir("/proc/self/fd")
    failed = start(launch, fd)
    assert isinstance(failed, Failed), failed
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert os.listdir("/proc/self/fd") == before
    return explain(launch, failed)


def script(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_bytes(text.encode())
    path.chmod(mode)
    return str(path)


def in_a_fork(body: Callable[[], None]) -> None:
    """Run `body` in a forked process, for what it changes for good; it must end well."""
    pid = os.fork()
    if pid == 0:
        try:
            body()
            os._exit(0)
        finally:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def by_the_public_way(launch: Launch, fd: int) -> int | Failed:
    """As where nobody knows the parameters of the private function."""
    with default_for_child():
        return vfork.by_popen(launch, (fd, fd, fd))


# ---- what the child gets


@pytest.mark.parametrize("order", [(3, 4), (4, 3), (5, 3), (3, 3)])
def test_sockets_come_from_descriptor_three_on_whatever_they_and_stdio_were(
    null: int, tmp_path: Path, order: tuple[int, int]
) -> None:
    """Also where they, stdio and the pipe of a failed start have just these numbers in the parent."""

    def body() -> None:
        os.dup2(null, 20, inheritable=False)
        os.closerange(3, 20)
        made = {at: socket.socket() for at in range(3)}  # the lowest that are free: 3, 4, 5
        inodes = [os.fstat(fd).st_ino for fd in order]
        target = tmp_path / "told"
        sockets = {"sockets": (Socket("a"), Socket("b")), "pid_variables": ("LISTEN_PID",)}
        launch = launch_of(PYTHON, "-S", str(WHAT_I_AM), str(target), **sockets)
        with default_for_child():
            pid = spawn(launch, (20, 20, 20), order)
        assert isinstance(pid, int) and os.waitpid(pid, 0)[1] == 0
        found = json.loads(target.read_text())
        assert [found["descriptors"][fd] for fd in ("3", "4")] == [f"socket:[{each}]" for each in inodes]
        assert sorted(found["descriptors"]) == ["0", "1", "2", "3", "4"]
        assert f"LISTEN_PID={pid}" in found["environment"]
        assert isinstance(spawn(replace(launch, argv=("/no/such",)), (20, 20, 20), order), Failed)
        assert len(made) == 3

    in_a_fork(body)


def test_the_words_environment_directory_and_umask_are_exactly_those_asked_for(
    way: Way, null: int, tmp_path: Path
) -> None:
    environment = {"PATH": "/nowhere", "EMPTY": "", "TWO": "two words\nand a line", "BYTES": "\udcff=="}
    launch = way(launch_of(environment=environment, directory=str(tmp_path), umask=0o137))
    found = told(launch, null, tmp_path)
    assert found["argv"] == [PYTHON, "-S", str(WHAT_I_AM), str(tmp_path / "told")]
    assert sorted(found["environment"]) == sorted(f"{name}={value}" for name, value in environment.items())
    assert found["directory"] == str(tmp_path)
    assert found["umask"] == 0o137


def test_strange_words_arrive_unchanged(way: Way, null: int, tmp_path: Path) -> None:
    words = ("", " ", "a b", "$HOME", "*", "'\"\\", "ü", "\udcfe\udcff", "-c", "x" * 100_000, "line\nline")
    program = "import sys; open(sys.argv[1], 'wb').write(b'|'.join(map(__import__('os').fsencode, sys.argv[2:])))"
    assert run(way(launch_of(PYTHON, "-c", program, str(tmp_path / "w"), *words)), null) == 0
    assert (tmp_path / "w").read_bytes() == b"|".join(map(os.fsencode, words))


def test_it_leads_its_own_session_and_group(way: Way, null: int, tmp_path: Path) -> None:
    found = told(way(launch_of()), null, tmp_path)
    assert found["pid"] == found["group"] == found["session"]


def test_signals_are_as_at_the_beginning_of_the_world(way: Way, null: int, tmp_path: Path) -> None:
    """The parent ignores, blocks and handles; the child does none of it. A shell asks, since it changes nothing."""
    ignored = [signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE]
    before = {signum: signal.signal(signum, signal.SIG_IGN) for signum in ignored}
    before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, lambda *_: None)
    before[signal.SIGTERM] = signal.signal(signal.SIGTERM, lambda *_: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGRTMIN + 3})
    target = tmp_path / "status"
    try:
        assert run(way(launch_of("/bin/cp", "/proc/self/status", str(target))), null) == 0
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask | {signal.SIGUSR2, signal.SIGRTMIN + 3}
        assert signal.getsignal(signal.SIGTTOU) is signal.SIG_IGN
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for signum, disposition in before.items():
            signal.signal(signum, disposition)
    lines = dict(line.split(":\t", 1) for line in target.read_text().splitlines())
    ours = sum(1 << signum - 1 for signum in signal.valid_signals())  # the C library keeps 32 and 33 to itself
    assert {name: int(lines[name], 16) & ours for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd")} == dict.fromkeys(
        ("SigBlk", "SigIgn", "SigCgt", "SigPnd"), 0
    )


def test_no_descriptor_strays_into_it(way: Way, null: int, tmp_path: Path) -> None:
    one, two = socket.socketpair()
    listener = socket.socket()
    ends = os.pipe()
    with open(tmp_path / "open", "w") as file, one, two, listener:
        assert file.fileno() > 2
        found = told(way(launch_of()), null, tmp_path)
    for fd in ends:
        os.close(fd)
    assert found["descriptors"] == dict.fromkeys("012", "/dev/null")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 0), (2, 2, 1)])
def test_stdio_may_be_any_descriptors_in_any_order(way: Way, tmp_path: Path, order: tuple[int, int, int]) -> None:
    """Also the parent's own 0 to 2, in an order in which one dup2 would overwrite what the next one needs."""

    def body() -> None:
        for fd in range(3):
            name = os.open(tmp_path / f"file{fd}", os.O_RDWR | os.O_CREAT)
            os.dup2(name, fd)
            os.close(name)
        pid = spawn(way(launch_of(PYTHON, "-S", str(WHAT_I_AM), str(tmp_path / "told"))), order)
        assert isinstance(pid, int)
        assert os.waitpid(pid, 0)[1] == 0

    in_a_fork(body)
    found = json.loads((tmp_path / "told").read_text())["descriptors"]
    assert found == {str(target): str(tmp_path / f"file{fd}") for target, fd in enumerate(order)}


def test_the_program_is_looked_for_on_the_childs_own_path(way: Way, null: int, tmp_path: Path) -> None:
    script(tmp_path / "here", f"#!/bin/sh\necho found > {tmp_path}/marker\n")
    assert run(way(launch_of("here", environment={"PATH": f"/nowhere:{tmp_path}"})), null) == 0
    assert (tmp_path / "marker").read_text() == "found\n"
    (tmp_path / "marker").unlink()
    (tmp_path / "below").mkdir()
    assert run(way(launch_of("here", environment={"PATH": ".."}, directory=str(tmp_path / "below"))), null) == 0
    assert (tmp_path / "marker").exists()


def test_a_relative_program_is_relative_to_its_working_directory(way: Way, null: int, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin" / "here", "#!/bin/sh\npwd > marker\n")
    assert run(way(launch_of("bin/here", directory=str(tmp_path))), null) == 0
    assert (tmp_path / "marker").read_text() == f"{tmp_path}\n"


def test_nothing_of_the_parent_changes(way: Way, null: int, tmp_path: Path) -> None:
    def facts() -> list[object]:
        mask = os.umask(0o077)
        os.umask(mask)
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        return [os.getcwd(), mask, os.listdir("/proc/self/fd"), os.getsid(0), nice, resource.getrlimit(5)]

    before = facts()
    assert run(way(launch_of("true", directory=str(tmp_path), umask=0o777)), null) == 0
    assert facts() == before


# ---- the full way alone


def test_limits_and_niceness(null: int, tmp_path: Path) -> None:
    limits = (("core", 0, 0), ("cpu", resource.RLIM_INFINITY, resource.RLIM_INFINITY), ("nofile", 64, 128))
    if os.geteuid() != 0:
        limits = (limits[0], limits[2])
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 3
    found = told(launch_of(limits=limits, nice=nice), null, tmp_path)
    assert {name.lower(): tuple(found["limits"][name.upper()]) for name, _, _ in limits} == {
        name: (soft, hard) for name, soft, hard in limits
    }
    assert found["nice"] == nice


def test_cpus_and_the_killers_score(null: int, tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    score = min(1000, int(Path("/proc/self/oom_score_adj").read_text()) + 5)
    found = told(launch_of(cpus=(cpu,), oom_score=score, limits=(("nofile", 16, 16),)), null, tmp_path)
    assert (found["cpus"], found["oom_score"]) == ([cpu], score)
    assert cpu in os.sched_getaffinity(0)


def test_a_program_is_not_run_on_fewer_cpus_than_it_was_given(null: int) -> None:
    failed = failure(launch_of("true", cpus=(min(os.sched_getaffinity(0)), 8190, 8191)), null)
    assert (failed.stage, failed.reason.partition(":")[0]) == ("cpuAffinity", "cannot run on CPU 8190,8191")
    many = failure(launch_of("true", cpus=tuple(range(8192))), null)
    assert len(many.reason) < 200
    assert failure(launch_of("true", cpus=(8191,)), null).reason.startswith("cannot run on CPU 8191: ")


@as_root
def test_unlimited_raises_the_hard_limit_and_a_negative_nice_is_root_work(null: int, tmp_path: Path) -> None:
    unlimited = resource.RLIM_INFINITY
    found = told(launch_of(limits=(("core", 1, unlimited), ("cpu", 9, 9)), nice=-2), null, tmp_path)
    assert found["limits"]["CORE"] == [1, unlimited]
    assert found["limits"]["CPU"] == [9, 9]
    assert found["nice"] == -2


@as_root
@pytest.mark.parametrize(
    ("user", "group", "ids"),
    [("nobody", None, (65534, 65534)), ("nobody", "daemon", (65534, 1)), ("1", None, (1, 1)), (None, "daemon", (0, 1))],
)
def test_it_becomes_user_and_group_for_good(
    null: int, shared_place: Path, user: str | None, group: str | None, ids: tuple[int, int]
) -> None:
    found, _ = told_as_user(launch_of(user=user, group=group), null, shared_place)
    assert found["Uid"] == [ids[0]] * 4
    assert found["Gid"] == [ids[1]] * 4
    assert set(found["Groups"]) == {ids[1]} | ({65534} if user == "nobody" and group is None else set())


@as_root
def test_supplementary_groups_come_from_the_group_file(null: int, shared_place: Path) -> None:
    member = next(((each.gr_mem[0], each.gr_gid) for each in grp.getgrall() if each.gr_mem), None)
    if member is None:
        pytest.skip("no user of this machine has a supplementary group")
    name, gid = member
    found, _ = told_as_user(launch_of(user=name), null, shared_place)
    assert found["Uid"] == [pwd.getpwnam(name).pw_uid] * 4
    assert sorted(found["Groups"]) == sorted({gid, *os.getgrouplist(name, pwd.getpwnam(name).pw_gid)})


@pytest.fixture
def shared_place() -> Iterator[Path]:
    """A folder that any user may enter and write to, unlike the test's own."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@as_root
def test_the_environment_tells_who_the_user_is(null: int, shared_place: Path) -> None:
    inherited = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash", "SET": "SHELL"}
    launch = launch_of(user="daemon", environment=inherited)
    assert told_as_user(launch, null, shared_place)[1] == {
        "HOME": "/usr/sbin",
        "USER": "daemon",
        "LOGNAME": "daemon",
        "SHELL": "/usr/sbin/nologin",
        "SET": "SHELL",
    }
    _, variables = told_as_user(replace(launch, given=frozenset({"SHELL"})), null, shared_place)
    assert variables["SHELL"] == "/bin/bash"


@as_root
def test_a_number_without_an_entry_is_uid_and_gid_and_does_not_inherit_roots_home(
    null: int, shared_place: Path
) -> None:
    launch = launch_of(user="54321", environment={"HOME": "/root", "USER": "root"})
    found, variables = told_as_user(launch, null, shared_place)
    assert found == {"Uid": [54321] * 4, "Gid": [54321] * 4, "Groups": [54321]}
    assert variables == {"HOME": "/", "USER": "54321", "LOGNAME": "54321", "SHELL": "/bin/sh"}


@as_root
def test_the_directory_is_entered_as_the_user(null: int, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    marker = tmp_path / "marker"
    failed = failure(launch_of("touch", str(marker), user="nobody", directory=str(closed)), null)
    assert failed.stage == "workingDirectory"
    assert failed.reason == f"working directory '{closed}': Permission denied"
    assert not marker.exists()


@as_root
def test_a_command_is_never_run_when_the_user_change_fails(null: int, shared_place: Path) -> None:
    marker = shared_place / "marker"
    launch = launch_of("touch", str(marker))

    def body() -> None:
        os.setgroups([])
        os.setresgid(1, 1, 1)
        os.setresuid(1, 1, 1)
        for who in ({"user": "nobody"}, {"user": "0"}, {"group": "nogroup"}, {"user": "nobody", "group": "0"}):
            failed = failure(replace(launch, **who), null)  # type: ignore[arg-type]
            assert failed.stage == "user"
            assert failed.reason.startswith("cannot become '")
            assert failed.reason.endswith("': Operation not permitted")
            assert failed.hint == "run taskmaster as root, or leave the key out"
        assert isinstance(start(replace(launch, user="daemon", argv=("true",)), null), int)

    in_a_fork(body)
    assert not marker.exists()


@as_root
@pytest.mark.parametrize("uid", ["4294967295", "4294967296", "99999999999999999999"])
def test_a_number_that_means_no_change_or_nothing_is_refused(null: int, tmp_path: Path, uid: str) -> None:
    """setresuid(-1) succeeds and leaves the process root."""
    marker = tmp_path / "marker"
    assert failure(launch_of("touch", str(marker), user=uid), null).stage == "user"
    assert failure(launch_of("touch", str(marker), group=uid), null).stage == "user"
    assert not marker.exists()


def test_an_unknown_user_or_group_is_named(null: int) -> None:
    unknown = launch_of("true", user="no-such-user")
    assert failure(unknown, null) == SpawnFailure("user", "there is no user 'no-such-user'")
    unknown = launch_of("true", group="no-such-group")
    assert failure(unknown, null) == SpawnFailure("user", "there is no group 'no-such-group'")


@as_root
def test_who_is_not_root_cannot_raise_limits_or_priority(null: int, shared_place: Path) -> None:
    def body() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
        os.setresuid(1, 1, 1)
        failed = failure(launch_of("true", limits=(("nofile", 1024, 1024),)), null)
        assert failed.stage == "limits"
        assert failed.reason == "cannot set limits nofile: Operation not permitted"
        assert failed.hint
        failed = failure(launch_of("true", oom_score=-1000), null)
        assert failed.stage == "oomScoreAdjust"
        assert failed.reason == "cannot set oomScoreAdjust -1000: Permission denied"
        assert failed.hint
        raised = launch_of("/bin/sh", "-c", "test $(cat /proc/self/oom_score_adj) = 999", oom_score=999)
        assert run(raised, null) == 0, "also of a process that gives no dump of itself"
        failed = failure(launch_of("true", nice=-5), null)
        assert failed.stage == "nice"
        assert failed.reason == "cannot set nice -5: Permission denied"
        assert failed.hint

    in_a_fork(body)


@pytest.mark.parametrize("size", [0, 4096, 1 << 20, 8 << 20])
def test_too_little_memory_ends_the_child_or_fails_its_start_and_never_comes_back(null: int, size: int) -> None:
    """The limit holds already while Python sets the child up."""
    for name in ("as", "data", "stack"):
        outcome = start(launch_of("true", limits=((name, size, size),)), null)
        if isinstance(outcome, int):
            os.waitpid(outcome, 0)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


_pending: list[int] = []


def _in_child() -> None:
    for signum in _pending:
        os.kill(os.getpid(), signum)


os.register_at_fork(after_in_child=_in_child)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_between_fork_and_exec_kills_the_child_and_runs_no_handler_in_it(
    null: int, tmp_path: Path, signum: int
) -> None:
    handled, ran = tmp_path / "handled", tmp_path / "ran"
    before = signal.signal(signum, lambda *_: handled.touch())
    _pending.append(signum)
    try:
        status = run(launch_of("touch", str(ran), nice=0), null)
    finally:
        _pending.clear()
        signal.signal(signum, before)
    assert os.WTERMSIG(status) == signum
    assert not handled.exists()
    assert not ran.exists()


# ---- failures


def test_a_program_that_is_nowhere(way: Way, null: int, tmp_path: Path) -> None:
    directory = str(tmp_path)
    nowhere = way(launch_of("no-such-program", environment={"PATH": "/bin:/usr/bin:/etc/passwd"}))
    reason = "command 'no-such-program' not found on PATH"
    assert failure(nowhere, null) == SpawnFailure("exec", reason, "PATH is /bin:/usr/bin:/etc/passwd")
    own = replace(nowhere, given=frozenset({"PATH"}))
    assert failure(own, null) == SpawnFailure("exec", reason, "see PATH in environment")
    without = replace(nowhere, environment={})
    assert failure(without, null) == SpawnFailure("exec", reason, "PATH is not set")
    absolute = way(launch_of(f"{tmp_path}/none"))
    assert failure(absolute, null) == SpawnFailure("exec", f"command '{tmp_path}/none' not found")
    relative = way(launch_of("./none", directory=directory))
    hint = f"it is looked for in {directory}"
    assert failure(relative, null) == SpawnFailure("exec", "command './none' not found", hint)
    assert failure(way(launch_of("/etc/passwd/none")), null).reason == "command '/etc/passwd/none' not found"


@as_root
def test_a_directory_of_path_that_may_not_be_entered_does_not_hide_that_a_program_is_nowhere(
    null: int, tmp_path: Path
) -> None:
    """As root's PATH is for a task with `user`."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    launch = launch_of("no-such-program", user="nobody", environment={"PATH": f"{closed}:/usr/bin"})
    assert failure(launch, null).reason == "command 'no-such-program' not found on PATH"


@pytest.mark.parametrize(
    ("text", "mode", "reason", "hint"),
    [
        (
            "#!/no/such/sh -e\n",
            0o755,
            "No such file or directory",
            "its interpreter /no/such/sh (first line of {}) does",
        ),
        ("#! /no/such/sh", 0o755, "No such file or directory", "its interpreter /no/such/sh (first line of {}) does"),
        ("#!/bin/sh\r\ntrue\r\n", 0o755, "No such file or directory", "the first line of {} ends in CR LF"),
        ("#!/bin/sh\n", 0o644, "Permission denied", "chmod +x {}"),
        ("true\n", 0o755, "Exec format error", "{} is no binary and has no '#!' line"),
        ("", 0o755, "Exec format error", "{} is no binary and has no '#!' line"),
    ],
)
def test_a_program_that_cannot_be_run(
    way: Way, null: int, tmp_path: Path, text: str, mode: int, reason: str, hint: str
) -> None:
    program = script(tmp_path / "program", text, mode)
    for launch in (launch_of(program), launch_of("program", environment={"PATH": str(tmp_path)})):
        failed = failure(way(launch), null)
        assert (failed.stage, failed.reason) == ("exec", f"cannot run '{launch.argv[0]}': {reason}")
        assert failed.hint.startswith(hint.format(program))


def test_a_directory_a_dangling_link_a_foreign_binary(way: Way, null: int, tmp_path: Path) -> None:
    failed = failure(way(launch_of(str(tmp_path))), null)
    hint = f"{tmp_path} is a directory"
    assert failed == SpawnFailure("exec", f"cannot run '{tmp_path}': Permission denied", hint)
    (tmp_path / "link").symlink_to("nothing")
    assert failure(way(launch_of(f"{tmp_path}/link")), null).hint == f"{tmp_path}/link is a link to nothing"
    program = bytearray(Path("/bin/true").read_bytes())
    loader = program.find(b"/lib64/ld-")
    if loader < 0:
        pytest.skip("no known loader in /bin/true")
    program[loader : loader + 4] = b"/LIB"
    (tmp_path / "foreign").write_bytes(program)
    (tmp_path / "foreign").chmod(0o755)
    assert failure(way(launch_of(f"{tmp_path}/foreign")), null).hint.startswith("the loader that ")


def test_a_directory_as_program_and_as_working_directory(way: Way, null: int, tmp_path: Path) -> None:
    """Both have one name: the failed step is the program."""
    assert failure(way(launch_of(str(tmp_path), directory=str(tmp_path))), null).stage == "exec"


def test_a_missing_working_directory_and_one_that_is_a_file(way: Way, null: int, tmp_path: Path) -> None:
    missing = f"{tmp_path}/missing"
    failed = failure(way(launch_of("true", directory=missing)), null)
    reason = f"working directory '{missing}': No such file or directory"
    assert failed == SpawnFailure("workingDirectory", reason, f"mkdir -p {missing}")
    (tmp_path / "file").touch()
    failed = failure(way(launch_of("true", directory=f"{tmp_path}/file")), null)
    assert failed == SpawnFailure("workingDirectory", f"working directory '{tmp_path}/file': Not a directory")


def test_a_working_directory_that_may_not_be_entered(way: Way, null: int, tmp_path: Path) -> None:
    def body() -> None:
        if os.geteuid() == 0:
            os.setresuid(1, 1, 1)
        failed = failure(way(launch_of("true", directory=str(closed))), null)
        assert failed.stage == "workingDirectory"
        assert failed.reason.endswith(": Permission denied")

    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    in_a_fork(body)


def test_a_word_of_200_kilobytes(way: Way, null: int) -> None:
    failed = failure(way(launch_of("echo", "x" * 200_000)), null)
    assert failed.stage == "exec"
    assert failed.reason == ("Argument list too long: a word of the command has 200000 bytes, 131071 is the most")
    failed = failure(way(launch_of("y" * 200_000)), null)
    assert len(failed.reason) < 400
    failed = failure(way(launch_of("true", environment={"BIG": "secret" * 50_000})), null)
    assert failed.reason.endswith(": BIG has 300004 bytes, 131071 is the most")
    failed = failure(way(launch_of("true", *["x" * 100_000] * 200)), null)
    assert "together have 20" in failed.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"argv": ("echo", "a\0b")},
        {"argv": ("a\0b",)},
        {"environment": {"A": "secret\0"}},
        {"environment": {"A\0": "secret"}},
        {"environment": {"A=B": "secret"}},
        {"environment": {"A": "secret\ud800"}},
        {"argv": ("echo", "\ud800")},
        {"directory": "/tmp\0"},
    ],
)
def test_what_no_program_can_be_given(way: Way, null: int, changes: dict[str, Any]) -> None:
    failed = (
        failure(way(launch_of("true", **{k: v for k, v in changes.items() if k != "argv"})), null)
        if ("argv" not in changes)
        else failure(way(launch_of(*changes["argv"])), null)
    )
    assert failed.stage == "exec"
    assert "no program can be given" in failed.reason
    assert "secret" not in failed.reason + failed.hint


def test_no_descriptors_left(way: Way, null: int) -> None:
    def body() -> None:
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, highest + 1))
        full = []
        while True:
            try:
                full.append(os.dup(null))
            except OSError as error:
                assert error.errno == errno.EMFILE
                break
        outcome = start(way(launch_of("true")), null)
        os.close(full.pop())
        assert outcome == Failed("fork", errno.EMFILE)
        failed = explain(launch_of("true"), outcome)
        assert failed.reason == "the system gives no new process: Too many open files"
        assert "ulimit -n" in failed.hint
        assert "LimitNOFILE=" in failed.hint
        assert failed.shortage

    in_a_fork(body)


def test_a_user_is_not_unknown_where_there_are_no_descriptors_to_look_with(null: int) -> None:
    """The C library says that there is no such user, or leaves out groups, where it cannot open its files."""

    def body() -> None:
        full = [os.dup(null) for _ in range(10)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(full) + 1, max(full) + 1))
        with suppress(OSError):
            while True:
                full.append(os.dup(null))
        for _ in range(10):
            outcome = spawn(launch_of("true", user="root"), (null, null, null))
            if not isinstance(outcome, Failed):
                return
            assert outcome == Failed("fork", errno.EMFILE)
            os.close(full.pop())
        raise AssertionError("it never started")

    in_a_fork(body)


def test_what_a_limit_of_the_task_itself_makes_scarce_is_no_shortage_of_the_machine() -> None:
    launch = launch_of("true", limits=(("as", 4096, 4096),))
    assert not explain(launch, Failed("exec", errno.ENOMEM)).shortage
    assert explain(launch, Failed("fork", errno.ENOMEM)).shortage
    assert explain(launch_of("true"), Failed("exec", errno.ENOMEM)).shortage
    assert not explain(launch_of("true"), Failed("exec", errno.EACCES)).shortage


@as_root
def test_no_processes_left(way: Way, null: int) -> None:
    def body() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        os.setresuid(54322, 54322, 54322)
        failed = failure(way(launch_of("true")), null)
        assert (failed.stage, failed.shortage) == ("fork", True)
        assert failed.reason == "the system gives no new process: Resource temporarily unavailable"
        assert "ulimit -u" in failed.hint

    in_a_fork(body)


def test_what_a_program_writes_and_how_it_ends_is_its_own(way: Way, null: int, tmp_path: Path) -> None:
    """An end with 127 is not a failed start, and the pipe by which a failure is told is not the program's."""
    status = run(way(launch_of("sh", "-c", "exit 127")), null)
    assert os.waitstatus_to_exitcode(status) == 127
    result = subprocess.run(["stat", "-c", "%a", script(tmp_path / "x", "")], capture_output=True, check=True)
    assert result.stdout == b"755\n"
    assert run(way(launch_of("touch", str(tmp_path / "made"), umask=0o077)), null) == 0
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600


# ---- vfork


def test_where_the_private_function_is_not_known_the_public_way_does_the_same(null: int, tmp_path: Path) -> None:
    as_user = launch_of(directory=str(tmp_path), environment={"PATH": "/usr/bin:/bin", "B": "2"}, umask=0o027)
    word = str(WHAT_I_AM), str(tmp_path / "told")
    launch = replace(as_user, argv=(PYTHON, "-S", *word))
    found = []
    for begin in (start, by_the_public_way):
        pid = begin(launch, null)
        assert isinstance(pid, int)
        assert os.waitpid(pid, 0)[1] == 0
        found.append(json.loads((tmp_path / "told").read_text()))
    own = [{name: value for name, value in each.items() if str(value) != str(each["pid"])} for each in found]
    assert own[0] == own[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"argv": ("no-such-program",)},
        {"argv": ("/no/such/program",)},
        {"argv": ("/etc/passwd",)},
        {"directory": "/no/such/directory"},
        {"directory": "/etc/passwd"},
    ],
)
def test_a_step_that_fails_is_the_same_by_the_public_way(null: int, changes: dict[str, Any]) -> None:
    launch = launch_of(*changes.pop("argv", ("/bin/true",)), **changes)
    failed = start(launch, null)
    assert isinstance(failed, Failed)
    assert by_the_public_way(launch, null) == failed


def test_a_failure_is_heard_also_where_the_kernel_takes_fork_instead(null: int) -> None:
    """The function that is called takes fork where vfork is refused: the child may not have begun when we go on."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        assert vfork.told(reading, known=True) == b""
        os.write(writing, b"OSError:")  # it tells in several words
        if (pid := os.fork()) == 0:
            signal.sigtimedwait([], 0.05)
            os.write(writing, b"2:")
            os._exit(0)
        os.close(writing)
        assert vfork.told(reading, known=False) == b"OSError:2:"
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        os.close(reading)


@pytest.mark.skipif(not vfork.KNOWN, reason="the function is not known here")
def test_a_vfork_counts_as_a_wait_so_that_a_start_waits_for_nothing_else(null: int) -> None:
    """Not where the child was quicker than we are, hence some of them."""

    def counts() -> bool:
        before = vfork.waits()
        pid = start(launch_of("/bin/true"), null)
        counted = vfork.waits() > before
        assert isinstance(pid, int)
        return os.waitpid(pid, 0)[1] == 0 and counted

    assert any(counts() for _ in range(20))
