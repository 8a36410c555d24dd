"""A daemon that goes into the background and ends there by a bug before it is up."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tm.edge.daemonize import detach

end = detach([])
if isinstance(end, int):
    sys.exit(end)
raise RuntimeError("a bug that nobody foresaw")
