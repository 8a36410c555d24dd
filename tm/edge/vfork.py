"""Starting a program the quick way: vfork(2), after which the child may only become the program.

Guarantees: as `edge.spawn`, for a launch that needs no fork: a session of its own, default dispositions of what the
interpreter ignores, umask and directory, exactly these words and this environment, and which step failed and why.
Leaves to others: who is started in this way, and the words as bytes (`daemon.starting`).

The address space is not copied, so that a start costs the same however big the daemon is. `subprocess.Popen` does that
too, and much more that nobody asks for here: more than half of the CPU time of a start was its own. Hence the function
of the standard library behind it is called, which is private, and only where its parameters are known; else Popen is.

Popen also waits until the child, by becoming the program, has closed its end of a pipe, which takes longer than all
else of a start where processors are busy. It need not: a vfork lets us go on when the child has become the program, or
has written what failed and ended. What is not in the pipe by then will never be. Only where the kernel refuses a vfork
the function takes fork, and we have to wait. That is told by the kernel's count of our waits, which a vfork adds to.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Final

from tm.core.launch import OPEN_FILES, Failed, Launch, Words

if sys.platform.startswith("linux"):
    from _posixsubprocess import fork_exec

    _fork_exec: Callable[..., int] = fork_exec

Stdio = tuple[int, int, int]

KNOWN: Final = sys.platform.startswith("linux") and (3, 11) <= sys.version_info[:2] <= (3, 13)
"""Whether the function has the parameters that it is given here."""
_MOST_TOLD: Final = 1000
_NONE: Final = -1
_STDERR: Final = 2


def spawn(launch: Launch, words: Words, stdio: Stdio) -> int | Failed:
    """Start the program with `stdio` as its descriptors 0 to 2; its pid, or why not. Raises OSError where there is no
    descriptor, or no process, for it.
    """
    return _direct(launch, words, stdio) if KNOWN else by_popen(launch, stdio)


def _direct(launch: Launch, words: Words, stdio: Stdio) -> int | Failed:
    telling, result = _pipe()
    try:
        try:
            before = waits()
            pid = _begin(launch, words, stdio, (telling, result))
            waited = waits() > before
        finally:
            os.close(result)
        failure = told(telling, waited)
    finally:
        os.close(telling)
    if not failure:
        return pid
    os.waitpid(pid, 0)
    _, number, step = failure.split(b":", 2)
    return Failed("workingDirectory" if step.startswith(b"noexec") else "exec", int(number, 16))


def _pipe() -> tuple[int, int]:
    """What a failure is told through: the end that is read never waits, the other one is none of the child's stdio."""
    telling, result = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    if result > _STDERR:
        return telling, result
    try:
        return telling, fcntl.fcntl(result, fcntl.F_DUPFD_CLOEXEC, _STDERR + 1)
    except OSError:
        os.close(telling)
        raise
    finally:
        os.close(result)


def _begin(launch: Launch, words: Words, stdio: Stdio, pipe: tuple[int, int]) -> int:
    stdin, stdout, stderr = stdio
    arguments = (
        words.argv,
        _places(launch),
        False,  # close_fds
        pipe[1:],  # what is kept open all the same
        os.fsencode(launch.directory),
        words.environment,
        *(stdin, _NONE, _NONE, stdout, _NONE, stderr),
        *pipe,
        True,  # the signals that the interpreter ignores are not ignored
        True,  # a session of its own
        _NONE,  # process group: that of the session
        *(None, None, None),  # ids
        launch.umask,
        None,  # nothing in Python comes between
        True,  # vfork
    )
    soft = os.environ.get(OPEN_FILES)
    return _fork_exec(*arguments) if soft is None else _under(int(soft), arguments)


def _under(soft: int, arguments: Sequence[object]) -> int:
    """Where our limit of open files was raised, it is what the child is to have while that begins: nobody can set it
    there. What is open by then stays open.
    """
    ours = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, *ours), ours[1]))
    try:
        return _fork_exec(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, ours)


def _places(launch: Launch) -> Sequence[bytes]:
    """Where the program may be, one after the other, as execvp(3) looks for it on the child's own PATH."""
    program = launch.argv[0]
    if "/" in program:
        return (os.fsencode(program),)
    path = launch.environment.get("PATH", os.defpath)
    places = [f"{each}/{program}" if each else program for each in path.split(os.pathsep)]
    return os.fsencode("\0".join(places)).split(b"\0")  # none is in a word


def waits() -> int:
    """How often the kernel has let us wait for something."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def told(pipe: int, known: bool) -> bytes:
    """What the child has told, b'' if it has become the program; `known`: it has done one of the two."""
    if known:
        try:
            return os.read(pipe, _MOST_TOLD)
        except BlockingIOError:
            return b""
    os.set_blocking(pipe, True)
    with open(pipe, "rb", closefd=False) as file:
        return file.read()


def by_popen(launch: Launch, stdio: Stdio) -> int | Failed:
    """The same, by what is public; imported only where it is needed, which is nowhere as a rule."""
    import subprocess

    try:
        child = subprocess.Popen(
            launch.argv,
            stdin=stdio[0],
            stdout=stdio[1],
            stderr=stdio[2],
            cwd=os.fsencode(launch.directory),
            env=launch.environment,
            umask=launch.umask,
            start_new_session=True,
            close_fds=False,
        )
    except OSError as error:
        # Popen names the directory (bytes, as given) where chdir failed, the program where exec did; else pipe or fork
        named = error.filename
        stage = "fork" if named is None else "workingDirectory" if isinstance(named, bytes) else "exec"
        return Failed(stage, error.errno or errno.EIO)
    child.returncode = 0
    return child.pid
