"""File systems of a test's own: small ones, and a machine's places that are empty and nobody else's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.driver import environment


@contextmanager
def tmpfs(place: Path, options: str) -> Iterator[Path]:
    """One at `place`, which is made; the test is skipped where that is not allowed."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system of its own needs root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def resize(place: Path, options: str) -> None:
    """Make more room in one of these, or less."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def on_an_empty_machine(home: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in `home`, where /run, /var/lib and /var/log are empty, up to its first failure."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    empty = "set -e; for place in /run /var/lib /var/log; do mount -t tmpfs none $place; done\n"
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", empty + script],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
