"""pm2, from npm. What starts it is a client that leaves; its daemon stays."""

from __future__ import annotations

import json

from bench.peers.install import Found, from_npm
from bench.peers.peer import Course, Peer


class Pm2(Peer):
    """Its defaults: two files of output each."""

    name = "pm2"

    def obtain(self) -> Found:
        return from_npm("pm2")

    def write(self, course: Course) -> tuple[str, ...]:
        program, *words = course.reporter
        app = {
            "name": "quiet",
            "script": program,
            "args": [*words, "$NODE_APP_INSTANCE"],
            "interpreter": "none",
            "exec_mode": "fork",
            "instances": course.count,
        }
        (course.home / "apps.json").write_text(json.dumps({"apps": [app]}))
        return *self.client(course), "start", "apps.json"

    def stop(self, course: Course, pid: int) -> tuple[str, ...]:
        return *self.client(course), "kill"

    def status(self, course: Course) -> tuple[str, ...]:
        return *self.client(course), "list"

    def client(self, course: Course) -> tuple[str, ...]:
        """The program, with its daemon's home."""
        return "env", f"PM2_HOME={course.home}/pm2", "PM2_DISCRETE_MODE=true", "pm2"
