"""The verbs: one declaration that feeds parser, help, completion, manual and the control socket."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

DEFAULT_LINES: Final = 10


class Takes(Enum):
    """What words a verb takes."""

    NOTHING = ""
    MAYBE_SELECTION = "[SEL ...]"
    SELECTION = "SEL ..."
    LOG = "SEL [N]"
    SIGNAL = "SIG SEL ..."
    COUNT = "TASK N"
    INSTANCE = "INSTANCE"
    MAYBE_FILE = "[FILE]"
    MAYBE_VERB = "[CMD]"


class Option(NamedTuple):
    """A flag of a verb; `short` is its one-letter form or '', `value` what it takes or ''."""

    name: str
    doc: str
    short: str = ""
    value: str = ""

    @property
    def usage(self) -> str:
        """`-f`, `--since TIME`"""
        return f"{self.short or self.name} {self.value}".rstrip()


class Verb(NamedTuple):
    """A command's declaration. `missing`: what an operator hears who gives no word where one is needed. `reads`: it
    changes nothing; `client`: the client alone has it, by means of others.
    """

    name: str
    takes: Takes
    doc: str
    options: tuple[Option, ...] = ()
    missing: str = ""
    aliases: tuple[str, ...] = ()
    reads: bool = False
    client: bool = False

    @property
    def usage(self) -> str:
        """`status [SEL ...] [-l] [--json]`"""
        flags = [f"[{option.usage}]" for option in self.options]
        return " ".join([self.name, *filter(None, [self.takes.value]), *flags])


_JSON = Option("--json", "print JSON, for programs")

VERBS: Final[tuple[Verb, ...]] = (
    Verb(
        "status",
        Takes.MAYBE_SELECTION,
        "show every process, or the ones selected, and what ails those that fail",
        (Option("--long", "also CPU, memory, and the last change with its cause and who asked", "-l"), _JSON),
        reads=True,
    ),
    Verb(
        "start", Takes.SELECTION, "start processes, and what they depend on", missing="Please specify the task to start"
    ),
    Verb(
        "stop",
        Takes.SELECTION,
        "stop processes: the stop signal, then SIGKILL when the grace is over; what depends on them goes on",
        missing="Please specify the task to stop",
    ),
    Verb(
        "restart",
        Takes.SELECTION,
        "stop and start processes; one that is stopped is started",
        (
            Option(
                "--rolling",
                "of each task one process at a time, each RUNNING before the next; the first failure ends it",
            ),
        ),
        missing="Please specify the task to restart",
    ),
    Verb(
        "reload",
        Takes.NOTHING,
        "read the configuration again and carry out the difference",
        (Option("--dry-run", "print the plan and its reasons, do nothing"), _JSON),
    ),
    Verb(
        "scale",
        Takes.COUNT,
        "have another number of instances, until `instances` itself changes in the file",
        (_JSON,),
        missing="Usage: scale <task> <instances>",
    ),
    Verb(
        "logs",
        Takes.LOG,
        f"show the last N lines of output ({DEFAULT_LINES})",
        (
            Option("--stdout", "show stdout, as without it; with --stderr both"),
            Option("--stderr", "show stderr instead of stdout"),
            Option("--all", "show both streams"),
            Option("--since", "only lines from this time on, all of them unless N is given", value="TIME"),
            Option("--until", "only lines up to this time", value="TIME"),
            Option("--grep", "only lines in which this regular expression is found", value="REGEX"),
            Option("--lines", "as N: so many lines, 0 for none of what there is", "-n", "N"),
            Option("--raw", "show lines as they are, without names and with every control sequence"),
            Option("--follow", "go on with what comes, until Ctrl-C", "-f"),
            _JSON,
        ),
        missing="Usage: logs <task> [lines]",
        reads=True,
    ),
    Verb(
        "clear-logs",
        Takes.SELECTION,
        "make the logs of processes empty and remove what was rotated",
        missing="Please specify the task whose logs are to be cleared",
    ),
    Verb("reopen-logs", Takes.NOTHING, "open all logs anew, the daemon's own too, as SIGUSR2 does"),
    Verb(
        "signal",
        Takes.SIGNAL,
        "send a signal to processes, as their killMode says",
        missing="Usage: signal <signal> <task>",
    ),
    Verb("pid", Takes.MAYBE_SELECTION, "print the daemon's pid, or those of processes", (_JSON,), reads=True),
    Verb(
        "show",
        Takes.SELECTION,
        "everything about processes: configuration with its place, process tree, events, last lines",
        (Option("--env", "with the values of the environment (the daemon's own user and root)"), _JSON),
        missing="Please specify the task to show",
        reads=True,
    ),
    Verb(
        "events",
        Takes.MAYBE_SELECTION,
        "show what happened lately",
        (Option("--follow", "go on with what comes, until Ctrl-C", "-f"), _JSON),
        reads=True,
    ),
    Verb(
        "top",
        Takes.MAYBE_SELECTION,
        "the table of status, kept current until q (taskmasterctl only)",
        reads=True,
        client=True,
    ),
    Verb(
        "attach",
        Takes.INSTANCE,
        "the terminal of a process with `tty`: what it writes and what you type, until Ctrl-]",
        missing="Usage: attach <instance>",
    ),
    Verb(
        "check",
        Takes.MAYBE_FILE,
        "check a configuration, the daemon's own by default, and change nothing",
        (_JSON,),
        reads=True,
    ),
    Verb("upgrade", Takes.NOTHING, "run the version that is installed now, as SIGUSR1 does; everything goes on"),
    Verb("help", Takes.MAYBE_VERB, "list the commands, or explain one", (_JSON,), reads=True),
    Verb("version", Takes.NOTHING, "print the version", (_JSON,), reads=True),
    Verb(
        "shutdown",
        Takes.NOTHING,
        "stop everything in order; the daemon leaves",
        (Option("--keep", "stop nothing: what runs is left to the next daemon, which takes it over"),),
    ),
    Verb("exit", Takes.NOTHING, "leave taskmasterctl; at the daemon's own prompt, shutdown", aliases=("quit",)),
)

BY_NAME: Final[Mapping[str, Verb]] = {name: verb for verb in VERBS for name in (verb.name, *verb.aliases)}
