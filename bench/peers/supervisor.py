"""supervisor, from PyPI."""

from __future__ import annotations

from bench.peers.install import Found, from_pip
from bench.peers.peer import Course, Peer

CONFIG = """[unix_http_server]
file={home}/supervisor.sock
[supervisord]
nodaemon=true
logfile={home}/supervisord.log
pidfile={home}/supervisord.pid
childlogdir={home}/log
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{home}/supervisor.sock
[program:quiet]
command={command}
numprocs={count}
process_name=%(process_num)d
autorestart=true
"""


class Supervisor(Peer):
    """Its defaults: a second until one counts as running, two files of output each."""

    name = "supervisor"

    def obtain(self) -> Found:
        return from_pip("supervisor", "supervisor>=4,<5", "setuptools<81")

    def write(self, course: Course) -> tuple[str, ...]:
        (course.home / "log").mkdir()
        command = course.command("%(process_num)d")
        text = CONFIG.format(home=course.home, command=command, count=course.count)
        (course.home / "supervisord.conf").write_text(text)
        return "supervisord", "-c", "supervisord.conf"

    def status(self, course: Course) -> tuple[str, ...]:
        return "supervisorctl", "-c", "supervisord.conf", "status"
