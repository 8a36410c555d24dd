"""Every process of it forks as long as it may, and again when another one has ended; SIGTERM ends none of them."""

from __future__ import annotations

import os
import select
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try:
        os.fork()
    except BlockingIOError:
        select.select([], [], [], 0.01)
