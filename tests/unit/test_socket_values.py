"""The sockets of a task: how they are written, what is refused, and what two tasks cannot both have."""

from __future__ import annotations

import pytest

from tests.unit.reading import config, problems, task
from tm.core.launch import launch
from tm.core.listening import Socket
from tm.core.template import Slot, Template


def one(written: str) -> Socket:
    (found,) = task(f"command: run\nsockets: {{it: {written}}}").sockets
    return found


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("tcp://127.0.0.1:8080", "tcp://127.0.0.1:8080"),
        ("tcp://localhost:80/", "tcp://127.0.0.1:80"),
        ("tcp://0.0.0.0:65535", "tcp://0.0.0.0:65535"),
        ("'tcp://[::]:80'", "tcp://[::]:80"),
        ("'tcp://[0:0::0:1]:80'", "tcp://[::1]:80"),
        ("'unix:///run/{task}.sock'", "unix:///run/web.sock"),
        ("'unix://{here}/web.sock'", "unix:///start/web.sock"),
        ("'unix://${HOME}/web.sock'", "unix:///home/me/web.sock"),
        ("'tcp://${ADDRESS:-10.1.1.1}:80'", "tcp://10.1.1.1:80"),
        ("{url: 'unix:///run/web.sock', mode: 0660, group: www, x-free: 1}", "unix:///run/web.sock"),
        ("{url: 'tcp://[::1]:1'}", "tcp://[::1]:1"),
    ],
)
def test_an_address_is_read_and_has_one_form(written: str, address: str) -> None:
    assert one(written).address("web") == address


def test_the_file_of_a_socket_has_mode_and_owner() -> None:
    found = one("{url: 'unix:///run/{task}.sock', mode: 0660, user: www, group: wheel}")
    assert found == Socket("it", path=Template(("/run/", Slot.TASK, ".sock")), mode=0o660, user="www", group="wheel")
    assert found.text == "unix:///run/{task}.sock (mode 660, owner www:wheel)"
    assert one("{url: 'unix:///a', group: wheel}").text == "unix:///a (owner :wheel)"
    assert one("unix:///a").text == "unix:///a"


@pytest.mark.parametrize(
    ("written", "identity", "said"),
    [
        ("tcp://127.0.0.1:0", "out-of-range", "the port '0' is not from 1 to 65535"),
        ("tcp://127.0.0.1:65536", "out-of-range", "not from 1"),
        ("'tcp://127.0.0.1:99999999999'", "out-of-range", "not from 1"),
        ("'tcp://127.0.0.1:'", "out-of-range", "there is no port"),
        ("tcp://127.0.0.1", "bad-socket", "is no address to listen at"),
        ("tcp://example.org:80", "bad-socket", "'example.org' is no address of a machine"),
        ("tcp://:80", "bad-socket", "is no address of a machine"),
        ("tcp://::1:80", "bad-socket", "is no address to listen at"),
        ("'tcp://[1.2.3.4]:80'", "bad-socket", "is no address of a machine"),
        ("udp://127.0.0.1:80", "bad-socket", "is no address to listen at"),
        ("http://127.0.0.1:80", "bad-socket", "is no address to listen at"),
        ("80", "bad-socket", "is no address to listen at"),
        ("unix://run/web.sock", "bad-socket", "is not the absolute path of a file"),
        ("unix:///", "bad-socket", "is not the absolute path of a file"),
        ("unix://", "bad-socket", "is not the absolute path of a file"),
        ('"unix:///a\\nb"', "bad-socket", "control character"),
        ("'unix:///run/{n}.sock'", "bad-socket", "one socket serves all instances"),
        ("'tcp://127.0.0.1:{n}'", "bad-socket", "one socket serves all instances"),
        ("'unix://${NOWHERE}/a'", "unset-variable", "'NOWHERE' is not set"),
        ("[tcp://127.0.0.1:80]", "wrong-shape", "this is a list, not an address"),
        ("{mode: 600}", "bad-socket", "has no 'url'"),
        ("{url: 'unix:///a', mdoe: 600}", "unknown-key", "unknown key 'mdoe' in a socket"),
        ("{url: 'unix:///a', mode: 999}", "bad-umask", "'999' is not an octal number"),
        ("{url: 'unix:///a', user: nobody-at-all}", "unknown-user", "there is no user 'nobody-at-all'"),
        ("{url: 'tcp://127.0.0.1:80', mode: 600}", "bad-socket", "'mode' is that of a file"),
    ],
)
def test_nonsense_is_refused_at_its_place(written: str, identity: str, said: str) -> None:
    (problem,) = problems(f"tasks:\n  web:\n    command: run\n    sockets:\n      it: {written}\n")
    assert problem.id == identity
    assert said in problem.message
    assert problem.place.line == 5


def test_sockets_are_a_mapping_with_names_and_keep_their_order() -> None:
    (problem,) = problems("tasks: {web: {command: run, sockets: 'tcp://127.0.0.1:80'}}")
    assert "this is text, not a mapping" in problem.message
    (problem,) = problems("tasks: {web: {command: run, sockets: {'a:b': 'tcp://127.0.0.1:80'}}}")
    assert "'a:b' is no name of a socket" in problem.message
    given = task("command: run\nsockets: {x-free: 1, z: 'tcp://127.0.0.1:80', a: 'unix:///a'}").sockets
    assert [each.name for each in given] == ["z", "a"]


def test_two_tasks_cannot_have_one_address() -> None:
    text = "tasks:\n  a: {command: run, sockets: {x: 'tcp://localhost:80'}}\n"
    (problem,) = problems(text + "  b: {command: run, sockets: {y: 'tcp://127.0.0.1:80'}}\n")
    assert (problem.id, problem.place.line) == ("two-at-a-socket", 3)
    assert "'y' listens at tcp://127.0.0.1:80, as 'x' of task 'a' does" in problem.message
    assert config("defaults: {sockets: {x: 'unix:///{task}'}}\ntasks: {a: {command: run}, b: {command: run}}").tasks


def test_a_program_is_told_what_it_is_given() -> None:
    web = task("command: run\nsockets: {http: 'tcp://127.0.0.1:80', admin: 'unix:///a'}")
    start = launch(web, 1, {})
    assert (start.environment["LISTEN_FDS"], start.environment["LISTEN_FDNAMES"]) == ("2", "http:admin")
    assert "LISTEN_PID" not in start.environment, "which is known when there is a process"
    assert start.needs_fork
    assert "LISTEN_FDS" not in launch(task("command: run"), 1, {}).environment
