"""Writes numbered lines of differing lengths to stdout, in pieces that do not end where lines do.

numbered_lines.py NAME COUNT: each line is `NAME NUMBER LENGTH xxx...`, so that a torn one is known.
"""

from __future__ import annotations

import os
import sys

name, count = sys.argv[1], int(sys.argv[2])
text = "".join(f"{name} {n} {n * 7 % 211} {'x' * (n * 7 % 211)}\n" for n in range(count)).encode()
start = 0
while start < len(text):
    start += os.write(1, text[start : start + 1 + start * 31 % 9000])
