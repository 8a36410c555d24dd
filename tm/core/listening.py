"""A socket that a task is given: its name, where it listens, and whose its file is.

Guarantees: two sockets that listen at one place have one `address`.
Leaves to others: how one is written (`core.socket_values`), opening it (`edge.listeners`), who has it and how long
(`daemon.listening`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tm.core.template import Template

MODE: Final = 0o600
PATH_BYTES: Final = 107
"""The longest path of a socket that every kernel takes."""


class Socket(NamedTuple):
    """One of them: a `host` with a `port`, or a `path`, in which only the task may be left open. `mode`, `user` and
    `group` are those of the file, None where they are not given: MODE, and the user and group of the task.
    """

    name: str
    host: str = ""
    port: int = 0
    path: Template = Template(())
    mode: int | None = None
    user: str | None = None
    group: str | None = None

    def address(self, task: str) -> str:
        """Where it listens, as it would be written."""
        if self.host:
            return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"
        return f"unix://{self.file(task)}"

    def file(self, task: str) -> str:
        """The path of its file; '' where it has none."""
        return self.path.fill(task, "", "")

    @property
    def text(self) -> str:
        """How it is shown."""
        owner = ":".join(each or "" for each in (self.user, self.group)) if self.user or self.group else ""
        about = [f"mode {self.mode:03o}"] if self.mode is not None else []
        about += [f"owner {owner}"] if owner else []
        shown = self.address("{task}")
        return f"{shown} ({', '.join(about)})" if about else shown
