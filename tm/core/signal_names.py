"""Signals by their names, and names of signals.

Guarantees: a number is always named, and a name is understood in any case, with SIG or without.
"""

from __future__ import annotations

import re
import signal

_NUMBER = re.compile(r"[0-9]{1,10}")
_REALTIME = re.compile(r"RTMIN\+([0-9]{1,2})")


def signal_name(signum: int) -> str:
    """`SIGTERM` for 15; a real-time or unknown number as `SIGRTMIN+n` or `signal n`."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"SIGRTMIN+{signum - signal.SIGRTMIN}" if signum > signal.SIGRTMIN else f"signal {signum}"


def signal_number(written: str) -> int | None:
    """The signal of a name (with or without SIG, in any case) or of a number; None: there is none."""
    if _NUMBER.fullmatch(written):
        return int(written) if int(written) in signal.valid_signals() else None
    name = written.upper().removeprefix("SIG")
    if found := _REALTIME.fullmatch(name):
        number = int(signal.SIGRTMIN) + int(found[1])
        return number if number <= signal.SIGRTMAX else None
    known = signal.Signals.__members__.get(f"SIG{name}")
    return None if known is None else int(known)


def signal_names() -> list[str]:
    """The names of all signals of this machine."""
    return list(signal.Signals.__members__)
