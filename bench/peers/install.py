"""Where programs come from: PATH, pip, npm, Debian's packages without root, and the compiler.

Guarantees: everything is put below one directory, `$XDG_CACHE_HOME/taskmaster-bench`, and nothing into the system; what
is there already is not fetched again. Who cannot be had is Unavailable, with the reason.
Leaves to others: removing the directory, which makes the next run fetch it all anew, in newer versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

LIMIT_S = 300
OF_THE_SYSTEM = ("libc6", "libgcc-s1")
"""Libraries that must not be mixed with those of another release."""


class Unavailable(Exception):
    """Why a program cannot be had, as a sentence."""


class Found(NamedTuple):
    """The variables with which a program and its companions are found, and its version as far as that is known."""

    environment: dict[str, str]
    version: str = ""


def cache() -> Path:
    """Where all of it is."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taskmaster-bench"


def carry_out(*command: str | Path, cwd: Path) -> str:
    """What it prints; Unavailable with its last words where it fails."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LIMIT_S, check=False
        )
    except OSError as error:
        raise Unavailable(f"{name}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{name} took longer than {LIMIT_S} s") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise Unavailable(f"{name}: {words[-1]}")
    return done.stdout


def once(name: str, fill: Callable[[Path], None]) -> Path:
    """A directory of the cache, filled now unless it has been."""
    place = cache() / name
    if not (place / ".filled").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        fill(place)
        (place / ".filled").touch()
    return place


def from_pip(name: str, *packages: str) -> Found:
    """A program of PyPI, in an environment of its own."""

    def fill(place: Path) -> None:
        carry_out(sys.executable, "-m", "venv", place, cwd=place)
        carry_out(place / "bin" / "pip", "install", "--quiet", "--retries=1", *packages, cwd=place)

    place = once(f"pip-{name}", fill)
    versions = [each.name.removesuffix(".dist-info") for each in place.glob(f"lib/*/site-packages/{name}-*.dist-info")]
    return Found(found_in(place / "bin"), versions[0].rpartition("-")[2] if versions else "")


def from_npm(name: str) -> Found:
    """A program of npm, below a prefix of its own."""

    def fill(place: Path) -> None:
        quiet = ("--no-audit", "--no-fund", "--loglevel=error")
        carry_out("npm", "install", *quiet, "--prefix", place, "--cache", place / "cache", name, cwd=place)
        shutil.rmtree(place / "cache", ignore_errors=True)

    modules = once(f"npm-{name}", fill) / "node_modules"
    return Found(found_in(modules / ".bin"), json.loads((modules / name / "package.json").read_text())["version"])


def from_apt(package: str, program: str) -> Found:
    """A program on PATH, or of a package of Debian with its libraries, unpacked where nobody else sees them."""
    if shutil.which(program):
        return Found({})

    def fill(place: Path) -> None:
        carry_out("apt-get", "download", package, *libraries(package, place), cwd=place)
        for each in place.glob("*.deb"):
            carry_out("dpkg-deb", "-x", each, place, cwd=place)

    try:
        place = once(f"apt-{package}", fill)
    except Unavailable as error:
        raise Unavailable(f"not on PATH, and no package: {error}") from error
    version = next((each.name.split("_")[1] for each in place.glob(f"{package}_*.deb")), "").replace("%3a", ":")
    folders = [*place.glob("usr/lib/*-linux-*"), *place.glob("lib/*-linux-*")]
    programs = found_in(*(place / each for each in ("usr/bin", "usr/sbin", "bin", "sbin")))
    return Found(programs | {"LD_LIBRARY_PATH": ":".join(map(str, folders))}, version)


def compiled(source: Path) -> Path:
    """A program in C, compiled anew when its text has changed."""

    def fill(place: Path) -> None:
        whole = (source, "-O2", "-o", place / source.stem)
        try:
            carry_out("cc", "-static", *whole, cwd=place)  # a dynamic linker at each exec is nobody's work here
        except Unavailable:
            carry_out("cc", *whole, cwd=place)

    mark = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    return once(f"cc-{source.stem}-{mark}", fill) / source.stem


def libraries(package: str, place: Path) -> list[str]:
    """The packages of the libraries that one needs."""
    told = [line.split() for line in carry_out("apt-cache", "depends", package, cwd=place).splitlines()]
    needed = [words[1] for words in told if words[:1] == ["Depends:"]]
    return [each for each in needed if each.startswith("lib") and each not in OF_THE_SYSTEM]


def found_in(*places: Path) -> dict[str, str]:
    """A PATH that has these first."""
    return {"PATH": ":".join((*map(str, places), os.environ["PATH"]))}
