"""Becomes a program that is given descriptors as a service manager gives them, from 3 on.

Usage: activated.py PID FD,... PROGRAM ...  PID: what LISTEN_PID is to say, `self`: the program's own.
"""

from __future__ import annotations

import os
import sys

pid, given = sys.argv[1:3]
for number, fd in enumerate([os.dup(int(each)) for each in given.split(",") if each], 3):
    os.dup2(fd, number)
    os.set_inheritable(number, True)  # nothing is done to a descriptor that is its own copy
os.environ["LISTEN_PID"] = str(os.getpid()) if pid == "self" else pid
os.execv(sys.argv[3], sys.argv[3:])
