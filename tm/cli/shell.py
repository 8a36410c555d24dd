"""The foreground shell: typed lines become commands, answers and messages become text at the prompt.

Guarantees: no command waits; what happens later is told above the prompt; the end of the input is `exit`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import tm
from tm.cli.guest import Guest
from tm.cli.notices import Notices
from tm.core.commands import Command, UsageError, complete, parse
from tm.core.select import names
from tm.core.verbs import DEFAULT_LINES
from tm.daemon.answers import Answer, NoSuchTask, failed
from tm.daemon.asking import WISHES
from tm.daemon.onlooker import Onlooker
from tm.daemon.searching import Answered, Audience
from tm.daemon.service import Service
from tm.daemon.views import Look
from tm.edge import linedit
from tm.edge.console import Calls, Console, hung_up
from tm.edge.cooked import Cooked
from tm.edge.history import History
from tm.edge.outlet import Outlet

PROMPT = "Taskmaster> "
UNTOLD_MOST = 200


class Shell:
    """A console on a service."""

    def __init__(self, service: Service, history: str) -> None:
        self._service = service
        self._control = service.control
        self._by = f"the shell (uid {os.getuid()})"
        self._at_terminal = os.isatty(0)
        self._following: Callable[[], None] | None = None
        self._searching: Callable[[], None] = lambda: None
        self._answering = False
        self._lines: deque[str | None] = deque()
        self._outlet = Outlet(service.loop)
        self._guest: Guest | None = None
        self._untold: deque[str] = deque(maxlen=UNTOLD_MOST)
        self._console = Console(
            service.loop,
            self._outlet,
            linedit.load(PROMPT, History(history), self._complete) or Cooked(PROMPT),
            Calls(self._line, self._end, self._interrupt),
        )
        self._say = self._console.write
        self._control.tell = self._tell
        self._notices = Notices(service.loop, self._tell)
        service.supervisor.observers.append(self._notices.observe)
        service.on_signal = self._signalled
        service.on_leave = self._leaving

    def open(self, greeting: str) -> None:
        """Say hello; the prompt comes when the boot is through, so that the first command finds what it expects."""
        self._console.tell(greeting)
        self._service.on_booted = self._console.open

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._call_back()
        self._console.close()

    def _line(self, line: str) -> None:
        """Carry it out; where nobody sits at a terminal behind the answer to the line before, which may be a search."""
        if self._answering and not self._at_terminal:
            self._lines.append(line)
        else:
            self._carry_out(line)

    def _carry_out(self, line: str) -> None:
        try:
            command = parse(line)
        except UsageError as error:
            self._console.write(failed(str(error)).text)
            return
        if command is None:
            return
        if command.verb == "attach" and self._at_terminal:
            self._attach(command)
            return
        if command.verb in WISHES:
            with suppress(NoSuchTask):
                self._notices.promise(row.name for row in self._control.rows(command.words))
        self._say, self._answering = self._console.write, True
        begun = False
        try:
            self._ask(command, partial(self._answered, "--json" in command.options))
            begun = True
        finally:
            self._say = self._tell
            self._answering = self._answering and begun

    def _ask(self, command: Command, answered: Answered) -> None:
        """Have it carried out; a further search or follow takes the place of the one before."""
        if "--follow" in command.options:
            self._stop_following()
            audience = Audience(answered, lambda told: self._tell(told.text))
            self._following = self._control.follow(command, self._by, _look(), audience)
        else:
            end = self._control.carry_out(command, self._by, _look(), answered)
            if command.verb == "logs":
                self._searching()
                self._searching = end

    def _answered(self, as_json: bool, answer: Answer) -> None:
        """At once, or later, above the prompt."""
        self._say(_json(answer) if as_json else answer.text)
        self._answering = False
        while self._lines and not self._answering:
            line = self._lines.popleft()
            self._end() if line is None else self._carry_out(line)

    def _end(self) -> None:
        """The end of the input, or the terminal hung up."""
        if self._answering and not self._at_terminal:
            self._lines.append(None)
            return
        gone = self._at_terminal and hung_up()
        self._service.leave("the hang-up of the terminal" if gone else "the end of the input")

    def _leaving(self) -> None:
        """The shutdown begins. Without a prompt Ctrl-C is a signal again: a further request, to hurry."""
        self._stop_following()
        self._call_back()
        self._console.tell("Exiting Taskmaster...")
        self._console.retire()

    def _interrupt(self) -> None:
        self._searching()
        self._stop_following()

    def _stop_following(self) -> None:
        if self._following is not None:
            self._following()
            self._following = None

    # ---- attached

    def _attach(self, command: Command) -> None:
        """Let the keys go to a terminal, until they come back."""
        self._stop_following()
        guest = Guest(self._service.loop, self._outlet, self._back)
        onlooker = Onlooker(guest.show, guest.ended)
        attached = self._service.attendants.terminals.attach(command.words, self._by, DEFAULT_LINES, onlooker)
        if isinstance(attached, Answer):
            self._console.write(attached.text)
            return
        self._console.write(f"Attached to '{attached.name}'. Ctrl-] leaves it.")
        self._console.suspend()
        self._guest = guest
        guest.stay(attached)

    def _call_back(self) -> None:
        if self._guest is not None:
            self._guest.leave()

    def _back(self, text: str) -> None:
        """The prompt again, and what has been kept from it."""
        self._guest = None
        self._console.write("\n".join([text, *self._untold]))
        self._untold.clear()
        self._console.open()

    def _tell(self, text: str) -> None:
        """Above the prompt; while somebody is attached, when he is back."""
        if self._guest is None:
            self._console.tell(text)
        else:
            self._untold.append(text)

    def _signalled(self, signum: int) -> bool:
        """The signals of the terminal; a hang-up of ours is no request to reload."""
        match signum:
            case signal.SIGWINCH if self._guest is not None:
                self._guest.resized()
            case signal.SIGWINCH:
                self._console.resized()
            case signal.SIGCONT:
                self._console.foreground()
            case signal.SIGHUP if hung_up():
                self._console.foreground()
            case signal.SIGTSTP:
                pass
            case _:
                return False
        return True

    def _complete(self, before: str, _word: str) -> list[str]:
        return complete(before, names(self._service.supervisor.rows.values()))


def greeting(path: str, tasks: int, processes: int) -> str:
    """The first line."""
    what = f"{os.path.basename(path)}, {tasks} task(s), {processes} process(es)"
    return f"Taskmaster {tm.__version__}: {what}. Type 'help' for a list of commands."


def _look() -> Look:
    """How the terminal looks, if it is one."""
    if not os.isatty(1):
        return Look()
    return Look(shutil.get_terminal_size().columns, not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")


def _json(answer: Answer) -> str:
    return json.dumps(answer.data, ensure_ascii=True, indent=2, default=list)
