"""Knocking at the sockets that `programs/given_sockets.py` serves."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

PROGRAM = f"{sys.executable} {Path(__file__).resolve().parent / 'programs' / 'given_sockets.py'}"
"""The command."""


def free_port() -> int:
    """A port at which nobody listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def knock(place: Path | int, host: str = "127.0.0.1") -> dict[str, Any]:
    """What the process says that answers at a path or a port. Raises OSError."""
    with socket.socket(socket.AF_UNIX) if isinstance(place, Path) else socket.socket(_family(host)) as client:
        client.settimeout(30)
        client.connect(str(place) if isinstance(place, Path) else (host, place))
        with client.makefile("rb") as stream:
            told: dict[str, Any] = json.load(stream)
            return told


def refused(place: Path | int) -> bool:
    """Whether nobody listens there."""
    with socket.socket(socket.AF_UNIX) if isinstance(place, Path) else socket.socket() as client:
        try:
            client.connect(str(place) if isinstance(place, Path) else ("127.0.0.1", place))
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        return False


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
