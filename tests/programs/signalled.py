"""The self-pipe in a process of its own: its argument says what is tried, its output what came of it, as JSON."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys

from tm.edge.loop import Loop, Rank
from tm.edge.signals import HANDLED, Signals


def _raise(signum: int) -> None:
    os.kill(os.getpid(), signum)


def at_once() -> dict[str, object]:
    """1,000 signals of every kind, sent by another process while nobody receives."""
    heard: list[int] = []
    signals = Signals(heard.append)
    # The kernel itself discards a pending SIGCONT when a stop signal comes, and the other way round.
    kinds = [int(signum) for signum in HANDLED if signum != signal.SIGTSTP]
    script = f"import os\nfor n in range(1000): os.kill({os.getpid()}, {kinds}[n % {len(kinds)}])"
    subprocess.run([sys.executable, "-c", script], check=True)
    while select.select([signals.fd], [], [], 0)[0]:
        signals.receive()
    return {"missed": sorted(set(kinds) - set(heard)), "strangers": sorted(set(heard) - set(kinds))}


def full_bell() -> dict[str, object]:
    """The pipe is full to its last byte."""
    heard: list[int] = []
    signals = Signals(heard.append)
    for _ in range(70_000):
        _raise(signal.SIGUSR1)
    _raise(signal.SIGTERM)
    signals.receive()
    first = list(heard)
    while select.select([signals.fd], [], [], 0)[0]:
        signals.receive()
    _raise(signal.SIGHUP)
    rings = bool(select.select([signals.fd], [], [], 0)[0])
    signals.receive()
    return {"first": first, "heard": heard, "rings": rings}


def failing() -> dict[str, object]:
    """One of those that arrive together ends in an exception: the others are not lost, the loop goes on."""
    heard: list[int] = []
    errors: list[BaseException] = []

    def on_signal(signum: int) -> None:
        heard.append(signum)
        if signum == signal.SIGHUP:
            raise RuntimeError("a bug")

    loop = Loop(errors.append)
    signals = Signals(on_signal)
    loop.watch(signals.fd, signals.receive, Rank.DEATH)
    for signum in (signal.SIGUSR2, signal.SIGHUP, signal.SIGTERM):
        _raise(signum)
    loop.turn(0)
    loop.turn(0)
    loop.turn(0)
    return {"heard": heard, "errors": len(errors)}


def wakes() -> dict[str, object]:
    """A signal ends the waiting of the loop; a second loop turn finds nothing."""
    heard: list[int] = []
    loop = Loop(lambda error: None)
    signals = Signals(heard.append)
    loop.watch(signals.fd, signals.receive, Rank.DEATH)
    script = f"import os; os.kill({os.getpid()}, 12)"
    child = subprocess.Popen([sys.executable, "-c", script])
    while signal.SIGUSR2 not in heard or signal.SIGCHLD not in heard:
        loop.turn()
    child.wait()
    return {"heard": sorted(set(heard))}


def closing() -> dict[str, object]:
    """What `close` gives back."""
    inherited = signal.getsignal(signal.SIGALRM) is signal.SIG_IGN and 14 in signal.valid_signals()
    before = set(os.listdir("/proc/self/fd"))
    signals = Signals(lambda _signum: None)
    alarm = signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    ignored = [signal.getsignal(each) is signal.SIG_IGN for each in (signal.SIGTTIN, signal.SIGTTOU)]
    signals.close()
    return {
        "inherited": inherited,
        "reset": alarm,
        "blocked": blocked,
        "ignored": ignored,
        "default": all(signal.getsignal(each) is signal.SIG_DFL for each in (*HANDLED, signal.SIGTTIN, signal.SIGTTOU)),
        "wakeup": signal.set_wakeup_fd(-1),
        "leaked": sorted(set(os.listdir("/proc/self/fd")) - before),
    }


TRIALS = {each.__name__: each for each in (at_once, full_bell, failing, wakes, closing)}
print(json.dumps(TRIALS[sys.argv[1]]()))
