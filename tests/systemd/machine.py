"""A machine of its own for a test, booted by the real systemd: as process 1 of new namespaces, in a control group.

Its /run, /var/lib and /var/log are empty, the rest of the files are those of the machine; there is no other unit than
those of the test. Nothing of it is left at the end. Where this cannot be had the test is skipped, with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.integration.driver import ROOT, alive, environment
from tests.waiting import until

SYSTEMD = next((each for each in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(each)), "")
BOOT = Path(__file__).with_name("boot.sh")
UNITS = ROOT / "etc" / "systemd"
NAMESPACES = ["--mount", "--pid", "--ipc", "--uts", "--net"]
SYSTEM = ("default", "sysinit", "basic", "sockets", "shutdown", "network-online", "local-fs", "nss-user-lookup")
"""The targets that units want without saying so, or that ours name."""


class Machine:
    """Use as a context. `home` is seen by it as it is by the test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.units = home / "units"
        self._group = f"taskmaster-test-{os.getpid()}-{home.name}"
        self._told = home / "boot.txt"
        self._outer: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        try:
            self._boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _boot(self) -> None:
        """Start systemd and wait until it is up. Skips the test where that cannot be."""
        if os.geteuid() != 0:
            pytest.skip("systemd can be booted by root only")
        for program in (SYSTEMD, "systemctl", "unshare", "nsenter"):
            if not program or shutil.which(program) is None:
                pytest.skip(f"systemd cannot be booted: there is no {program or 'systemd'} here")
        self.units.mkdir()
        for name in SYSTEM:
            self.unit(f"{name}.target", "[Unit]\nDefaultDependencies=no\n")
        command = ["unshare", *NAMESPACES, "--fork", "--kill-child", "sh", str(BOOT), str(self.units), self._group]
        with self._told.open("wb") as told:
            self._outer = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=told, stderr=told, env={**os.environ, "SYSTEMD": SYSTEMD}
            )
        with suppress(AssertionError):
            until(lambda: self._outer is None or self._outer.poll() is not None or self._up(), "systemd", 60)
        if not self._up():
            pytest.skip(f"systemd cannot be booted here: {self._told.read_text().strip() or 'it does not come up'}")

    def _up(self) -> bool:
        assert self._outer is not None
        with suppress(OSError, ValueError):
            self._pid = int(Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text())
            if (self.root / "run" / "systemd" / "private").is_socket():
                return self.run("systemctl", "is-system-running").stdout == "running\n"
        return False

    @property
    def root(self) -> Path:
        """Its files."""
        return Path(f"/proc/{self._pid}/root")

    def unit(self, name: str, text: str) -> None:
        """Install a unit, or a drop-in; `daemon-reload` makes it known to one that runs."""
        path = self.units / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command on this machine, whatever comes of it."""
        inside = ["nsenter", "--target", str(self._pid), *NAMESPACES, "--cgroup"]
        return subprocess.run(
            [*inside, "--", *command],
            cwd=self.home,
            env=environment(self.home) | {"SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def systemctl(self, *words: str) -> str:
        """A command to systemd, which must be carried out; what it prints."""
        done = self.run("systemctl", *words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """What systemd knows of a unit."""
        lines = self.systemctl("show", unit, *(f"--property={name}" for name in names)).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def process(self, pid: int) -> dict[str, str]:
        """The status of one of its processes, by their names in /proc; empty where there is none."""
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = (self.root / "proc" / str(pid) / "status").read_text().splitlines()
            return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return {}

    def alive(self, pid: int) -> bool:
        """Whether it has a process of that number that is not a zombie."""
        return self.process(pid).get("State", "Z")[0] != "Z"

    def _end(self) -> None:
        """Let nothing of it be left."""
        if self._outer is None:
            return
        self._outer.kill()
        self._outer.wait()
        until(lambda: not alive(self._pid), "the end of systemd")
        until(self._removed, "a control group that is empty")

    def _removed(self) -> bool:
        """Whether there is no such control group any more; there never was where there can be none."""
        root, group = "/sys/fs/cgroup", f"/sys/fs/cgroup/{self._group}"
        script = f"""
            mount --make-rprivate / && mount -t tmpfs none {root} && mount -t cgroup2 none {root} || exit 0
            [ ! -e {group} ] || find {group} -depth -type d -exec rmdir {{}} +
        """
        return (
            subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, check=False).returncode == 0
        )
