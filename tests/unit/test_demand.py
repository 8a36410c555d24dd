"""What a configuration may need, and the sentences where the machine has less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.build import tasks
from tm.core.config import Config
from tm.core.demand import OWN_DESCRIPTORS, OWN_PROCESSES, Bound, Room, demand, lacking
from tm.core.settings import Settings

PLENTY = Room(descriptors=None, bounds=(), of_a_user=None, root=False)


def config(text: str, user: str | None = None) -> Config:
    return Config("web.yaml", tasks(text), replace(Settings(), user=user))


def of(body: str) -> tuple[int, int]:
    """Descriptors and processes beside taskmaster's own."""
    need = demand(config(f"tasks: {{web: {{command: run, {body}}}}}"))
    return need.descriptors - OWN_DESCRIPTORS, sum(need.processes.values()) - OWN_PROCESSES


@pytest.mark.parametrize(
    ("body", "descriptors", "processes"),
    [
        ("instances: 0", 0, 0),
        ("instances: 0, stdout: /a, sockets: {http: 'tcp://127.0.0.1:80'}", 0, 0),
        ("instances: 1", 3, 1),
        ("instances: 10", 30, 10),
        ("instances: 10, stderr: stdout", 20, 10),
        ("instances: 10, stdout: /a.log", 31, 10),
        ("instances: 10, stdout: /a.log, stderr: /a.log", 31, 10),
        ("instances: 10, stdout: /a.log, stderr: '/{n}.err'", 41, 10),
        ("instances: 10, stdout: '/{instance}.log', stderr: '/{task}.err'", 41, 10),
        ("instances: 10, stdout: '/{n}.log', stderr: stdout", 30, 10),
        ("instances: 10, stdout: syslog, stderr: syslog", 30, 10),
        ("instances: 10, tty: true", 40, 10),
        ("instances: 10, readiness: {tcp: '127.0.0.1:80'}", 40, 10),
        ("instances: 10, readiness: {log: up}", 30, 10),
        ("instances: 10, readiness: {exec: look}, liveness: {http: 'http://127.0.0.1/'}", 40, 20),
        ("instances: 10, liveness: {exec: look}, hooks: {preStart: make}", 50, 20),
        ("instances: 10, hooks: {preStart: make}", 40, 20),
        ("instances: 10, readiness: {notify: true}", 50, 10),
        ("instances: 10, watchdog: 5", 50, 10),
        ("instances: 10, sockets: {a: 'tcp://127.0.0.1:80', b: 'tcp://127.0.0.1:81'}", 32, 10),
    ],
)
def test_what_a_task_may_need(body: str, descriptors: int, processes: int) -> None:
    assert of(body) == (descriptors, processes)


def test_a_machine_with_room_is_no_reason_to_speak() -> None:
    several = config("tasks: {a: {command: x, instances: 10}, b: {command: y, user: nobody}}")
    need = demand(several)
    assert (need.instances, need.processes) == (11, {"": 10 + OWN_PROCESSES, "nobody": 1})
    assert lacking(several, need, PLENTY) == []
    exactly = Room(need.descriptors, [Bound(11 + OWN_PROCESSES, "x", "y")], 10 + OWN_PROCESSES, False)
    assert lacking(several, need, exactly) == []
    assert len(lacking(several, need, Room(need.descriptors - 1, [Bound(18, "x", "y")], 17, False))) == 3


def test_a_lack_says_who_needs_how_much_what_follows_and_what_to_type() -> None:
    many = config("tasks: {many: {command: x, instances: 10000}}")
    bounds = [Bound(32768, "roomy", ""), Bound(4096, "kernel.pid_max of this machine", "type: sysctl -w it={}")]
    found = lacking(many, demand(many), replace_room(descriptors=20000, bounds=bounds, of_a_user=50))
    then = "one that finds none left is not started, but tried again where `restart` says so. For more room"
    start = "start taskmaster after `ulimit"
    assert found == [
        "web.yaml: 10,000 processes may need 30,064 descriptors in taskmaster, whose hard limit of open files is "
        f"20,000: {then} {start} -n 30720` as root, or with LimitNOFILE=30720 in its unit",
        "web.yaml: 10,000 processes may need 10,008 process ids with its own, and kernel.pid_max of this machine is "
        f"4,096: {then} type: sysctl -w it=10240",
        "web.yaml: 10,000 processes may need 10,008 process ids for its user, and the limit of one user is 50: "
        f"{then} {start} -u 10240` as root, or with LimitNPROC=10240 in its unit",
    ]


def replace_room(**changes: object) -> Room:
    return PLENTY._replace(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("root", "own", "told"),
    [
        (False, None, ["for its user", "for user 'www'"]),
        (True, None, ["for user 'www'"]),
        (True, "me", ["for user 'me'", "for user 'www'"]),
    ],
)
def test_each_user_has_a_limit_of_his_own_and_root_has_none(root: bool, own: str | None, told: list[str]) -> None:
    text = """
        tasks:
          web: {command: x, instances: 9, user: www}
          own: {command: x, instances: 2}
          root: {command: x, instances: 99, user: root}
          toor: {command: x, instances: 99, user: 0}
    """
    several = config(text, own)
    found = lacking(several, demand(several), replace_room(of_a_user=8, root=root))
    assert [each.split("process ids ")[1].split(",")[0] for each in found] == told


def test_one_process_is_told_of_in_the_singular() -> None:
    single = config("tasks: {web: {command: x}}")
    assert lacking(single, demand(single), replace_room(descriptors=8))[0].startswith(
        "web.yaml: 1 process may need 67 "
    )
