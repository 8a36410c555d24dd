"""Going into the background: the double fork, and the starter that waits until the daemon is up or says why not.

Guarantees: `detach` returns in two processes. In the daemon: a session without a terminal, directory /, umask 022,
descriptors 0 and 1 on /dev/null, no dump of its memory; what it writes to stderr until it is up stands on the starter's
terminal. In the starter: only when the daemon is up, or has failed, with the exit code that says so.

The pipe between them is the daemon's stderr, so that whatever goes wrong, a traceback as well, is seen where it was
started. A NUL and a number on it are the verdict; its end without one means that the daemon died.

Core dumps: python-daemon's `prevent_core` sets RLIMIT_CORE to 0, hard, which every child would inherit. Here the
process is made not dumpable (prctl), which ends at exec and so touches no child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

_PR_SET_DUMPABLE = 4
_UMASK = 0o022
_NOT_UP = b"taskmaster: the daemon ended before it was up.\n"
_NOT_WAITED = b"taskmaster: no longer waiting; the daemon goes on.\n"
_NOT_STARTED, _INTERRUPTED = 1, 130


class Readiness:
    """The daemon's end of the pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def tell(self, code: int) -> None:
        """The verdict: the starter ends with `code`, and stderr goes nowhere from now on. Later calls do nothing."""
        if self._fd < 0:
            return
        with suppress(OSError):  # perhaps nobody waits any more
            os.write(self._fd, b"\0%d" % code)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 2)
        os.close(null)
        os.close(self._fd)
        self._fd = -1


def detach(preserve: Iterable[int]) -> Readiness | int:
    """Become a daemon that keeps the descriptors `preserve`; in the starter, the exit code. Raises OSError."""
    _give_streams()
    receive, send = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.close(send)
        try:
            return _wait(receive)
        except KeyboardInterrupt:
            _show(_NOT_WAITED)
            return _INTERRUPTED
    os.close(receive)
    _enter(send, [*preserve, send])
    return Readiness(send)


def _enter(send: int, preserve: list[int]) -> None:
    """python-daemon's part, with every option said."""
    import daemon
    from daemon.daemon import DaemonError

    stderr = open(send, "wb", buffering=0, closefd=False)  # noqa: SIM115 - it is only looked at for its number
    context = daemon.DaemonContext(
        chroot_directory=None,
        working_directory="/",
        umask=_UMASK,
        uid=os.getuid(),
        gid=os.getgid(),
        initgroups=False,
        prevent_core=False,
        detach_process=True,
        files_preserve=preserve,
        pidfile=None,
        stdin=None,
        stdout=None,
        stderr=stderr,
        signal_map={},
    )
    try:
        context.open()
    except DaemonError as error:
        os.write(send, f"taskmaster: the way into the background failed: {error}.\n\0{_NOT_STARTED}".encode())
        os._exit(_NOT_STARTED)
    prevent_core()


def prevent_core() -> bool:
    """Let no dump of this process hold its secrets; False where the kernel does not know that."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def _give_streams() -> None:
    """The interpreter has no stream for what was closed at its start; python-daemon asks each for its number."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, closefd=False))  # noqa: SIM115 - it is the stream from now on


def _wait(receive: int) -> int:
    """Hand on what the daemon says until its verdict, or its end."""
    verdict: bytes | None = None
    with open(receive, "rb", buffering=0) as pipe:
        while data := pipe.read(65536):
            if verdict is not None:
                verdict += data
                continue
            text, mark, rest = data.partition(b"\0")
            _show(text)
            verdict = rest if mark else None
    if verdict is not None and verdict.isdigit():
        return int(verdict)
    _show(_NOT_UP)
    return _NOT_STARTED


def _show(text: bytes) -> None:
    with suppress(OSError):  # perhaps there is no terminal
        os.write(2, text)
