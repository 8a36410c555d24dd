"""What users and their scripts meet beside commands and configuration: exit codes, signals, variables, files.

Guarantees: one row each, in the words of the manual, where `backquotes` mark what is literal;
tests/unit/test_interface.py holds the rows to what the programs do.
Leaves to others: the pages that are printed from the rows (`core.pages`). Nothing is taken from here at run time: what
the client imports before the daemon has answered would only be longer for it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Exit(NamedTuple):
    """An exit code. `name`: what it is called in the code."""

    code: int
    name: str
    doc: str


class Entry(NamedTuple):
    """Something with one or several names."""

    names: tuple[str, ...]
    doc: str


DAEMON_EXITS: Final = (
    Exit(
        0,
        "DONE",
        "it ended in order; where its tasks have ended it the code may be another one, as told under Containers. "
        "With `-t`: the configuration has no problem. With `-d`: socket and pidfile are there, and every process "
        "with `autoLaunch` has been spawned.",
    ),
    Exit(
        1,
        "NOT_STARTED",
        "it could not start. With `-d` also: the daemon is up, but a process could not be spawned; it is told with its "
        "line of the configuration.",
    ),
    Exit(2, "USAGE", "the command line or the configuration is wrong, or there is no configuration"),
    Exit(3, "RUNNING_ALREADY", "another daemon holds the state directory, the pidfile or the socket"),
)

CLIENT_EXITS: Final = (
    Exit(0, "DONE", "done, and come true where it was waited for"),
    Exit(1, "FAILED", "the action failed"),
    Exit(
        2,
        "USAGE",
        "the command line or the configuration is wrong, or several daemons run and none was named",
    ),
    Exit(3, "NOT_AS_WANTED", "of `status`: a process that is wanted up is not, but in BACKOFF or FATAL"),
    Exit(4, "NO_DAEMON", "no daemon answers, or it went away"),
    Exit(5, "NOT_ALLOWED", "the daemon belongs to somebody else"),
    Exit(6, "NO_SUCH_TASK", "a name selects nothing, and nothing was done"),
    Exit(124, "TIMED_OUT", "the outcome did not come within `--timeout`"),
    Exit(130, "INTERRUPTED", "the interrupt key ended the wait"),
)

SIGNALS: Final = (
    Entry(("SIGHUP",), "reload the configuration. A control socket that is gone is made again."),
    Entry(
        ("SIGTERM", "SIGINT", "SIGQUIT"),
        "shut down in order: every process is stopped with its own signal and grace, all in parallel, and the daemon "
        "leaves when the last one has ended. A second one of these sends SIGKILL to what is left. A third leaves even "
        "beside a process that cannot be killed, and names it.",
    ),
    Entry(
        ("SIGUSR2",),
        "open the event log and the logs of the processes again. A control socket that is gone is made again.",
    ),
    Entry(("SIGUSR1",), "run the version that is installed now; everything goes on"),
    Entry(("SIGCONT",), "at a prompt, draw it again; else nothing"),
    Entry(
        ("SIGWINCH",),
        "at a prompt, draw it again; as process 1, give the terminals of tasks with `tty` the size of its own, or "
        "where it has none send them the signal; else nothing",
    ),
    Entry(
        ("SIGTSTP", "SIGTTIN", "SIGTTOU"),
        "nothing: the job control of a terminal does not stop a supervisor",
    ),
)

_CONFIG: Final = Entry(("TASKMASTER_CONFIG",), "the configuration, when none is named")
_NO_COLOR: Final = Entry(("NO_COLOR",), "when set and not empty, nothing is coloured")

DAEMON_VARIABLES: Final = (
    _CONFIG,
    _NO_COLOR,
    Entry(("TERM",), "when `dumb` or not set, lines are not edited at the prompt; when `dumb`, nothing is coloured"),
    Entry(
        ("NOTIFY_SOCKET",),
        "with `-n` and `-d`: where a service manager listens, a path, or an abstract name that begins with `@`",
    ),
    Entry(
        ("WATCHDOG_USEC", "WATCHDOG_PID"),
        "with `-n`: within how many microseconds that service manager wants to hear that the loop turns, and from whom",
    ),
    Entry(
        ("LISTEN_PID", "LISTEN_FDS"),
        "that a service manager hands over the control socket, and to whom",
    ),
    Entry(("XDG_RUNTIME_DIR",), "for users other than root: where socket and pidfile are"),
    Entry(("XDG_STATE_HOME", "HOME"), "for users other than root: where state is kept, by default `~/.local/state`"),
)

CLIENT_VARIABLES: Final = (
    _CONFIG,
    _NO_COLOR,
    Entry(
        ("TERM",),
        "when `dumb` or not set, lines are not edited and no line is kept current; when `dumb`, nothing is coloured",
    ),
    Entry(("XDG_RUNTIME_DIR",), "for users other than root: where their daemons' sockets are"),
    Entry(
        ("XDG_STATE_HOME", "HOME"),
        "for users other than root: where the lines typed earlier are kept, by default below `~/.local/state`",
    ),
)

CHILD_VARIABLES: Final = (
    Entry(("TASKMASTER_TASK",), "the task's name"),
    Entry(("TASKMASTER_INSTANCE",), "the process's name"),
    Entry(("TASKMASTER_N",), "the number of the instance, from 1"),
    Entry(("TASKMASTER_GENERATION",), "the number of this start, counted as long as the task is known"),
    Entry(("TASKMASTER_PROBE",), "in a command that asks for it: `readiness` or `liveness`"),
    Entry(("TASKMASTER_STATE",), "the state directory of the daemon that started it, by which the next one knows it"),
    Entry(
        ("TASKMASTER_DAEMON",),
        "what tells the processes of this daemon, and of those that take over from it, from others'",
    ),
    Entry(
        ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"),
        "for a task with `sockets`: how many descriptors it is given from 3 on, their names with colons between them, "
        "and the process that is meant",
    ),
    Entry(("NOTIFY_SOCKET",), "with `watchdog` or `readiness: {notify: true}`: where it may say something of itself"),
    Entry(
        ("WATCHDOG_USEC", "WATCHDOG_PID"),
        "with `watchdog`: within how many microseconds it has to say WATCHDOG=1, and the pid of whom that is asked",
    ),
)

EVENTS: Final = (
    Entry(("fatal",), "a process became FATAL: it failed, and nobody but an operator starts it again"),
    Entry(("reload-refused",), "a reload was refused, whoever had asked for it, and nothing was changed"),
    Entry(
        ("log-refused",),
        "the log of a process takes nothing, as on a full disk; told once a minute as long as it is so",
    ),
    Entry(("log-recovered",), "a log for which `log-refused` came takes output again"),
)

EVENT_VARIABLES: Final = (
    Entry(("TASKMASTER_EVENT",), "what happened: `fatal`, `reload-refused`, `log-refused` or `log-recovered`"),
    Entry(("TASKMASTER_WHO",), "the process, or `taskmaster` for a reload, or the path of the log"),
    Entry(("TASKMASTER_TEXT",), "what an operator is told of it: one line, at most 1000 characters"),
    Entry(("TASKMASTER_TIME",), "when, as the event log has it: ISO 8601 with milliseconds and zone"),
    Entry(("TASKMASTER_CONFIG",), "the path of the configuration file"),
    Entry(("TASKMASTER_PID",), "the process id of the daemon"),
    Entry(("TASKMASTER_TASK",), "for `fatal`: the task's name"),
    Entry(("TASKMASTER_INSTANCE",), "for `fatal`: the process's name"),
    Entry(
        ("TASKMASTER_EXIT",),
        "for `fatal`: the exit code, or minus the number of the signal; empty when it could not be started",
    ),
    Entry(
        ("TASKMASTER_STDERR",),
        "for `fatal`: the last lines of its standard error, or of both streams where they are merged; at most 50 lines "
        "and 4096 bytes, without control characters",
    ),
)

_ROOT_SOCKET: Final = "/run/taskmaster/NAME.sock"
_USER_SOCKET: Final = "$XDG_RUNTIME_DIR/taskmaster/NAME.sock"

DAEMON_FILES: Final = (
    Entry(("./taskmaster.yaml", "/etc/taskmaster.yaml"), "the configuration, when none is named"),
    Entry(("./config-example.yaml",), "written by the form with a shell when there is no configuration"),
    Entry(
        (_ROOT_SOCKET, "/run/taskmaster/NAME.pid"),
        "control socket and pidfile of root's daemon. The directory is made with mode 0755.",
    ),
    Entry(
        (_USER_SOCKET, "$XDG_RUNTIME_DIR/taskmaster/NAME.pid"),
        "those of another user's. Without `XDG_RUNTIME_DIR` they are in `/tmp/taskmaster-UID`. The directory is made "
        "with mode 0700, and is refused when it is somebody else's or others can use it.",
    ),
    Entry(
        ("/var/lib/taskmaster/NAME/",),
        "the state directory of root's daemon: `journal` and `turns` hold what the next one has to know of processes "
        "that outlive it, `wishes.json` what operators wished, `history` what was typed at "
        "the prompt, and `lock` is held while it runs. The form with a shell takes NAME-HASH when a daemon of another "
        "configuration has NAME.",
    ),
    Entry(
        ("$XDG_STATE_HOME/taskmaster/NAME-HASH/",),
        "that of another user's; HASH comes from the path of the configuration, so that two of one name differ",
    ),
    Entry(("./taskmaster.log",), "the event log of the form with a shell; with `-n` it goes to the standard error"),
    Entry(
        ("/var/log/taskmaster/NAME.log",),
        "the event log with `-d`, of root's daemon; another user's is `NAME.log` in the state directory",
    ),
    Entry(
        ("PREFIX/share/taskmaster/",),
        "where it was installed: scripts and units for init systems, a file for logrotate, the example and the JSON "
        "Schema of the configuration",
    ),
)

CLIENT_FILES: Final = (
    Entry((_ROOT_SOCKET,), "the socket of root's daemon"),
    Entry((_USER_SOCKET,), "that of another user's; in `/tmp/taskmaster-UID` where the variable is not set"),
    Entry(
        ("$XDG_STATE_HOME/taskmaster/taskmasterctl.history", "$XDG_STATE_HOME/taskmaster/taskmasterctl.history"),
        "the lines typed at the client's prompt, root's and another user's",
    ),
    Entry(
        (
            "PREFIX/share/bash-completion/completions/taskmasterctl.bash",
            "PREFIX/share/zsh/site-functions/_taskmasterctl",
            "PREFIX/share/fish/vendor_completions.d/taskmasterctl.fish",
        ),
        "completion for bash, zsh and fish, where it was installed",
    ),
)
