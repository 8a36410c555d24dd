"""Signals as readable bytes: the self-pipe.

Guarantees: a signal that arrives at any time, also while the loop is about to wait, wakes it; each that is pending is
handed over once, in the loop's own time, never in the middle of other code; children get the default dispositions back
(a handler, unlike SIG_IGN, does not survive exec, and what was inherited as ignored is set to default here).

The interpreter's C handler writes a byte into the pipe; the Python handler, which runs before the loop's next callback,
notes which signal it was. The pipe's content is therefore only a bell: when it overflows nothing is lost.

The terminal's job control: SIGTSTP gets a handler, so that Ctrl-Z cannot stop a supervisor; SIGTTIN and SIGTTOU are
ignored, since with a handler a terminal call from the background is restarted for ever. Ignoring is what a child would
inherit, so `default_for_child` says which signals a spawn has to set right; they are only ever raised by our own
terminal calls, so that they cannot arrive in between.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

HANDLED = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
    signal.SIGTSTP,
    signal.SIGWINCH,
)
_IGNORED = (signal.SIGTTIN, signal.SIGTTOU)
_KEPT = (signal.SIGPIPE, signal.SIGXFSZ)
"""The interpreter ignores these and `subprocess` restores them."""


class Signals:
    """The pipe and the handlers. `fd` is to be watched, and `receive` called when it can be read."""

    def __init__(self, on_signal: Callable[[int], None]) -> None:
        self._on_signal = on_signal
        self._pending: dict[int, None] = {}
        self.fd, self._bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *_KEPT, *HANDLED}:
            if signal.getsignal(signum) is signal.SIG_IGN:
                signal.signal(signum, signal.SIG_DFL)
        for signum in HANDLED:
            signal.signal(signum, self._note)
        for signum in _IGNORED:
            signal.signal(signum, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def receive(self) -> None:
        """Empty the pipe and hand over what is pending."""
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)
        pending, self._pending = self._pending, {}
        try:
            while pending:
                signum = next(iter(pending))
                del pending[signum]
                self._on_signal(signum)
        finally:
            if pending:
                self._again(pending)

    def close(self) -> None:
        """Default dispositions again; the pipe is given back."""
        signal.set_wakeup_fd(-1)
        for signum in (*HANDLED, *_IGNORED):
            signal.signal(signum, signal.SIG_DFL)
        os.close(self.fd)
        os.close(self._bell)

    def _again(self, pending: dict[int, None]) -> None:
        """One of them ended in an exception, which is no reason to lose the others: ring for them once more."""
        self._pending = {**pending, **self._pending}
        with suppress(BlockingIOError):
            os.write(self._bell, b"\0")

    def _note(self, signum: int, _frame: FrameType | None) -> None:
        self._pending[signum] = None


@contextmanager
def default_for_child() -> Iterator[None]:
    """While a child is made: nothing is ignored or blocked that it would inherit."""
    for signum in _IGNORED:
        signal.signal(signum, signal.SIG_DFL)
    mask = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        yield
    finally:
        if mask:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for signum in _IGNORED:
            signal.signal(signum, signal.SIG_IGN)
