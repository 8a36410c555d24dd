"""The sockets of a task: what a process is given, how long they are there, whose they are, and why there are none."""

from __future__ import annotations

import os
import pwd
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.client import Daemon
from tests.knock import PROGRAM, free_port, knock, refused
from tests.waiting import until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def config(sockets: str, more: str = "") -> str:
    return f"""
        defaults: {{restart: always, gracefulStopTimeout: 20, successfulStartTimeout: 0, restartDelay: 600,
                    restartDelayMax: 600}}
        tasks:
          web: {{command: "{PROGRAM}", autoLaunch: true, sockets: {{{sockets}}}, {more}}}
    """


def up(home: Path, text: str, **changes: str) -> Daemon:
    return Daemon(home, text, "-l", "taskmaster.log", **changes)


def test_each_instance_is_given_the_sockets_and_nothing_else(tmp_path: Path) -> None:
    port, place = free_port(), tmp_path / "web.sock"
    text = config(f"http: 'tcp://127.0.0.1:{port}', local: 'unix://{place}'", "instances: 2")
    strange = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "strange"}
    with up(tmp_path, text, **strange) as daemon:
        pids = {row["pid"] for row in daemon.rows().values()}
        first, second = knock(port), knock(place)
        assert (first["name"], second["name"], first["names"]) == ("http", "local", ["http", "local"])
        assert first["meant"] == first["pid"] in pids
        assert first["sockets"] == second["sockets"]
        expected = [str(number) for number in range(5)]
        assert list(first["descriptors"]) == expected
        assert [first["descriptors"][fd] for fd in ("3", "4")] == [f"socket:[{each}]" for each in first["sockets"]]
        os.kill(first["pid"], 19)
        assert until(lambda: knock(port), "an answer of the other one")["pid"] != first["pid"]
        os.kill(first["pid"], 18)


def test_restarts_and_crashes_find_them_as_they_were(tmp_path: Path) -> None:
    place = tmp_path / "web.sock"
    with up(tmp_path, config(f"local: 'unix://{place}'")) as daemon:
        first = knock(place)
        assert daemon.ctl("restart", "web").returncode == 0
        second = knock(place)
        os.kill(second["pid"], 9)
        third = knock(place)
        assert len({each["pid"] for each in (first, second, third)}) == 3
        assert first["sockets"] == second["sockets"] == third["sockets"]


def test_where_nobody_will_answer_nobody_listens(tmp_path: Path) -> None:
    """From the first start until the last process is at rest: stopped, ended or given up."""
    port, place = free_port(), tmp_path / "web.sock"
    text = config(f"http: 'tcp://127.0.0.1:{port}', local: 'unix://{place}'", "instances: 2").replace(
        "autoLaunch: true, ", ""
    )
    with up(tmp_path, text) as daemon:
        assert refused(port)
        assert daemon.ctl("start", "web_2").returncode == 0
        assert knock(port)["instance"] == "web_2"
        assert daemon.ctl("start", "web_1").returncode == 0
        assert daemon.ctl("stop", "web_2").returncode == 0
        assert knock(place)["instance"] == "web_1"
        assert daemon.ctl("stop", "web_1").returncode == 0
        assert refused(port) and not place.exists()
        assert daemon.ctl("start", "web_1").returncode == 0
        knock(place)
        daemon.write(text.replace(PROGRAM, f"{PROGRAM} 3").replace("restart: always", "restart: never"))
        daemon.ctl("reload")
        until(lambda: refused(port) and not place.exists(), "the end of the sockets")
        daemon.write("tasks: {}\n")
        assert daemon.ctl("reload").returncode == 0
    assert not place.exists()


def test_ipv6_stands_in_brackets(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        port = probe.getsockname()[1]
    with up(tmp_path, config(f"six: 'tcp://[::1]:{port}'")):
        assert knock(port, "::1")["name"] == "six"


def test_a_file_is_its_owners_alone_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    sockets = f"a: 'unix://{tmp_path}/a', b: {{url: 'unix://{tmp_path}/b', mode: 0666}}"
    with up(tmp_path, config(sockets)):
        modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"]
        assert modes == [0o600, 0o666]


@as_root
def test_a_file_is_given_to_whom_it_is_for(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    sockets = (
        f"a: {{url: 'unix://{tmp_path}/a', user: nobody, group: daemon}}, "
        f"b: {{url: 'unix://{tmp_path}/b', group: daemon, mode: '0660'}}, c: 'unix://{tmp_path}/c'"
    )
    text = (
        config(sockets)
        .replace(PROGRAM, "sleep 1000")
        .replace("autoLaunch", "user: nobody, workingDirectory: /, autoLaunch")
    )
    with up(tmp_path, text) as daemon:
        until(lambda: daemon.rows()["web"]["status"] == "RUNNING", "a process")
        owners = {name: ((tmp_path / name).stat().st_uid, (tmp_path / name).stat().st_gid) for name in "abc"}
        assert owners == {"a": (nobody.pw_uid, 1), "b": (nobody.pw_uid, 1), "c": (nobody.pw_uid, nobody.pw_gid)}


def test_a_dead_sockets_file_is_replaced_and_a_strangers_is_left(tmp_path: Path) -> None:
    dead, living, text = tmp_path / "dead", tmp_path / "living", tmp_path / "text"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(dead))
    text.write_text("mine")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(living))
        stranger.listen()
        more = f"""
          taken: {{command: "{PROGRAM}", autoLaunch: true, sockets: {{it: 'unix://{living}'}}}}
          kept: {{command: "{PROGRAM}", autoLaunch: true, sockets: {{it: 'unix://{text}'}}}}
          nowhere: {{command: "{PROGRAM}", autoLaunch: true, sockets: {{it: 'unix://{tmp_path}/no/it'}}}}
          long: {{command: "{PROGRAM}", autoLaunch: true, sockets: {{it: 'unix:///{"x" * 120}'}}}}
        """
        with up(tmp_path, config(f"it: 'unix://{dead}'") + more) as daemon:
            assert knock(dead)["name"] == "it"
            said = daemon.ctl("status").stdout
            assert f"socket 'it' at unix://{living} cannot be opened: Address already in use" in said
            assert f"pid {os.getpid()} (" in said
            assert f"{text} is no socket: remove it, or choose another path" in said
            assert f"mkdir -p {tmp_path}/no" in said
            assert "107 is the most" in said
        assert (living.exists(), text.read_text(), dead.exists()) == (True, "mine", False)


def test_a_port_that_somebody_has_is_a_failed_start_that_says_who(tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with up(tmp_path, config(f"http: 'tcp://127.0.0.1:{port}', far: 'tcp://192.0.2.1:{port}'")) as daemon:
            until(lambda: daemon.rows()["web"]["status"] == "BACKOFF", "a failed start")
            said = daemon.ctl("status").stdout
            assert f"socket 'http' at tcp://127.0.0.1:{port} cannot be opened: Address already in use" in said
            assert f"pid {os.getpid()} (" in said
            stranger.close()
            assert daemon.ctl("start", "web").returncode == 1
            assert "no interface of this machine has the address 192.0.2.1" in daemon.ctl("status").stdout


def test_a_reload_keeps_what_has_not_changed(tmp_path: Path) -> None:
    port, other, place = free_port(), free_port(), tmp_path / "web.sock"
    text = config(f"http: 'tcp://127.0.0.1:{port}', local: 'unix://{place}'")
    with up(tmp_path, text) as daemon:
        before = knock(port)
        daemon.write(text.replace("sockets:", "environment: {A: b}, sockets:"))
        assert daemon.ctl("reload").returncode == 0
        assert knock(port)["sockets"] == before["sockets"]
        daemon.write(config(f"http: 'tcp://127.0.0.1:{other}', local: {{url: 'unix://{place}', mode: 0640}}"))
        assert daemon.ctl("reload").returncode == 0
        after = knock(place)
        until(lambda: refused(port), "the end of the old one")
        assert knock(other)["names"] == ["http", "local"]
        assert after["sockets"][1] == before["sockets"][1] and after["sockets"][0] != before["sockets"][0]
        assert stat.S_IMODE(place.stat().st_mode) == 0o640
        daemon.write(config(f"http: 'tcp://127.0.0.1:{other}', new: 'unix://{place}'").replace("web:", "next:"))
        assert daemon.ctl("reload").returncode == 0
        until(lambda: "web" not in daemon.rows(), "the end of the old name")
        renamed = knock(place)
        assert (renamed["instance"], renamed["name"], renamed["sockets"]) == ("next", "new", after["sockets"])
    assert not place.exists() and refused(other)


def test_a_task_has_its_sockets_under_a_new_name_though_much_is_started_before_it(tmp_path: Path) -> None:
    """Its process under the old name is long gone when it is the turn of the new one."""
    place = tmp_path / "web.sock"
    text = config(f"it: 'unix://{place}'")
    many = "\n          many: {command: sleep 1000, instances: 200, autoLaunch: true}"
    with up(tmp_path, text) as daemon:
        before = knock(place)
        daemon.write(text.replace("tasks:", f"tasks:{many}").replace("web:", "next:"))
        assert daemon.ctl("reload").returncode == 0
        after = knock(place)
        assert (after["instance"], after["sockets"]) == ("next", before["sockets"])


def test_a_file_that_somebody_has_removed_is_there_again_after_a_restart(tmp_path: Path) -> None:
    place = tmp_path / "web.sock"
    with up(tmp_path, config(f"it: 'unix://{place}'")) as daemon:
        knock(place)
        place.unlink()
        assert daemon.ctl("restart", "web").returncode == 0
        assert knock(place)["name"] == "it"
        place.unlink()
        place.write_text("a stranger's")
    assert place.read_text() == "a stranger's"


def test_a_shell_gives_them_on_to_the_program_that_it_becomes(tmp_path: Path) -> None:
    place = tmp_path / "web.sock"
    text = config(f"it: 'unix://{place}'").replace(PROGRAM, f"A=b exec {PROGRAM}")
    with up(tmp_path, text):
        told = knock(place)
        assert told["meant"] == told["pid"]


def test_what_is_open_is_shown(tmp_path: Path) -> None:
    with up(tmp_path, config(f"it: {{url: 'unix://{tmp_path}/it', mode: 0660}}")) as daemon:
        assert f'sockets                {{"it": "unix://{tmp_path}/it (mode 660)"}}' in daemon.ctl("show", "web").stdout


def test_the_check_refuses_what_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("tasks: {web: {command: run, sockets: {http: 'tcp://127.0.0.1:0'}}}\n")
    program = [sys.executable, str(Path(__file__).resolve().parents[2] / "bin" / "taskmaster"), "-t", "bad.yaml"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "bad.yaml:1:" in done.stderr + done.stdout
