"""How a process ended, as a value.

Guarantees: exactly one of exit code, signal or unknown; a text that people know ("exit code 3", "signal SIGKILL");
one number for comparing with `expectedExitCodes`, where a signal is its negative.
Leaves to others: getting the status (`edge.reap`) and judging it (`core.process`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tm.core.signal_names import signal_name


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """The end of a process. `number`: exit code (0 to 255), or minus the signal; None: nobody could tell."""

    number: int | None
    dumped_core: bool = False

    @classmethod
    def from_wait(cls, status: int) -> ExitStatus:
        """Read the status word of waitpid(2), whose layout every Unix shares."""
        if status & 0x7F == 0:
            return cls(status >> 8 & 0xFF)
        return cls(-(status & 0x7F), bool(status & 0x80))

    @property
    def signum(self) -> int | None:
        """The signal that ended it, or None."""
        return -self.number if self.number is not None and self.number < 0 else None

    def __str__(self) -> str:
        if self.number is None:
            return "unknown exit status"
        if self.number < 0:
            return f"signal {signal_name(-self.number)}" + (", core dumped" if self.dumped_core else "")
        return f"exit code {self.number}"


UNKNOWN = ExitStatus(None)
