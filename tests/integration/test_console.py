"""The terminal edge on the real loop: at pseudo-terminals with readline and without, at pipes and files."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from tests.screen import Screen
from tests.waiting import until

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
DRIVER = [sys.executable, str(PROGRAMS / "console_driver.py")]
PROMPT = "Taskmaster> "
READLINE, COOKED = "xterm", "dumb"
both = pytest.mark.parametrize("term", [READLINE, COOKED])


class Place:
    """The files a driver is given, and what it wrote of itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history = folder / "state" / "history"
        self.log_file = folder / "log"
        os.mkfifo(folder / "tells")
        os.mkfifo(folder / "orders")

    @property
    def driver(self) -> list[str]:
        return [*DRIVER, str(self.folder / "tells"), str(self.history), str(self.log_file)]

    @property
    def log(self) -> list[str]:
        return self.log_file.read_text().splitlines() if self.log_file.exists() else []

    def tell(self, text: str) -> None:
        told = self.log.count("told")
        self.order("tells", text)
        until(lambda: self.log.count("told") > told, f"told {text}")

    def order(self, fifo: str, text: str) -> None:
        with open(self.folder / fifo, "w") as file:
            file.write(text)

    def until_logged(self, line: str) -> None:
        until(lambda: line in self.log, f"{line!r} in the log; there is {self.log}")


class Terminal:
    """A pseudo-terminal with a program at its other end, which is its session's leader."""

    def __init__(self, command: list[str], term: str, columns: int = 80, **options: IO[bytes] | int) -> None:
        self.ends = self.master, self.slave = os.openpty()
        self.resize(columns)
        self.found = termios.tcgetattr(self.slave)
        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, **options}
        environment = {**os.environ, "TERM": term, "INPUTRC": "/dev/null"}
        self.program = subprocess.Popen(
            command,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0),
            pass_fds=(self.slave,),
            **streams,  # type: ignore[call-overload]
        )
        os.set_blocking(self.master, False)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.screen = Screen(columns)

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def look(self) -> list[str]:
        with suppress(BlockingIOError, OSError):
            while data := os.read(self.master, 65536):
                self.screen.feed(data.decode(errors="replace"))
        return self.screen.lines()

    def until_shown(self, *last: str) -> None:
        """Until the last rows that are not empty are these."""
        wanted = [row.rstrip() for row in last]
        try:
            until(lambda: self.look()[-len(wanted) :] == wanted, "on the screen")
        except AssertionError:
            assert self.look()[-len(wanted) - 3 :] == wanted

    def hang_up(self) -> None:
        for fd in self.ends:
            os.close(fd)
        self.ends = ()

    def close(self) -> None:
        self.hang_up()
        self.program.kill()
        self.program.wait()


Start = Callable[..., Terminal]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def start(place: Place) -> Iterator[Start]:
    """Start the driver at a terminal and wait for its prompt."""
    begun: list[Terminal] = []

    def begin(term: str = READLINE, *arguments: str, **options: int) -> Terminal:
        begun.append(Terminal([*place.driver, *arguments], term, **options))
        begun[-1].until_shown(PROMPT)
        return begun[-1]

    yield begin
    for terminal in begun:
        terminal.close()


# ---- typing


@both
def test_a_typed_line_is_handed_over_and_answered(start: Start, place: Place, term: str) -> None:
    terminal = start(term)
    terminal.type("status\r")
    terminal.until_shown(PROMPT + "status", "got status", PROMPT)
    assert place.log == ["open", "got 'status'"]


def test_the_line_is_edited_before_it_is_entered(start: Start, place: Place) -> None:
    terminal = start()
    terminal.type("tatus web\x01s\x05b\x08\x1bb\x0b\r")
    place.until_logged("got 'status '")


@both
def test_text_that_is_not_ascii(start: Start, place: Place, term: str) -> None:
    start(term).type("größe €\r")
    place.until_logged("got 'größe €'")


def test_lines_that_are_pasted_at_once_come_one_by_one(start: Start, place: Place) -> None:
    terminal = start()
    terminal.type("one\rtwo\rthree\rhalf")
    terminal.until_shown(PROMPT + "two", "got two", PROMPT + "three", "got three", PROMPT + "half")
    assert place.log == ["open", "got 'one'", "got 'two'", "got 'three'"]


def test_a_bracketed_paste_that_never_ends_holds_nobody_up(start: Start, place: Place) -> None:
    terminal = start()
    terminal.type("\x1b[200~status")
    terminal.until_shown(PROMPT + "status")
    place.tell("still here")


@both
def test_a_failing_command_leaves_the_rest_of_the_lines(start: Start, place: Place, term: str) -> None:
    terminal = start(term)
    terminal.type("fail\rstatus\r")
    terminal.until_shown("got status", PROMPT)
    assert place.log[1:] == ["got 'fail'", "failed RuntimeError('as told')", "got 'status'"]


def test_a_line_of_a_megabyte_at_the_prompt_is_ignored(start: Start, place: Place) -> None:
    terminal = start()
    rest = b"x" * 1_000_000 + b"\rstatus\r"
    while rest:
        terminal.look()
        with suppress(BlockingIOError):
            rest = rest[os.write(terminal.master, rest[:4096]) :]
    terminal.until_shown("line of more than 65,536 bytes ignored", PROMPT + "status", "got status", PROMPT)
    assert place.log == ["open", "got 'status'"]


# ---- history and completion


def test_history_of_an_earlier_session_is_there_in_the_next(start: Start, place: Place) -> None:
    start().type("first\rsecond\rsecond\r hidden\r\rquit\r")
    place.until_logged("closed")
    assert place.history.read_text() == "first\nsecond\nquit\n"
    assert place.history.stat().st_mode & 0o777 == 0o600
    again = start()
    again.type("\x1b[A\x1b[A\x1b[A")
    again.until_shown(PROMPT + "first")
    again.type("\r")
    until(lambda: place.log[-1] == "got 'first'", "the line from the history")


def test_a_history_that_cannot_be_kept_is_no_error(start: Start, place: Place) -> None:
    place.history.parent.write_text("a file where a directory should be")
    start().type("status\rquit\r")
    place.until_logged("closed")
    assert place.log[-2:] == ["got 'quit'", "closed"]


def test_a_link_in_place_of_the_history_is_left_alone(start: Start, place: Place) -> None:
    place.history.parent.mkdir()
    place.history.symlink_to("/dev/null")
    start().type("quit\r")
    place.until_logged("closed")
    assert place.history.is_symlink()


def test_the_oldest_lines_of_a_long_history_go(start: Start, place: Place) -> None:
    place.history.parent.mkdir()
    place.history.write_bytes(b"\xff\x00junk\n" + b"".join(b"line %d\n" % n for n in range(1500)))
    start().type("quit\r")
    place.until_logged("closed")
    lines = place.history.read_text().splitlines()
    assert len(lines) == 1000
    assert lines[-2:] == ["line 1499", "quit"]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("stat\t", "status "),
        ("start worker:worker_1 wor\t2", "start worker:worker_1 worker:worker_2"),
        ("stop @l\t", "stop @label "),
        ("status --j\t", "status --json "),
    ],
)
def test_tab_completes_whole_words(start: Start, place: Place, typed: str, completed: str) -> None:
    start().type(typed + "|\r")
    place.until_logged(f"got '{completed}|'")


def test_two_tabs_list_what_is_possible(start: Start) -> None:
    terminal = start()
    terminal.type("sta\t\t")
    terminal.until_shown("start   status", PROMPT + "sta")


# ---- messages


def test_a_message_is_told_above_the_half_typed_line(start: Start, place: Place) -> None:
    terminal = start()
    terminal.type("stop worker")
    terminal.until_shown(PROMPT + "stop worker")
    place.tell("Process 'web' has ended")
    terminal.until_shown("Process 'web' has ended", PROMPT + "stop worker")
    assert terminal.screen.lines() == ["Process 'web' has ended", PROMPT + "stop worker"]
    terminal.type("\x01x\r")
    place.until_logged("got 'xstop worker'")


def test_a_message_is_told_above_a_half_typed_line_of_many_rows(start: Start, place: Place) -> None:
    terminal = start(columns=20)
    typed = "abcdefghij" * 5
    rows = [(PROMPT + typed)[at : at + 20] for at in range(0, len(PROMPT + typed), 20)]
    terminal.type(typed + "\x01")
    terminal.until_shown(*rows)
    place.tell("a message")
    terminal.until_shown("a message", *rows)
    assert terminal.screen.lines() == ["a message", *rows]


def test_a_cooked_half_typed_line_is_not_lost_to_a_message(start: Start, place: Place) -> None:
    terminal = start(COOKED)
    terminal.type("sta")
    terminal.until_shown(PROMPT + "sta")
    place.tell("a message")
    terminal.until_shown(PROMPT + "sta", "a message", PROMPT)
    terminal.type("tus\r")
    place.until_logged("got 'status'")


def test_the_prompt_follows_the_size_of_the_terminal(start: Start, place: Place) -> None:
    terminal = start()
    terminal.resize(20)
    place.until_logged("SIGWINCH")
    terminal.type("abcdefghij" * 3)
    terminal.until_shown("Taskmaster> abcdefgh", "ijabcdefghijabcdefgh", "ij")
    place.tell("a message")
    terminal.until_shown("a message", "Taskmaster> abcdefgh", "ijabcdefghijabcdefgh", "ij")


# ---- keys that are signals elsewhere


@both
def test_ctrl_c_drops_the_line_at_once_and_is_no_signal(start: Start, place: Place, term: str) -> None:
    terminal = start(term)
    terminal.type("shutdown\x03")
    place.until_logged("interrupt")
    terminal.until_shown(PROMPT + "shutdown^C", PROMPT)
    terminal.type("status\r")
    place.until_logged("got 'status'")
    assert place.log == ["open", "interrupt", "got 'status'"]


def test_ctrl_c_ends_a_search_in_the_history(start: Start, place: Place) -> None:
    terminal = start()
    terminal.type("status\r\x12sta\x03")
    place.until_logged("interrupt")
    terminal.type("stop\r")
    place.until_logged("got 'stop'")


@both
def test_ctrl_z_and_ctrl_backslash_do_nothing(start: Start, place: Place, term: str) -> None:
    terminal = start(term)
    terminal.type("st\x1a\x1catus\r")
    terminal.until_shown("got status", PROMPT)
    assert place.log == ["open", "got 'status'"]


@both
def test_ctrl_d_on_an_empty_line_ends(start: Start, place: Place, term: str) -> None:
    terminal = start(term)
    terminal.type("status\r")
    place.until_logged("got 'status'")
    terminal.type("\x04")
    assert terminal.program.wait(20) == 0
    assert place.log[-2:] == ["end", "closed"]


@both
def test_the_terminal_is_left_as_it_was_found(start: Start, place: Place, term: str) -> None:
    terminal = start(term)
    assert termios.tcgetattr(terminal.slave) != terminal.found
    terminal.type("half\x03quit\r")
    assert terminal.program.wait(20) == 0
    assert termios.tcgetattr(terminal.slave) == terminal.found


@both
def test_after_retire_ctrl_c_is_a_signal_and_messages_still_come(start: Start, place: Place, term: str) -> None:
    terminal = start(term)
    terminal.type("retire\rstatus\r")
    place.until_logged("got 'retire'")
    until(lambda: termios.tcgetattr(terminal.slave) == terminal.found, "the modes as found")
    place.tell("still here")
    terminal.until_shown("still here")
    terminal.type("\x03")
    place.until_logged("SIGINT")
    assert "got 'status'" not in place.log


@pytest.mark.parametrize(
    "keys",
    [
        "\x12\x18a",  # Ctrl-X within a search, once a null pointer in readline
        "\x12sta\x18x",
        "\x1b8\rq",  # an argument before Enter, once an endless loop
        "\x10\x1bN\x07x\x10\x0f\x1f",  # searching from an edited line of the history, once a double free
        "\x10x\x12\x1d\x03\x91\x03\x1be\x10\x03",
        "\x1b\rgröße\x1b\x1bEEE*\\\\",  # vi mode, once an endless loop
        "\x18(ab\x18)\x18e\x18e",
        "\x1b999999x",
    ],
)
def test_keys_that_readline_cannot_bear(start: Start, place: Place, keys: str) -> None:
    terminal = start()
    terminal.type("one\rtwo three\r")
    place.until_logged("got 'two three'")
    terminal.type(keys)
    terminal.type("\x03")
    place.until_logged("interrupt")
    terminal.type("\x03still here\r")
    place.until_logged("got 'still here'")


@both
def test_any_keys_leave_the_program_alive(start: Start, place: Place, term: str) -> None:
    chance = random.Random(7)
    terminal = start(term)
    forbidden = "\x04\x11\x13"  # end of input, and the two that stop and start a terminal
    for n in range(500):
        keys = "".join(
            chance.choice(["\x1b", "\x03", "€", chr(chance.randrange(32)), chr(chance.randrange(256))])
            for _ in range(8)
        )
        terminal.type("".join(key for key in keys if key not in forbidden))
        terminal.look()
        if n % 50 == 0:
            place.tell("still here")
    terminal.type("\x03\x03fin\r")
    place.until_logged("got 'fin'")
    assert not [line for line in place.log if line.startswith(("SIG", "failed"))]


# ---- hang-up, and whose terminal it is


@both
def test_a_hang_up_of_the_terminal_is_the_end(start: Start, place: Place, term: str) -> None:
    terminal = start(term)
    terminal.hang_up()
    assert terminal.program.wait(20) == 0
    assert place.log.count("end") == 1


@pytest.fixture
def job(place: Place) -> Iterator[Callable[[str], Terminal]]:
    """Start the driver as a background job of a terminal."""
    begun: list[Terminal] = []

    def begin(term: str) -> Terminal:
        shell = [sys.executable, str(PROGRAMS / "job_shell.py"), str(place.folder / "orders")]
        begun.append(Terminal([*shell, *place.driver], term))
        place.until_logged("open")
        return begun[-1]

    yield begin
    for terminal in begun:
        terminal.close()


@both
def test_in_the_background_it_neither_reads_nor_prompts(
    job: Callable[[str], Terminal], place: Place, term: str
) -> None:
    terminal = job(term)
    terminal.type("for the shell\r")
    terminal.until_shown("for the shell")
    place.tell("a message")
    terminal.until_shown("for the shell", "a message")
    assert terminal.screen.lines() == ["for the shell", "a message"]
    assert termios.tcgetattr(terminal.slave) == terminal.found
    assert place.log == ["open", "told"]


@both
def test_brought_to_the_front_it_prompts(job: Callable[[str], Terminal], place: Place, term: str) -> None:
    terminal = job(term)
    place.order("orders", "front\ncont\n")
    terminal.until_shown(PROMPT)
    terminal.type("status\r")
    terminal.until_shown("got status", PROMPT)
    place.order("orders", "back\ncont\n")
    until(lambda: place.log.count("SIGCONT") == 2, "told that it is in the background again")
    before = termios.tcgetattr(terminal.slave)
    place.tell("a message")
    terminal.until_shown(PROMPT + "a message")
    place.order("orders", "front\ncont\n")
    terminal.type("quit\r")
    place.until_logged("closed")
    assert before != terminal.found, "nobody had restored the modes, and it is not for the background to do"


@both
def test_brought_to_the_front_untold_a_key_is_enough(job: Callable[[str], Terminal], place: Place, term: str) -> None:
    terminal = job(term)
    place.order("orders", "front\n")
    until(lambda: os.tcgetpgrp(terminal.master) != terminal.program.pid, "the job in front")
    terminal.type("status\r")
    place.until_logged("got 'status'")
    terminal.until_shown("got status", PROMPT)


def test_a_hang_up_in_the_background_is_the_end_too(job: Callable[[str], Terminal], place: Place) -> None:
    terminal = job(READLINE)
    terminal.hang_up()
    place.until_logged("closed")
    assert place.log.count("end") == 1


# ---- readers that are slow, stopped or gone


@both
def test_a_stopped_terminal_stops_nobody(start: Start, place: Place, term: str) -> None:
    terminal = start(term)
    terminal.type("\x13")
    place.tell("flood 100000")
    place.tell("the last")
    terminal.type("\x11")
    terminal.until_shown("0099999", "the last", PROMPT)
    assert any("lines of output dropped" in row for row in terminal.screen.lines())
    terminal.type("status\r")
    terminal.until_shown("got status", PROMPT)


def run(place: Place, given: bytes, **options: IO[bytes] | int) -> bytes:
    """The driver with `given` on a pipe, to its end; what it wrote."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **options}
    with subprocess.Popen(place.driver, **streams) as program:  # type: ignore[call-overload]
        output, _ = program.communicate(given or None, timeout=30)
        assert program.returncode == 0
    return bytes(output or b"")


def test_the_next_line_waits_until_the_answer_was_taken(place: Place) -> None:
    with subprocess.Popen(place.driver, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin and program.stdout
        program.stdin.write(b"print 20000\nstatus\n")
        program.stdin.close()
        place.until_logged("got 'print 20000'")
        place.tell("meanwhile")
        assert "got 'status'" not in place.log
        answer = program.stdout.read().decode().splitlines()
    assert answer == [f"{n:07}" for n in range(20000)] + ["meanwhile", "got status"]


def test_an_answer_without_bounds_loses_its_oldest_lines_and_says_so(place: Place) -> None:
    with subprocess.Popen(place.driver, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin and program.stdout
        program.stdin.write(b"print 200000\n")
        program.stdin.close()
        place.until_logged("got 'print 200000'")
        place.tell("meanwhile")
        lines = program.stdout.read().decode().splitlines()
    notices = [line for line in lines if "lines of output dropped" in line]
    kept = [line for line in lines if line.isdigit() and len(line) == 7]
    assert len(notices) == 1
    dropped = int(notices[0].split()[0].strip("[").replace(",", ""))
    assert 200000 - len(kept) - dropped in (0, 1)
    assert lines[-2:] == ["0199999", "meanwhile"]
    assert kept == sorted(kept)


def test_a_reader_that_is_gone_is_no_error(place: Place) -> None:
    with subprocess.Popen(place.driver, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin and program.stdout
        program.stdout.close()
        program.stdin.write(b"one\ntwo\nprint 100000\n")
        program.stdin.close()
        assert program.wait(20) == 0
    assert place.log == ["open", "got 'one'", "got 'two'", "got 'print 100000'", "end", "closed"]


# ---- stdin that is no terminal


def test_lines_from_a_pipe_come_in_order_without_prompt(place: Place) -> None:
    output = run(place, b"one\n\ntwo\r\nlast without end")
    assert output == b"got one\ngot two\ngot last without end\n"
    assert place.log == [
        "open",
        "got 'one'",
        "got ''",
        "got 'two'",
        "got 'last without end'",
        "end",
        "closed",
    ]


def test_after_the_owner_has_closed_no_line_is_handed_over(place: Place) -> None:
    assert run(place, b"one\nquit\ntwo\n") == b"got one\n"
    assert place.log == ["open", "got 'one'", "got 'quit'", "closed"]


def test_many_lines_do_not_keep_others_waiting(place: Place) -> None:
    output = run(place, b"x\n" * 50_000)
    assert output == b"got x\n" * 50_000


def test_a_line_of_a_megabyte_is_ignored_and_the_rest_goes_on(place: Place) -> None:
    output = run(place, b"one\n" + b"x" * 1_000_000 + b"\ntwo\n" + b"y" * 65_536 + b"\n")
    assert output == b"got one\nline of more than 65,536 bytes ignored\ngot two\ngot 65536\n"


def test_junk_is_harmless(place: Place) -> None:
    output = run(place, bytes(range(256)) * 100 + b"\n\x00st\x00atus\x00\n")
    assert output.endswith(b"\ngot status\n")
    assert not [line for line in place.log if line.startswith("failed")]


def test_a_file_as_stdin(place: Place, tmp_path: Path) -> None:
    (tmp_path / "commands").write_bytes(b"one\ntwo\n" * 50_000)
    with open(tmp_path / "commands", "rb") as commands:
        assert run(place, b"", stdin=commands) == b"got one\ngot two\n" * 50_000
    assert place.log[-2:] == ["end", "closed"]


def test_dev_null_as_stdin_is_the_end(place: Place) -> None:
    assert run(place, b"", stdin=subprocess.DEVNULL) == b""
    assert place.log == ["open", "end", "closed"]


def test_a_closed_stdin_is_the_end(place: Place) -> None:
    with subprocess.Popen([*place.driver, "--close-stdin"], stdin=subprocess.DEVNULL) as program:
        assert program.wait(20) == 0
    assert place.log == ["open", "end", "closed"]


@pytest.mark.parametrize(
    ("redirection", "given"), [("<&-", False), ("</dev/null", False), ("</etc/passwd", True), ("", True)]
)
def test_whether_anything_can_come_from_stdin(redirection: str, given: bool) -> None:
    question = "from tm.edge.console import stdin_given; raise SystemExit(not stdin_given())"
    command = f'exec "$0" -c "{question}" {redirection}'
    answer = subprocess.run(["sh", "-c", command, sys.executable], stdin=subprocess.PIPE, check=False)
    assert (answer.returncode == 0) is given


def test_output_to_a_file_while_a_person_types(place: Place, tmp_path: Path) -> None:
    with open(tmp_path / "output", "wb") as output:
        terminal = Terminal(place.driver, READLINE, stdout=output)
        place.until_logged("open")
        terminal.type("status\r\x03quit\r")
        assert terminal.program.wait(20) == 0
        terminal.close()
    assert (tmp_path / "output").read_text() == "got status\n"
    assert place.log == ["open", "got 'status'", "interrupt", "got 'quit'", "closed"]
    assert signal.SIGINT.name not in place.log
