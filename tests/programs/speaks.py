"""Says what it is told to: each line of the FIFO named by its first argument is a datagram to NOTIFY_SOCKET, with `|`
for a line end and `$PID` for its pid. `END` ends it; with a second argument, `late`, SIGTERM does not.
"""

from __future__ import annotations

import os
import signal
import socket
import sys


def tell(text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        mouth.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


if sys.argv[2:] == ["late"]:
    signal.signal(signal.SIGTERM, lambda signum, frame: tell("STATUS=not yet"))
while True:
    with open(sys.argv[1]) as orders:
        for line in orders:
            if line.strip() == "END":
                sys.exit()
            tell(line.rstrip("\n").replace("|", "\n").replace("$PID", str(os.getpid())))
