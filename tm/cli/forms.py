"""The forms that the program runs in, its exit codes, and how it says that it cannot go on."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from enum import Enum

DONE, NOT_STARTED, USAGE, RUNNING_ALREADY = 0, 1, 2, 3


class Form(Enum):
    """How it runs."""

    SHELL = "in the foreground with a shell"
    PLAIN = "in the foreground without one"
    DAEMON = "in the background"


class Refusal(Exception):
    """The program cannot go on; the text is for people, `code` is what it exits with."""

    def __init__(self, text: str, code: int = NOT_STARTED) -> None:
        super().__init__(text)
        self.code = code


def say(text: str) -> None:
    """Tell whoever started it, and perhaps is gone."""
    with suppress(OSError):
        print(f"taskmaster: {text}", file=sys.stderr, flush=True)


def reason(error: OSError) -> str:
    """Why, in the system's words or in ours."""
    return error.strerror or os.strerror(error.errno or 0)


def fail(text: str, code: int) -> int:
    """Say what is wrong; the exit code."""
    print(text if "\n" in text else f"taskmaster: {text}", file=sys.stderr)
    return code


def write_anything() -> None:
    """Let half a character, as a file's name may hold it, be shown as an escape instead of being an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
