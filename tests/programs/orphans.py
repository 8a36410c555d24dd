"""Leaves orphans: orphans.py COUNT. Each ends by itself soon after this has ended, in a session of its own."""

from __future__ import annotations

import os
import sys

ends, theirs = os.pipe()
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            os.close(theirs)
            os.closerange(0, 3)
            os.read(ends, 1)  # until whoever has left them is gone
        os._exit(0)
    os.wait()
