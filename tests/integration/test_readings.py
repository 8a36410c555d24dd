"""Configurations that are read apart: what becomes of the process that does it, and of who waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.waiting import until
from tm.core.errors import ConfigError
from tm.core.exitstatus import ExitStatus
from tm.daemon import readings
from tm.daemon.readings import LIMIT_S, WAITING_MOST, Found, Readings, begin
from tm.edge import ends
from tm.edge.loop import Loop

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


class House:
    """Readings on a loop whose clock the test sets, and who has been told what."""

    def __init__(self) -> None:
        self.time = 0.0
        self.errors: list[BaseException] = []
        self.loop = Loop(self.errors.append, lambda: self.time)
        self.readings = Readings(self.loop)
        self.told: list[tuple[str, Found | ConfigError]] = []

    def ask(self, name: str, work: Callable[[], Found]) -> Callable[[], None]:
        return self.readings.ask(work, "web.yaml", lambda found: self.told.append((name, found)))

    def turn(self) -> None:
        """One turn, and the dead are buried."""
        self.loop.turn(0.01)
        while (found := ends.look()) is not None:
            ends.release(found[0])
            self.readings.reaped(found[0], ExitStatus.from_wait(found[1]))

    def until(self, condition: Callable[[], object], what: str) -> None:
        def met() -> object:
            self.turn()
            return condition()

        until(met, what)

    def hear(self, count: int) -> list[tuple[str, Found | ConfigError]]:
        self.until(lambda: len(self.told) == count, f"{count} answers")
        return self.told


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.readings.end()
    house.until(lambda: no_children(), "all are dead")
    house.loop.close()
    assert not house.errors


def no_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def hang(mark: Path) -> Found:
    """Say that it has begun, and end never."""
    mark.write_text(str(os.getpid()))
    signal.pause()
    return Found("it went on")


def pid_at(house: House, mark: Path) -> int:
    house.until(lambda: mark.exists() and mark.read_text(), "it has begun")
    return int(mark.read_text())


def descriptors() -> dict[int, str]:
    """Those of this process, each with what it is; not the one that is looked through."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


def text(found: Found | ConfigError) -> str:
    assert isinstance(found, ConfigError)
    return str(found)


def test_what_is_found_comes_whole_with_its_parts_and_one_after_the_other(house: House) -> None:
    for name in ("one", "two"):
        house.ask(name, lambda name=name: Found(name * 100_000, [[name, n] for n in range(1000)]))  # type: ignore[misc]
    assert not house.told
    assert house.hear(2) == [(name, Found(name * 100_000, [[name, n] for n in range(1000)])) for name in ("one", "two")]


def test_what_is_wrong_comes_with_all_it_says(house: House) -> None:
    error = readings.unread("some.yaml", "it is elsewhere", "look there")

    def fail() -> Found:
        raise error

    house.ask("one", fail)
    assert text(house.hear(1)[0][1]) == str(error)
    with pytest.raises(ConfigError, match="it is elsewhere") as found:
        begin(fail, "web.yaml")()
    assert found.value.problems == error.problems


def test_a_library_that_is_not_there_is_named(house: House) -> None:
    def fail() -> Found:
        raise ModuleNotFoundError("No module named 'yaml'", name="yaml")

    house.ask("one", fail)
    assert "'web.yaml' cannot be read: No module named 'yaml'" in text(house.hear(1)[0][1])
    with pytest.raises(ModuleNotFoundError) as found:
        begin(fail, "web.yaml")()
    assert found.value.name == "yaml"


def test_one_that_dies_is_told_with_how_and_the_next_one_is_read(house: House, tmp_path: Path) -> None:
    house.ask("one", partial(hang, tmp_path / "mark"))
    house.ask("two", lambda: Found("two"))
    os.kill(pid_at(house, tmp_path / "mark"), signal.SIGKILL)
    (_, died), two = house.hear(2)
    assert "'web.yaml' cannot be read: the process that reads it ended with signal SIGKILL" in text(died)
    assert two == ("two", Found("two", []))
    with pytest.raises(ConfigError, match="ended with exit code 7"):
        begin(lambda: os._exit(7), "web.yaml")()


@linux
def test_half_a_value_is_none(house: House) -> None:
    def half() -> Found:
        (pipe,) = (fd for fd, name in descriptors().items() if name.startswith("pipe:"))
        os.write(pipe, b"+\xff\0\0\0\0\0\0\0half")
        os._exit(0)

    house.ask("one", half)
    assert "ended with exit code 0" in text(house.hear(1)[0][1])


def test_one_that_fails_by_a_bug_is_told_with_its_traceback(house: House) -> None:
    house.ask("one", lambda: Found(1 // 0))
    assert "a bug of taskmaster" in text(house.hear(1)[0][1])
    assert "ZeroDivisionError" in text(house.told[0][1])


def test_one_that_hangs_is_killed_at_its_limit(house: House, tmp_path: Path) -> None:
    house.ask("one", partial(hang, tmp_path / "mark"))
    house.ask("two", lambda: Found("two"))
    pid = pid_at(house, tmp_path / "mark")
    house.time += LIMIT_S + 1
    (_, late), two = house.hear(2)
    assert f"that was not done within {LIMIT_S:g} s" in text(late)
    assert two == ("two", Found("two", []))
    house.until(lambda: not Path(f"/proc/{pid}").exists(), "it is dead")


def test_who_gives_up_hears_nothing_and_nothing_is_read_for_him(house: House, tmp_path: Path) -> None:
    give_up = house.ask("one", partial(hang, tmp_path / "mark"))
    house.ask("two", lambda: Found("two"))()
    house.ask("three", lambda: Found("three"))
    pid_at(house, tmp_path / "mark")
    give_up()
    give_up()
    assert house.hear(1) == [("three", Found("three", []))]


def test_who_rests_is_called_when_nothing_is_read(house: House, tmp_path: Path) -> None:
    give_up = house.ask("one", partial(hang, tmp_path / "mark"))
    rested: list[int] = []
    house.readings.rest(lambda: rested.append(len(house.told)))
    house.ask("two", lambda: Found("two"))
    pid_at(house, tmp_path / "mark")
    give_up()
    house.until(lambda: rested, "a rest")
    assert rested == [1]


def test_at_the_end_everybody_is_told(house: House, tmp_path: Path) -> None:
    house.ask("one", partial(hang, tmp_path / "mark"))
    house.ask("two", lambda: Found("two"))
    pid_at(house, tmp_path / "mark")
    house.readings.end()
    assert [name for name, found in house.told if "shutting down" in text(found)] == ["one", "two"]


def test_too_many_are_refused(house: House) -> None:
    for n in range(WAITING_MOST + 1):
        house.ask(str(n), lambda n=n: Found(n))  # type: ignore[misc]
    told = house.hear(WAITING_MOST + 1)
    assert f"{WAITING_MOST} readings wait already" in text(dict(told)[str(WAITING_MOST)])
    assert len([found for _, found in told if isinstance(found, Found)]) == WAITING_MOST


@linux
def test_it_has_nothing_of_its_parents_but_its_memory(house: House) -> None:
    seen = signal.signal(signal.SIGUSR1, lambda *_: None)
    with open(os.devnull, "rb") as open_here, open(os.devnull, "wb") as kept:
        assert open_here

        def look() -> Found:
            status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
            alone = os.getpid() == os.getsid(0) == os.getpgid(0)
            return Found((descriptors(), status["SigCgt"], status["SigBlk"], alone))

        house.readings.ask(look, "web.yaml", lambda found: house.told.append(("", found)), (kept.fileno(),))
        found = house.hear(1)[0][1]
        assert isinstance(found, Found)
        files, caught, blocked, alone = found.what
        assert {files.pop(fd) for fd in (0, 1, 2, kept.fileno())} == {os.devnull}
        assert [name.partition(":")[0] for name in files.values()] == ["pipe"]
        assert not int(caught, 16) >> (signal.SIGUSR1 - 1) & 1
        assert (int(blocked, 16), alone) == (0, True)
    signal.signal(signal.SIGUSR1, seen)


def test_nothing_of_its_parents_end_is_run_in_it() -> None:
    code = """if True:
        import atexit, os, sys
        from tm.daemon.readings import Found, begin
        atexit.register(lambda: os.write(1, b"the end"))
        sys.stdout.write("not written yet, ")
        try:
            assert begin(lambda: Found("found"), "web.yaml")() == "found"
        finally:
            os.write(2, b"once")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"not written yet, the end", b"once")
