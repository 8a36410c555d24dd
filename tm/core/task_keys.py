"""The keys that a task may hold, each declared once.

Guarantees: `FIELDS` is all there is to know of the keys: the parser, the defaults, the schema, the manual, the example
and the reload rule read it.
Leaves to others: what a task is (`core.task`), how a file becomes tasks (`core.loading`). A daemon that is handed its
tasks settled never needs this module.
"""

from __future__ import annotations

from typing import Final

from tm.core import kinds, probe_keys
from tm.core.field import Field, Table
from tm.core.hook_keys import HOOKS
from tm.core.task import DISCARD, INSTANCES_MOST, KillMode, OnReload, Overlap, Restart
from tm.core.watch_keys import WATCH

_RESTART: Final = kinds.one_of(
    {each.value: each for each in Restart}
    | {"unexpected": Restart.ON_FAILURE, "true": Restart.ALWAYS, "false": Restart.NEVER},
    advertised=3,
)
_LOG_FORMAT: Final = kinds.one_of({word: word for word in ("raw", "json")}, advertised=2)
_ON_LOG_ERROR: Final = kinds.one_of({word: word for word in ("wait", DISCARD)}, advertised=2)
_KILL_MODE: Final = kinds.one_of({each.value: each for each in KillMode}, advertised=3)
_OVERLAP: Final = kinds.one_of({each.value: each for each in Overlap}, advertised=3)
_COUNT: Final = kinds.number(0, INSTANCES_MOST)
_ATTEMPTS: Final = kinds.number(0, 1_000_000)
_KEEP: Final = kinds.number(0, 10_000)
_NICE: Final = kinds.number(-20, 19)
_OOM_SCORE: Final = kinds.number(-1000, 1000)
_PRIORITY: Final = kinds.number(-1_000_000, 1_000_000)

_RESPAWN, _LIVE, _SCALE = OnReload.RESPAWN, OnReload.LIVE, OnReload.SCALE

# fmt: off
FIELDS: Final[tuple[Field, ...]] = (
    Field("command", "command", kinds.COMMAND, "", _RESPAWN,
          "The program with its arguments; required. Text runs directly, and through /bin/sh only when it holds shell "
          "syntax; a list never meets a shell. `{task} {instance} {n} {here}` are replaced where one is a whole word.",
          ("cmd",)),
    Field("shell", "shell", kinds.SWITCH, "", _RESPAWN,
          "Force or forbid the shell. When not given, what the command holds decides."),
    Field("instances", "instances", _COUNT, "1", _SCALE,
          "How many processes run this; more than one are named `name_1`, `name_2` and so on.",
          ("numprocs",)),
    Field("autoLaunch", "auto_launch", kinds.SWITCH, "false", _LIVE,
          "Start it when the daemon starts.", ("autostart",)),
    Field("restart", "restart", _RESTART, "never", _LIVE,
          "When to start it again after it ended: `always`, `on-failure` (an exit code or signal that is not "
          "expected; also spelt `unexpected`) or `never`.", ("autorestart",)),
    Field("expectedExitCodes", "expected_exit_codes", kinds.EXIT_CODES, "[0]", _LIVE,
          "Exit codes, and names of signals, that mean success.", ("exitcodes",)),
    Field("successfulStartTimeout", "successful_start_timeout_s", kinds.DURATION, "5", _LIVE,
          "How long it has to stay up before its start counts as successful; 0: at once. With `readiness`: how long it "
          "may take to become ready; 0: as long as it wants.", ("starttime",), "seconds"),
    Field("restartsAttempts", "restarts_attempts", _ATTEMPTS, "3", _LIVE,
          "How often a failed start is repeated before it is given up; 0 with `restart: always`: without end.",
          ("startretries", "restartAttempts")),
    Field("restartDelay", "restart_delay_s", kinds.DURATION, "0.5", _LIVE,
          "How long to wait before the first repeated start; each further wait is twice as long.", (), "seconds"),
    Field("restartDelayMax", "restart_delay_max_s", kinds.DURATION, "60", _LIVE,
          "The longest of these waits; when not given, never shorter than `restartDelay`.", (), "seconds"),
    Field("stopSignal", "stop_signal", kinds.SIGNAL, "SIGTERM", _LIVE,
          "The signal that asks it to stop: a name with or without SIG, or a number.",
          ("stopingSignal", "stoppingSignal", "stopsignal")),
    Field("gracefulStopTimeout", "graceful_stop_timeout_s", kinds.DURATION, "10", _LIVE,
          "How long it may take to stop before it gets SIGKILL.", ("stoptime",), "seconds"),
    Field("killMode", "kill_mode", _KILL_MODE, "group", _LIVE,
          "Who gets the signals: `group` (the whole process group), `process` (the program alone) or `tree` (every "
          "descendant: by a cgroup of its own, which begins with its next start, where cgroup v2 can be written; else "
          "as far as parent, session and environment tell). `show` says which."),
    Field("stdout", "stdout", kinds.LOG, "none", _RESPAWN,
          "The file for its output, relative to where taskmaster was started; `none`: only the last 64 KiB, in "
          "memory; `syslog`: a message a line to the local syslog daemon, and the last 64 KiB in memory. `{task}`, "
          "`{instance}` and `{n}` make it a file for each; one that is called syslog is written `./syslog`."),
    Field("stderr", "stderr", kinds.ERROR_LOG, "none", _RESPAWN,
          "The file for its errors, as `stdout`; the word `stdout` merges them into its output."),
    Field("logMaxSize", "log_max_size_bytes", kinds.SIZE, "10MiB", _LIVE,
          "The size at which a log file is rotated; 0: never."),
    Field("logKeep", "log_keep", _KEEP, "5", _LIVE,
          "How many rotated files are kept."),
    Field("logTimestamps", "log_timestamps", kinds.SWITCH, "false", _LIVE,
          "Begin every line of its log files with the time of its arrival. A message to syslog has a time of its own."),
    Field("logFormat", "log_format", _LOG_FORMAT, "raw", _LIVE,
          "How a line stands in its logs: `raw`, as it was written, or `json`, an object with `time`, `task`, "
          "`instance`, `pid`, `stream` and `text`. To syslog such an object is the text of the message."),
    Field("onLogError", "on_log_error", _ON_LOG_ERROR, "wait", _LIVE,
          "What happens to output that a log does not take, as on a full disk: `wait`, so that the program waits in "
          "its writing and nothing is lost, or `discard`, so that it goes on and the loss is counted and told."),
    Field("environment", "environment", kinds.ENVIRONMENT, "{}", _RESPAWN,
          "Variables for it. Every value is text, whatever YAML would make of it. Those of `defaults` are merged in "
          "variable by variable, and the task's own win.", ("env",)),
    Field("envFile", "env_file", kinds.ENV_FILES, "[]", _RESPAWN,
          "Files of `NAME=value` lines, relative to where taskmaster was started. Later ones win, `environment` wins "
          "over all; one with `?` at its end may be missing."),
    Field("workingDirectory", "working_directory", kinds.PATH, ".", _RESPAWN,
          "The directory it runs in, relative to where taskmaster was started; `{here}` is the directory of the "
          "configuration file.", ("workingdir", "directory")),
    Field("umask", "umask", kinds.UMASK, '"022"', _RESPAWN,
          "The permissions that its new files do not get, in octal however it is written.", ("unmask",)),
    Field("user", "user", kinds.USER, "", _RESPAWN,
          "The user it runs as, by name or number. Only root can ask for another one."),
    Field("group", "group", kinds.GROUP, "", _RESPAWN,
          "The group it runs as, by name or number; when not given, that of `user`."),
    Field("limits", "limits", kinds.LIMITS, "{}", _RESPAWN,
          "Resource limits by their names, as in `nofile: 65536`, `core: 0`, `as: 2GiB`: one value for both limits, "
          "or `soft:hard`; `unlimited` for none."),
    Field("nice", "nice", _NICE, "", _RESPAWN,
          "Its niceness, from -20 (first in line) to 19. When not given, that of the daemon."),
    Field("readiness", "readiness", probe_keys.READINESS, "", _RESPAWN,
          "How to find out that it can do its work, which alone makes it RUNNING then: one of `exec`, `http`, "
          "`tcp`, `log` and `notify`, with keys of its own. Where it is not ready within `successfulStartTimeout`, its "
          "start failed."),
    Field("liveness", "liveness", probe_keys.LIVENESS, "", _LIVE,
          "How to find out that it still can: one of `exec`, `http` and `tcp`, with keys of its own. A process that "
          "fails it is ended, through its grace, which counts as an unexpected exit."),
    Field("cpuAffinity", "cpu_affinity", kinds.CPUS, "", _RESPAWN,
          "The CPUs that it may run on, by number, as in `0,2-3` or `[0, 2-3]`. When not given, those of the daemon. A "
          "CPU that this machine, or the cpuset that taskmaster is in, does not have is a failed start."),
    Field("oomScoreAdjust", "oom_score_adjust", _OOM_SCORE, "", _RESPAWN,
          "How readily the kernel ends it when memory runs out: from -1000 (never) to 1000 (first). When not given, "
          "that of the daemon. Only root can go below that."),
    Field("memoryMax", "memory_max_bytes", kinds.SOME_SIZE, "", _LIVE,
          "How much memory it may have together with its descendants. Over it, it is ended as its stop asks for, and "
          "that is an unexpected end for `restart`: `never` leaves it FATAL. Where cgroup v2 can be written and "
          "counts memory, it begins in a cgroup, and what counts is the memory of that without what is kept of "
          "files; elsewhere it is the sum of the resident sizes of all that have it as their parent, or one of its "
          "children and so on, or are in its session, in which a page that several share counts for each. It is "
          "looked at every 2 seconds, or more rarely where a look takes over 20 ms; what is bigger only in between "
          "is not noticed."),
    Field("maxAge", "max_age_s", kinds.SOME_TIME, "", _LIVE,
          "How old a process may become before it is restarted, in order and whatever `restart` says: 10 % more or "
          "less, so that instances which were started together are not restarted together. It counts under Restarts, "
          "and is no failure.", (), "seconds"),
    Field("sockets", "sockets", kinds.SOCKETS, "{}", _RESPAWN,
          "Sockets that taskmaster opens and all instances share: a name for each, and `tcp://ADDRESS:PORT` or "
          "`unix:///PATH`. Each process has them from descriptor 3 on, as LISTEN_FDS says."),
    Field("dependsOn", "depends_on", kinds.NEEDS, "[]", _LIVE,
          "The tasks that it is started after: names, or how far each has to have come, as in `{db: ready, migrate: "
          "completed}`. `started`: all its instances have a process; `ready`: all are RUNNING; `completed`: all have "
          "ended as expected. A bare name means `ready` where that task has `readiness`, else `started`."),
    Field("watchdog", "watchdog_s", kinds.SOME_TIME, "", _RESPAWN,
          "How often it has to say WATCHDOG=1 to NOTIFY_SOCKET, as sd_notify(3) does, once it is RUNNING. When nothing "
          "is heard for so long it is ended by its `stopSignal` and grace, which counts as an unexpected exit. It "
          "learns of this by WATCHDOG_USEC and WATCHDOG_PID.", (), "seconds"),
    Field("critical", "critical", kinds.SWITCH, "false", _LIVE,
          "When an instance of it ends for good, and not because an operator has stopped it, taskmaster stops "
          "everything else and exits with its code, or with 128 and the number of the signal that has ended it."),
    Field("hooks", "hooks", HOOKS, "{}", _LIVE,
          "Commands to run beside it: `preStart`, before it is started, which it is not where that fails; `preStop`, "
          "before its stop signal; `postStart`, `onReady` (it became RUNNING), `postStop` (it ended) and `onFatal`. "
          "Each is written as `command`, or as `{command: ..., timeout: 10s}`; after 30 seconds it gets SIGKILL."),
    Field("watch", "watch", WATCH, "", _LIVE,
          "Files whose change restarts it: paths or globs (`**`: any number of directories), relative to where "
          "taskmaster was started; a directory means all that is below it. As `{paths: [...], debounce: 500ms, "
          "signal: HUP}` changes are waited for that long to stop, and a signal is sent instead. Logs of tasks never "
          "count, and what was stopped by hand stays stopped."),
    Field("oneshot", "oneshot", kinds.SWITCH, "false", _LIVE,
          "It does its work and ends: an expected end is its success, however soon, and any other a failed attempt, "
          "however late. `schedule` implies it."),
    Field("schedule", "schedule", kinds.SCHEDULE, "", _LIVE,
          "When to run it: minute, hour, day of the month, month and day of the week, as in cron, or `@hourly`, "
          "`@daily`, `@weekly`, `@monthly`, `@yearly`. It does not run when taskmaster starts, but for `autoLaunch`."),
    Field("timeZone", "time_zone", kinds.ZONE, "", _LIVE,
          "The time zone of the schedule, as in `Europe/Berlin`. When not given, the machine's."),
    Field("overlap", "overlap", _OVERLAP, "skip", _LIVE,
          "What happens when it is due and the last run goes on: `skip` leaves this one out, `queue` runs it once when "
          "that one has ended, `kill` ends that one, with its stop signal and grace, and runs it then."),
    Field("deadline", "deadline_s", kinds.SOME_TIME, "", _LIVE,
          "How long a run may last, of any task. Then it is ended, with its stop signal and grace, and that counts as "
          "an unexpected end.", (), "seconds"),
    Field("tty", "tty", kinds.SWITCH, "false", _RESPAWN,
          "Run it on a terminal of its own, as its stdin, stdout and stderr: `attach` shows it and types into it. "
          "What it writes is logged as ever, with the line ends of a terminal (CR LF); `stderr` can only be `stdout`. "
          "TERM is xterm-256color unless `environment` says otherwise."),
    Field("description", "description", kinds.TEXT, '""', _LIVE,
          "A line for people."),
    Field("labels", "labels", kinds.LABELS, "[]", _LIVE,
          "Words to select it by, as in `start @web`: a list, or one text with commas."),
    Field("priority", "priority", _PRIORITY, "999", _LIVE,
          "Order among tasks that start together; lower ones first."),
)
# fmt: on

KEYS: Final = Table("a key of a task", FIELDS)
