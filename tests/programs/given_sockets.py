"""Serves the sockets that it was given: whoever connects hears, as JSON, what this process has; until it is ended.

With an argument it ends with that exit code instead.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from contextlib import suppress

if len(sys.argv) > 1:
    sys.exit(int(sys.argv[1]))
descriptors = {name: os.readlink(f"/proc/self/fd/{name}") for name in sorted(os.listdir("/proc/self/fd"), key=int)[:-1]}
count = int(os.environ["LISTEN_FDS"])
sockets = [socket.socket(fileno=3 + at) for at in range(count)]
for each in sockets:
    each.setblocking(False)
names = os.environ["LISTEN_FDNAMES"].split(":")
while True:
    for ready in select.select(sockets, [], [])[0]:
        with suppress(BlockingIOError):
            peer, _ = ready.accept()
            told = {
                "pid": os.getpid(),
                "meant": int(os.environ["LISTEN_PID"]),
                "instance": os.environ["TASKMASTER_INSTANCE"],
                "name": names[sockets.index(ready)],
                "names": names,
                "sockets": [os.fstat(each.fileno()).st_ino for each in sockets],
                "descriptors": descriptors,
            }
            peer.sendall(json.dumps(told).encode())
            peer.close()
