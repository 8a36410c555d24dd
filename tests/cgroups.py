"""Control groups for tests, and daemons that have none."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import until
from tm.edge import cgroup, pidfd

WITHOUT = (
    "unshare",
    "-m",
    "sh",
    "-c",
    """while place=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts) && [ "$place" ]; do
           umount -l "$place" || exit 1
       done
       exec "$@\"""",
    "sh",
)
"""Before a command: where no cgroup v2 is mounted."""


def home() -> Path:
    """Our own cgroup; the test is skipped where none can be made in it."""
    place, why = cgroup.own()
    if not place:
        pytest.skip(f"no cgroup can be made here: {why}")
    return Path(place)


def need_memory() -> None:
    """The test is skipped where cgroup v2 does not count memory."""
    if "memory" not in (home() / "cgroup.controllers").read_text().split():
        pytest.skip("cgroup v2 has no memory controller here")


def need_none() -> None:
    """The test is skipped where `WITHOUT` does not work."""
    if os.geteuid() != 0 or subprocess.run([*WITHOUT, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace without cgroup v2 can be made here")


@contextmanager
def made(name: str) -> Iterator[Path]:
    """One of a test's own, which ends with everything in it."""
    path = home() / f"{name}-{os.getpid()}"
    path.mkdir()
    try:
        yield path
    finally:
        cgroup.send(str(path), signal.SIGKILL, pidfd.deliver)
        until(lambda: cgroup.remove(str(path)), f"the end of {path}")


def inside(path: Path) -> tuple[str, ...]:
    """Before a command: in this cgroup."""
    return ("sh", "-c", f'echo $$ > "{path}/cgroup.procs" && exec "$@"', "sh")
