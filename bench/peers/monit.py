"""monit, from PATH or Debian's packages. It looks for pids in files every second and starts who is not there."""

from __future__ import annotations

from bench.peers.install import Found, from_apt
from bench.peers.peer import Course, Peer

HEAD = """set daemon 1
set log {home}/monit.log
set pidfile {home}/monit.pid
set idfile {home}/monit.id
set statefile {home}/monit.state
set httpd unixsocket {home}/monit.sock allow bench:bench
"""
CHECK = """check process quiet_{n} with pidfile {home}/pid/{n}
  start program = "{home}/start {n}"
  stop program = "{home}/stop {n}"
"""
START = """#!/bin/sh
{command} &
echo $! >{home}/pid/$1
"""
STOP = """#!/bin/sh
kill $(cat {home}/pid/$1)
"""


class Monit(Peer):
    """What it starts goes into the background. It leaves them alone when it ends, so that it is asked to stop all."""

    name = "monit"

    def obtain(self) -> Found:
        return from_apt("monit", "monit")

    def write(self, course: Course) -> tuple[str, ...]:
        home = course.home
        (home / "pid").mkdir()
        for name, text in (("start", START), ("stop", STOP)):
            (home / name).write_text(text.format(home=home, command=course.command("$1")))
            (home / name).chmod(0o755)
        checks = "".join(CHECK.format(home=home, n=n) for n in range(1, course.count + 1))
        (home / "monitrc").write_text(HEAD.format(home=home) + checks)
        (home / "monitrc").chmod(0o600)
        return "monit", "-I", "-c", str(home / "monitrc")

    def stop(self, course: Course, pid: int) -> tuple[str, ...]:
        return "monit", "-c", str(course.home / "monitrc"), "stop", "all"

    def status(self, course: Course) -> tuple[str, ...]:
        return "monit", "-c", str(course.home / "monitrc"), "-B", "summary"
