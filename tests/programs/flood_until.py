"""Writes numbered lines until it is told to end, then some more and a last one: NAME FLAG.

FLAG is a file that appears. Each line is `NAME NUMBER LENGTH xxx...`, the last `NAME NUMBER end`; they are written in
pieces that do not end where lines do.
"""

from __future__ import annotations

import os
import sys

MORE = 500
name, flag = sys.argv[1:]
number, told_at, text = 0, None, b""
while told_at is None or number < told_at + MORE:
    text += f"{name} {number} {number * 7 % 211} {'x' * (number * 7 % 211)}\n".encode()
    number += 1
    if len(text) > 4096:
        text = text[os.write(1, text[: 1 + number * 31 % 4096]) :]
    if told_at is None and os.path.exists(flag):
        told_at = number
text += f"{name} {number} end\n".encode()
while text:
    text = text[os.write(1, text) :]
