"""A program that speaks to NOTIFY_SOCKET with nothing but the standard library; sd_notify(3) has all the words."""

import os
import socket
import time


def notify(*lines: str) -> None:
    """Say something of ourselves, where somebody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.sendto("\n".join(lines).encode(), "\0" + address[1:] if address.startswith("@") else address)


notify("STATUS=warming up")
time.sleep(1)
notify("READY=1")
for served in range(1_000_000):
    notify("WATCHDOG=1", f"STATUS={served} served")
    time.sleep(1)
