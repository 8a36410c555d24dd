"""What the edge's modules ask of one another: shapes only, so that none of them has to import another.

`Watcher` is the part of the loop that a descriptor's owner needs, `Outlet` where the console's output goes,
`Editor` how keys become lines. Whoever puts the program together (`tm.cli`) hands the real ones in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, Protocol, TypeAlias

from tm.core.lines import LINE_BYTES as LINE_BYTES
from tm.core.timers import Instant, Timer

Callback: TypeAlias = Callable[[], None]


class Watcher(Protocol):
    """The loop, as far as the owner of a descriptor has to know it."""

    now: Instant

    def watch(self, fd: int, callback: Callback, *, write: bool = False, both: bool = False) -> None:
        """Call `callback` in every turn in which `fd` can be read (`write`: written; `both`: either). Replaces an
        earlier watch.
        """

    def unwatch(self, fd: int) -> None:
        """Forget `fd`; not watched: nothing happens."""

    def soon(self, callback: Callback) -> None:
        """Call `callback` when what happens now is over."""

    def call_in(self, wait_s: float, callback: Callback) -> Timer[Any]:
        """Call `callback` once, in so many seconds or soon after."""


class Outlet(Protocol):
    """A place for output that takes everything at once and never waits for whoever reads it."""

    on_drained: Callback
    """Called when a backlog has been written (or is lost)."""

    @property
    def backlog(self) -> int:
        """How many bytes the reader has not taken yet."""

    def put(self, data: bytes) -> None:
        """Write what can be written now, keep the rest."""

    def close(self) -> None:
        """Give the reader a last, short chance; then nothing is kept."""


class Key(Enum):
    """What can be typed beside lines."""

    INTERRUPT = "the line is dropped"
    TOO_LONG = "a line that nobody types was ignored"
    END = "there is nothing more to come"


Typed: TypeAlias = "str | Key"


class Editor(Protocol):
    """How the bytes of stdin become lines, and what stands on the screen meanwhile.

    `feed` and `finish` are to be exhausted before the next call of either; between two values the prompt is not
    on the screen, so that the owner may print.
    """

    by_key: bool
    """It wants every key as it is typed and draws the line itself; else the terminal does both."""

    shown: bool
    """The prompt is on the screen. To be cleared where somebody else has written over it."""

    emit: Callable[[bytes], None]
    """Where it draws."""

    def show(self) -> None:
        """Draw prompt and half-typed line, from the left edge on, unless they are shown."""

    def hide(self) -> None:
        """Take them away if they are shown, the cursor at the left edge; what is typed is kept."""

    def feed(self, data: bytes) -> Iterator[Typed]:
        """What `data` completes, one at a time."""

    def finish(self) -> Iterator[Typed]:
        """The line that was never finished, if it is one, and the end."""

    def resized(self) -> None:
        """The terminal has another size; what is shown is drawn anew."""

    def close(self) -> None:
        """The last call: keep what has to be kept."""


class Memory(Protocol):
    """Lines entered before."""

    @property
    def lines(self) -> Sequence[str]:
        """The oldest first."""

    def add(self, line: str) -> bool:
        """Remember a line, where it is one to be remembered."""

    def save(self) -> None:
        """Keep what was added for the next time."""
