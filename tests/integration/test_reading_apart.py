"""A daemon whose configuration is being read, which takes as long as the test wants: it goes on, in every respect."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.client import Daemon
from tests.rpc import Rpc
from tests.waiting import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

TASKS = 1500
WEB = "  web: {command: sleep 1001, autoLaunch: true, restart: always, successfulStartTimeout: 0}\n"


def config(more: str = "", first: str = "") -> str:
    """One that takes long enough to be read for the reader to be caught."""
    many = "".join(f"  task_{n}: {{command: sleep {n}}}\n" for n in range(TASKS))
    return f"{first}tasks:\n{WEB}{many}{more}"


NEW = "  new: {command: sleep 1002}\n"


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


class Held:
    """A daemon, and the processes that read for it."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.pid = daemon.daemon
        self.own = until(lambda: children(self.pid), "a process that is kept")

    def client(self) -> Rpc:
        return Rpc(self.daemon.home / "control.sock")

    def stopped(self, ask: Callable[[], object]) -> int:
        """The process that reads what `ask` has asked for, which stands still until it is continued."""
        ask()
        (reader,) = until(lambda: children(self.pid) - self.own, "a process that reads")
        until(lambda: os.getsid(reader) == reader, "what ends it with the daemon is arranged")
        os.kill(reader, signal.SIGSTOP)
        return reader

    def gone(self, reader: int) -> None:
        until(lambda: children(self.pid) == self.own, f"{reader} has been buried")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    with Daemon(tmp_path, config(), "-l", "taskmaster.log") as daemon:
        until(lambda: daemon.state("web") == "RUNNING", "all is up")
        yield Held(daemon)


def test_others_are_answered_meanwhile_and_the_same_client_afterwards(held: Held) -> None:
    held.daemon.write(config(NEW))
    with held.client() as client, held.client() as other:
        reader = held.stopped(lambda: client.ask("reload"))
        client.ask("show", words=["new"])
        assert other.call("status", words=["new"])["outcome"] == 6
        assert other.call("stop", words=["web"])["outcome"] == 0
        until(lambda: held.daemon.state("web") == "STOPPED", "web is stopped")
        os.kill(reader, signal.SIGCONT)
        assert client.answer()["result"]["data"]["add"] == ["new"]
        assert client.answer()["result"]["data"][0]["name"] == "new"
        assert other.call("status", words=["new"])["outcome"] == 0


@pytest.mark.parametrize(("options", "what"), [((), "Nothing was changed."), (("--dry-run",), "")])
def test_a_reader_that_is_killed_is_told_of_and_the_next_one_reads(held: Held, options: list[str], what: str) -> None:
    held.daemon.write(config(NEW))
    with held.client() as client:
        reader = held.stopped(lambda: client.ask("reload", options=options))
        os.kill(reader, signal.SIGKILL)
        answer = client.answer()["result"]
        assert answer["outcome"] == 2
        told = "\n".join(answer["lines"])
        assert "cannot be read: the process that reads it ended with signal SIGKILL" in told
        assert what in told
        held.gone(reader)
        if not options:
            assert "The last reload was refused" in held.daemon.ctl("status").stdout
            assert "ended with signal SIGKILL" in held.daemon.log
        assert client.call("reload")["data"]["add"] == ["new"]
        assert "The last reload was refused" not in held.daemon.ctl("status").stdout


def test_reloads_come_one_after_the_other(held: Held) -> None:
    held.daemon.write(config(NEW))
    with held.client() as one, held.client() as two, held.client() as three:
        reader = held.stopped(lambda: one.ask("reload"))
        two.ask("reload")
        three.call("version")
        assert children(held.pid) - held.own == {reader}
        held.daemon.write(config())
        os.kill(reader, signal.SIGCONT)
        first, second = (each.answer()["result"]["data"] for each in (one, two))
    assert (first["add"], second["remove"]) in ((["new"], ["new"]), ([], []))


def test_signals_are_heard_meanwhile_and_who_asked_by_one_reads_later(held: Held) -> None:
    held.daemon.write(config(NEW))
    reader = held.stopped(lambda: held.daemon.signal(signal.SIGHUP))
    held.daemon.signal(signal.SIGUSR2)
    until(lambda: "logs opened anew" in held.daemon.log, "another signal")
    os.kill(reader, signal.SIGCONT)
    until(lambda: "add      new" in held.daemon.log, "the reload")
    held.gone(reader)


def test_a_shutdown_meanwhile_tells_who_waits_and_leaves_no_reader(held: Held) -> None:
    with held.client() as client:
        reader = held.stopped(lambda: client.ask("reload"))
        held.daemon.signal(signal.SIGTERM)
        assert client.answer()["result"]["lines"] == ["Taskmaster is shutting down."]
    assert held.daemon.process.wait(30) == 0
    assert not Path(f"/proc/{reader}").exists()


def test_a_reader_ends_with_a_daemon_that_is_killed(held: Held) -> None:
    with held.client() as client:
        reader = held.stopped(lambda: client.ask("reload"))
        os.kill(held.pid, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{reader}").exists(), "the reader is gone")
    until(held.daemon.answers, "the next daemon")


def test_an_upgrade_meanwhile_comes_after_it(held: Held) -> None:
    held.daemon.write(config(NEW))
    with held.client() as client, held.client() as other:
        reader = held.stopped(lambda: client.ask("reload"))
        other.ask("upgrade")
        until(lambda: "trying out the new version" in held.daemon.log, "an upgrade has begun")
        until(lambda: len(children(held.pid) - held.own) == 1, "the trial is over")
        os.kill(reader, signal.SIGCONT)
        assert client.answer()["result"]["data"]["add"] == ["new"]
        assert "Upgraded" in other.answer()["result"]["lines"][0]
        assert client.call("status", words=["new"])["outcome"] == 0


def test_a_question_is_given_up_with_its_client(held: Held) -> None:
    client = held.client()
    reader = held.stopped(lambda: client.ask("check"))
    client.socket.close()
    held.gone(reader)


def test_a_reload_is_carried_out_though_its_client_is_gone(held: Held) -> None:
    held.daemon.write(config(NEW))
    client = held.client()
    reader = held.stopped(lambda: client.ask("reload"))
    client.socket.close()
    until(held.daemon.answers, "the daemon knows")
    os.kill(reader, signal.SIGCONT)
    until(lambda: "add      new" in held.daemon.log, "the reload")


def test_what_only_stands_elsewhere_is_known_by_its_new_place(held: Held) -> None:
    """Nothing is to be done for it."""
    held.daemon.write(config(NEW, "# a line more\n"))
    with held.client() as client:
        plan = client.call("reload")["data"]
        assert (plan["add"], len(plan["keep"]), plan["respawn"], plan["adopt"]) == (["new"], TASKS + 1, {}, {})
        place = f"(web.yaml:{TASKS + 3})"
        last = f"task_{TASKS - 1}"
        until(lambda: any(place in line for line in client.call("show", words=[last])["lines"]), place)


def test_the_next_daemon_has_what_was_read_last(held: Held) -> None:
    held.daemon.write(config(NEW, "# a line more\n"))
    with held.client() as client:
        client.call("reload")
    held.daemon.write("nothing that can be read: [")
    os.kill(held.pid, signal.SIGKILL)
    until(held.daemon.answers, "the next daemon")
    until(lambda: held.daemon.state("new") == "STOPPED", "a task that came by the reload")


def test_no_yaml_is_in_the_daemon_nor_its_guardian(held: Held) -> None:
    with held.client() as client:
        client.call("reload")
        client.call("check")
        client.call("show", words=["web"])
        for pid in (held.pid, held.daemon.process.pid):
            assert "/_yaml." not in Path(f"/proc/{pid}/maps").read_text()


def test_a_daemon_that_runs_from_memory_reads_from_there(held: Held) -> None:
    os.kill(held.pid, signal.SIGKILL)
    until(held.daemon.answers, "the next daemon")
    held.daemon.write(config(NEW))
    with held.client() as client:
        assert client.call("reload")["data"]["add"] == ["new"]
