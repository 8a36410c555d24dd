"""The command line of the client: its flags, and the words of the command.

Guarantees: a flag is the client's only where it is one of FLAGS; the rest is the command's, in its order, to be judged
by whoever knows the commands. No argparse: it takes longer to import than the daemon to answer.
"""

from __future__ import annotations

from tm.cli.screen import COLOURS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# fmt: off
FLAGS = (
    # short, long, what it takes, its meaning, whether it may stand behind the command too
    ("-c", "--config",  "CONFIG", "the daemon that runs this configuration",                       False),
    ("-s", "--socket",  "SOCKET", "the daemon that listens on this socket",                        False),
    ("",   "--json",    "",       "print what the daemon answers as JSON",                         True),
    ("",   "--no-wait", "",       "return when the command has begun",                             True),
    ("",   "--timeout", "S",      "wait for S seconds at most; exit 124 when it was not enough",   True),
    ("",   "--color",   "WHEN",   "`auto`, `always` or `never`",                                      True),
    ("",   "--names",   "",       "print the names of tasks and processes, for completion",        False),
    ("-h", "--help",    "",       "print this summary",                                            False),
    ("",   "--version", "",       "print the version",                                             False),
)
# fmt: on


class Usage(Exception):
    """A command line that says nothing that can be done; the text says what is wrong."""


class Wish:
    """The command line as it was meant. `words`: verb, words and options of the command."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises Usage."""
        self.words: list[str] = []
        self.given: dict[str, str] = {}
        rest = iter(arguments)
        for word in rest:
            if word == "--":
                self.words += rest
            elif not word.startswith("-") or word == "-" or not self._flag(word, rest):
                self.words.append(word)
        self.settle()

    def settle(self) -> None:
        """What the flags given mean. Raises Usage."""
        self.config, self.socket = self.given.get("--config"), self.given.get("--socket")
        self.json, self.wait = "--json" in self.given, "--no-wait" not in self.given
        self.colour = self.given.get("--color", COLOURS[0])
        self.timeout_s = _seconds(self.given["--timeout"]) if "--timeout" in self.given else None
        if self.config and self.socket:
            raise Usage("-c and -s name two daemons. Give one of them.")
        if self.colour not in COLOURS:
            raise Usage(f"--color is one of {', '.join(COLOURS)}.")

    @property
    def prefix(self) -> str:
        """What an operator types before a command to reach the same daemon."""
        flags = [f"{short} {self.given[name]}" for short, name, *_ in FLAGS[:2] if name in self.given]
        return " ".join(["taskmasterctl", *flags])

    def _flag(self, word: str, rest: Iterator[str]) -> bool:
        """Take a flag of ours, with its value; False where it is one of the command's."""
        for short, long, takes, _, anywhere in FLAGS:
            if (anywhere or not self.words) and (value := _given(word, short, long, takes)) is not None:
                self.given[long] = value or (_value(long, takes, rest) if takes else "")
                return True
        if not self.words:
            raise Usage(f"Unknown flag: {word[:80]}. Type 'taskmasterctl --help' for a list.")
        return False


def usage() -> list[str]:
    """The summary of the flags, a line each."""
    spelled = [", ".join(filter(None, (short, f"{long} {takes}".rstrip()))) for short, long, takes, *_ in FLAGS]
    width = max(map(len, spelled))
    return [
        "usage: taskmasterctl [-c CONFIG | -s SOCKET] [--json] [--no-wait] [--timeout S] [--color WHEN] [COMMAND ...]",
        "Steer a running taskmaster. Without COMMAND: a shell, as at the daemon's own prompt.",
        "",
        *(f"  {text:<{width}}  {doc}" for text, (_, _, _, doc, _) in zip(spelled, FLAGS, strict=True)),
    ]


def _given(word: str, short: str, long: str, takes: str) -> str | None:
    """The value that stands in the word itself, '' where none does; None where the word is another flag."""
    if word in (short, long):
        return ""
    if takes and word.startswith(f"{long}="):
        return word[len(long) + 1 :]
    if takes and short and word.startswith(short) and not word.startswith("--"):
        return word[len(short) :]
    return None


def _value(name: str, takes: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None:
        raise Usage(f"{name} takes a value: {name} {takes}")
    return value


def _seconds(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise Usage(f"--timeout takes seconds, such as 30 or 2.5, not '{text[:40]}'.")
    return seconds
