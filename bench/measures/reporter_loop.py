"""What `reporter.c` does, for a machine without a compiler. Usage: reporter_loop.py FIFO NAME."""

from __future__ import annotations

import os
import signal
import sys

fifo, name = sys.argv[1:]
if name.startswith("$"):
    name = os.environ[name[1:]]
fd = os.open(fifo, os.O_WRONLY)
os.write(fd, b"%-20.20s %10d\n" % (name.encode(), os.getpid()))
os.close(fd)
while True:
    signal.pause()
