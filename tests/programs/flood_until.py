"""Writes numbered lines until it is told to end, then some more and a last one: NAME FLAG [RATE].

FLAG is a file that appears. RATE is in bytes a second on the average: bursts as fast as the pipe takes them, and pauses
between; without it there are none. Each line is `NAME NUMBER LENGTH xxx...`, the last `NAME NUMBER end`; they are
written in pieces that do not end where lines do.
"""

from __future__ import annotations

import os
import sys
import time

MORE = 500
BURST_BYTES = 300_000

name, flag = sys.argv[1:3]
pause_s = BURST_BYTES / float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
number, told_at, text, burst_bytes = 0, None, b"", 0
while told_at is None or number < told_at + MORE:
    text += f"{name} {number} {number * 7 % 211} {'x' * (number * 7 % 211)}\n".encode()
    number += 1
    if len(text) > 4096:
        written = os.write(1, text[: 1 + number * 31 % 4096])
        text = text[written:]
        burst_bytes += written
        if told_at is None and os.path.exists(flag):
            told_at = number
    if pause_s and burst_bytes >= BURST_BYTES and told_at is None:
        burst_bytes = 0
        time.sleep(pause_s)
text += f"{name} {number} end\n".encode()
while text:
    text = text[os.write(1, text) :]
