"""Work in a process of its own: a fork that makes one value of bytes, sends it, and is gone.

Guarantees: whatever the work does, imports or breaks, ends with that process, which runs nothing of its parent's on the
way out; it dies with its parent, gets none of its signals (a session of its own, and every signal as it is by
default), and neither reads its input nor writes to its output. What was sent is taken whole or not at all.
Leaves to others: what is done, which descriptors stay open for it, and waiting for the dead.

Traps: an answer that comes without its end is none, however it was cut off; hence its length goes first.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

READ_BYTES: Final = 256 * 1024
_LENGTH_BYTES: Final = 8
_DONE, _FAILED = b"+", b"-"
_PR_SET_PDEATHSIG: Final = 1


def begin(work: Callable[[int], bytes]) -> tuple[int, int]:
    """Fork, and do it there; the pid, and the end of a pipe on which its value comes, which never blocks and is the
    caller's. `work` is given the one descriptor that it has to leave open. Raises OSError.
    """
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        os.close(ours)
        os.close(theirs)
        raise
    if not pid:
        _do(work, theirs, parent)
    os.close(theirs)
    os.set_blocking(ours, False)
    return pid, ours


class Value:
    """What comes on the pipe. Owns its descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._came = bytearray()

    def take(self) -> bool:
        """Read once; whether more may come."""
        try:
            data = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return True
        self._came += data
        return bool(data)

    @property
    def whole(self) -> bytes | None:
        """The value, when all of it is there."""
        return self._content(_DONE)

    @property
    def bug(self) -> str:
        """The traceback, where the work failed; or ''."""
        return (self._content(_FAILED) or b"").decode(errors="replace")

    def close(self) -> None:
        """Nothing more is wanted of it."""
        os.close(self.fd)

    def _content(self, how: bytes) -> bytes | None:
        begin = 1 + _LENGTH_BYTES
        length = int.from_bytes(self._came[1:begin], "little")
        if self._came[:1] != how or len(self._came) != begin + length:
            return None
        return bytes(self._came[begin:])


# ---- in the child


def _do(work: Callable[[int], bytes], fd: int, parent: int) -> NoReturn:
    """Nothing of what follows in the parent is to be run, not even where an exception would lead."""
    code = 1
    try:
        _part(parent)
        _send(fd, _DONE, work(fd))
        code = 0
    finally:
        try:
            if code:
                _send(fd, _FAILED, traceback.format_exc().encode(errors="replace"))
        finally:
            os._exit(code)


def _part(parent: int) -> None:
    """Have nothing in common with the parent but its memory as it was, and its end."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    os.setsid()
    signal.set_wakeup_fd(-1)
    for signum in signal.valid_signals():
        if callable(signal.getsignal(signum)):
            signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.close(null)


def _send(fd: int, how: bytes, content: bytes) -> None:
    left = memoryview(how + len(content).to_bytes(_LENGTH_BYTES, "little") + content)
    while left:
        left = left[os.write(fd, left) :]
