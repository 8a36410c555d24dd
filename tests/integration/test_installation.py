"""Installed by pip into a fresh environment, and run from there.

A test sees a copy of the checkout: what git knows and would add. What the programs need beside it is fetched first;
where that fails, the tests are skipped, and nothing else that pip cannot do is forgiven.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import tm
from tests.integration.driver import ROOT, alive, environment
from tests.waiting import until

CONFIG = "tasks: {web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}}\n"
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
HOOKS = """import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""


def ok(*command: str | Path, cwd: Path, env: dict[str, str]) -> str:
    """What a command that must succeed prints."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Environment:
    """A virtual environment with what taskmaster and its building need."""

    def __init__(self, place: Path) -> None:
        self.place = place
        ok(sys.executable, "-m", "venv", place, cwd=place.parent, env=CLEAN)
        needed = settings()["options"]["install_requires"].split("\n")[1:]
        command = [self.bin / "pip", "install", "--quiet", "--upgrade", "setuptools", *needed]
        done = subprocess.run(command, env=CLEAN, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"pip cannot fetch what is needed: {done.stderr[-500:]}")

    @property
    def bin(self) -> Path:
        return self.place / "bin"

    def pip(self, *arguments: str | Path) -> None:
        ok(self.bin / "pip", *arguments, cwd=self.place, env=CLEAN)

    def run(self, program: str, *arguments: str | Path) -> str:
        """What an installed program prints; it sees nothing of the checkout."""
        return ok(self.bin / program, *arguments, cwd=self.place, env=environment(self.place))

    def build(self, hook: str, source: Path, into: Path) -> Path:
        """What a hook of setuptools makes, any warning being an error: one tells what will not work any more."""
        told = ok(self.bin / "python3", "-W", "error", "-c", HOOKS, hook, into, cwd=source, env=CLEAN)
        return into / told.splitlines()[-1]


def settings() -> configparser.ConfigParser:
    read = configparser.ConfigParser()
    read.read(ROOT / "setup.cfg")
    return read


def shared() -> dict[str, str]:
    """What is installed under share/, and which file of the checkout it is."""
    files = settings()["options.data_files"].items()
    return {f"{place}/{Path(name).name}": name for place, names in files for name in names.split()}


def tracked() -> list[str]:
    """The files of the checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this is no checkout of git: {done.stderr.strip()}")
    return sorted(name for name in set(done.stdout.split("\0")) if name and (ROOT / name).is_file())


def copy(place: Path) -> Path:
    for name in tracked():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    return place


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install .`"""
    home = tmp_path_factory.mktemp("installed")
    made = Environment(home / "venv")
    made.pip("install", "--use-pep517", "--no-build-isolation", copy(home / "checkout"))
    shutil.rmtree(home / "checkout")
    return made


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install -e .`; the checkout is beside it."""
    home = tmp_path_factory.mktemp("editable")
    made = Environment(home / "venv")
    made.pip("install", "--use-pep517", "--no-build-isolation", "--editable", copy(home / "checkout"))
    return made


@pytest.fixture
def daemon(installed: Environment, tmp_path: Path) -> Iterator[list[str]]:
    """Where a daemon of the test is to have its things; gone at the end."""
    (tmp_path / "web.yaml").write_text(CONFIG)
    yield [f"--{flag}={tmp_path}/{flag}" for flag in ("socket", "pidfile", "logfile", "state-dir")]
    if (tmp_path / "pidfile").exists():
        installed.run("taskmasterctl", "-s", tmp_path / "socket", "shutdown")


def test_both_programs_are_installed(installed: Environment) -> None:
    assert installed.run("taskmaster", "--version") == f"taskmaster {tm.__version__}\n"
    assert installed.run("taskmasterctl", "--version") == f"taskmasterctl {tm.__version__}\n"
    assert "restart" in installed.run("taskmasterctl", "help")


def test_an_installed_daemon_through_a_life(installed: Environment, daemon: list[str], tmp_path: Path) -> None:
    config = tmp_path / "web.yaml"
    assert installed.run("taskmaster", "-t", config) == f"{config}: no problems, 1 task(s).\n"
    assert installed.run("taskmaster", "-d", *daemon, config) == ""
    pid = int((tmp_path / "pidfile").read_text())
    table = installed.run("taskmasterctl", "-s", tmp_path / "socket", "status")
    assert re.search(r"(?m)^web +RUNNING +\d+ .* sleep 1000$", table)
    installed.run("taskmasterctl", "-s", tmp_path / "socket", "restart", "web")
    installed.run("taskmasterctl", "-s", tmp_path / "socket", "shutdown")
    until(lambda: not alive(pid), "the end of the daemon")
    assert not (tmp_path / "socket").exists()


def test_a_socket_named_in_the_configuration_is_found(
    installed: Environment, daemon: list[str], tmp_path: Path
) -> None:
    """The client needs PyYAML for this, and nothing else does."""
    config = tmp_path / "web.yaml"
    config.write_text(f"taskmaster: {{socket: {tmp_path}/socket}}\n{CONFIG}")
    installed.run("taskmaster", "-d", *daemon[1:], config)
    assert re.search(r"(?m)^web +RUNNING", installed.run("taskmasterctl", "-c", config, "status"))


def test_pages_and_examples_are_installed_as_they_are(installed: Environment, editable: Environment) -> None:
    for place, name in shared().items():
        for each in (installed, editable):
            assert (each.place / place).read_bytes() == (ROOT / name).read_bytes(), name
    for name in filter(re.compile(r"(etc|man)/").match, tracked()):
        assert name in shared().values(), f"{name} is not installed"


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man here")
@pytest.mark.parametrize("page", ["taskmaster.8", "taskmasterctl.1", "taskmaster.yaml.5"])
def test_man_finds_the_pages(installed: Environment, page: str) -> None:
    name, _, section = page.rpartition(".")
    env = environment(installed.place) | {"MANPATH": str(installed.place / "share" / "man")}
    told = ok("man", "-w", section, name, cwd=installed.place, env=env)
    assert told.strip() == str(installed.place / "share" / "man" / f"man{section}" / page)


def test_an_editable_installation_runs_the_checkout_and_hooks_into_no_import(editable: Environment) -> None:
    """An import hook would be paid for at each start of the client."""
    checkout = editable.place.parent / "checkout"
    version = checkout / "tm" / "__init__.py"
    version.write_text(version.read_text().replace(tm.__version__, "99.0"))
    assert editable.run("taskmaster", "--version") == "taskmaster 99.0\n"
    assert editable.run("taskmasterctl", "--version") == "taskmasterctl 99.0\n"
    (path,) = editable.place.rglob("*taskmaster*.pth")
    assert path.read_text().strip() == str(checkout)


def test_the_installed_client_imports_what_it_needs_and_no_more(installed: Environment, editable: Environment) -> None:
    """`re` alone would be a third of its time. The entry point's own lines are the installer's."""
    for each in (installed, editable):
        told = each.run("python3", "-c", "import sys, tm.cli.ctl; print(*sys.modules)")
        assert not {"re", "enum", "typing", "json", "yaml", "socket", "pathlib"} & set(told.split())


def test_sdist_and_wheel(editable: Environment, tmp_path: Path) -> None:
    """No warning at either; the sdist holds the checkout, and its wheel what the checkout's does."""
    checkout = copy(tmp_path / "checkout")
    sdist = editable.build("build_sdist", checkout, tmp_path)
    ok("tar", "-xzf", sdist, cwd=tmp_path, env=CLEAN)
    source = tmp_path / sdist.name.removesuffix(".tar.gz")
    assert [name for name in tracked() if not (source / name).exists()] == []
    wheels = []
    for each in (source, checkout):
        (each / "dist").mkdir()
        wheels.append(contents(editable.build("build_wheel", each, each / "dist")))
    assert wheels[0] == wheels[1]
    assert {f"taskmaster-{tm.__version__}.data/data/{place}" for place in shared()} <= wheels[0].keys()
    assert {name for name in tracked() if name.startswith("tm/")} <= wheels[0].keys()


def contents(wheel: Path) -> dict[str, int]:
    """Every file in it but the list of them, and its checksum."""
    with zipfile.ZipFile(wheel) as file:
        return {each.filename: each.CRC for each in file.infolist() if not each.filename.endswith("RECORD")}
