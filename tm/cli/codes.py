"""What taskmasterctl exits with. Plain numbers: `enum` would take longer to import than the daemon to answer.

`core.interface` says what each means. That no task has a name is told by the daemon's outcome itself (6).
"""

from __future__ import annotations

DONE, FAILED, USAGE, NOT_AS_WANTED, NO_DAEMON, NOT_ALLOWED = range(6)
TIMED_OUT, INTERRUPTED = 124, 130
