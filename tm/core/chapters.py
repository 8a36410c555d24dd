"""Chapters of taskmaster.yaml(5) that are prose, in mdoc(7): what is said of more than one key.

Leaves to others: the page and the keys (`core.manual`).
"""

from __future__ import annotations

from typing import Final

HEAD: Final = r""".\" Printed by "python -m tm.core.manual" from the tables of keys: change those.
.Dd November 25, 2026
.Dt TASKMASTER.YAML 5
.Os
.Sh NAME
.Nm taskmaster.yaml
.Nd configuration of taskmaster
.Sh DESCRIPTION
The configuration of
.Xr taskmaster 8
is a YAML file.
At its top it may hold
.Bl -tag -width taskmaster -offset indent
.It Cm tasks
the programs to keep: a mapping of names to tasks;
.Cm programs
is accepted as well
.It Cm defaults
values of keys for every task that does not set them
.It Cm include
further files: globs, relative to this file, read in sorted order
.It Cm taskmaster
the daemon itself
.El
.Pp
Keys that begin with
.Ql x-
are free at every level.
A name is made of letters, digits,
.Ql _ ,
.Ql \&.
and
.Ql - ,
begins with a letter or a digit, and is not
.Ql all .
.Pp
Values are taken as they are written:
.Ql 022 ,
.Ql yes
and
.Ql 3.50
stay what they are where text is meant, and are refused, with the reading that
YAML would have given, where they are ambiguous.
Anchors, aliases and merges
.Pq Ql <<
work.
A duration is a number of seconds or has a unit, as in
.Ql 500ms ,
.Ql 10s ,
.Ql 5m ,
.Ql 2h ,
.Ql 1d ;
a size is a number of bytes or has a unit, as in
.Ql 64KiB ,
.Ql 10MiB ,
.Ql 1GB .
.Pp
Every problem of the file is told at once, each with its place.
A file with a problem starts nothing and changes nothing.
.Ss Substitution
In paths and in the environment
.Ql ${VAR}
and
.Ql ${VAR:-default}
stand for a variable of taskmaster's own environment, and
.Ql {task} ,
.Ql {instance} ,
.Ql {n}
and
.Ql {here}
for the name of the task, the name and the number of the instance, and the
directory of the configuration file.
A variable that is not set and has no default is a problem;
.Ql $$
is one
.Ql $ .
A command is left to the shell as written: only a word that is nothing but one
of the four in braces is replaced.
"""

TASKS: Final = r""".Sh TASKS
These keys are known in a task and in
.Cm defaults .
"""

PROBES: Final = r""".Sh PROBES
.Cm readiness
and
.Cm liveness
hold one way to ask, and keys for how often.
.Bd -literal -offset indent
readiness: {http: "http://localhost:80{n}/health", period: 500ms}
liveness: {exec: redis-cli ping, period: 10s, failures: 3}
.Ed
.Pp
Of one process never two questions of a kind are open at a time, and none when
it is being stopped.
When the daemon itself is replaced, the next one begins anew to ask; what was
RUNNING stays so.
A failure for which the machine had too few descriptors or processes counts
for nothing.
In addresses
.Ql {n}
and the like stand also within a word; a command is read as
.Cm command
is.
It finds the word
.Ql readiness
or
.Ql liveness
in
.Ev TASKMASTER_PROBE .
"""

LIVENESS: Final = r""".Pp
These are of
.Cm liveness
alone:
"""

SPEAKING: Final = r""".Sh WHAT A PROGRAM SAYS OF ITSELF
A program whose task has
.Cm watchdog
or
.Cm readiness
with
.Cm notify
finds in its variable
.Ev NOTIFY_SOCKET
the path of a socket, to which it says something of itself in the way of
.Xr sd_notify 3
and
.Xr systemd-notify 1 :
.Bl -tag -width Ds
.It Li READY=1
It can do its work; also the end of a reload.
With
.Cm readiness
it is RUNNING from then on.
.It Li STATUS= Ns Ar text
What it is doing, in a line.
.Li status -l ,
.Li show
and
.Fl -json
have it.
.It Li RELOADING=1
It reads its configuration anew, which is shown until it says
.Li READY=1 .
.It Li STOPPING=1
It is about to end.
The watchdog is over, and it has
.Cm gracefulStopTimeout
to be gone; then it is ended, which counts as an unexpected exit.
.It Li WATCHDOG=1
It lives.
.It Li WATCHDOG=trigger
It does not do well: it is ended as if nothing had been heard of it.
.It Li EXTEND_TIMEOUT_USEC= Ns Ar number
It needs so many microseconds from now to become ready, or to end: where the
deadline comes before that, it comes then.
.It Li MAINPID= Ns Ar pid
Which of its processes is the one that matters: with
.Cm killMode
.Cm process
signals go to that one, and SIGKILL to the one that was started as well.
The end of the process that was started remains the end of it all.
.El
.Pp
Only its own processes are listened to: those of its session or process group,
their descendants, and those that were started with its variables; of one that
has ended already, as
.Li systemd-notify --no-block
has, to those of its user.
What others say, and what is longer than 4096 bytes, is ignored; descriptors
that come along are closed.
.Pp
A watchdog that has run out sends the task's
.Cm stopSignal ,
not SIGABRT, and waits for its grace.
It counts from RUNNING on, and anew where a daemon takes over.
"""

DAEMON: Final = r""".Sh THE DAEMON
These keys are known in
.Cm taskmaster .
Options of the command line win over them.
"""

SOCKETS: Final = r""".Sh SOCKETS
A socket has a name and an address: an IPv4 address, an IPv6 address in
brackets, or
.Ql localhost ,
with a port, or the absolute path of a file.
A file has the mode 600 and belongs to the user and group of the task, unless
its socket says otherwise:
.Bd -literal -offset indent
sockets:
  http: tcp://0.0.0.0:8080
  https: tcp://[::]:8443
  local:
    url: unix:///run/{task}.sock
    mode: 0660
    group: www-data
.Ed
.Pp
They are opened before the first process of the task is started.
All instances share them, and restarts, reloads, upgrades and the death of the
daemon find them as they were.
They are closed when the last process of the task is at rest (STOPPED, EXITED,
FATAL), when the configuration no longer has them, and when taskmaster leaves in
order.
Then the file of one goes too; that of a dead socket is replaced, and what
somebody else listens at, or is no socket, is left as it is: the start fails,
and says who has it.
.Pp
The program finds them from descriptor 3 on, in the order of the file:
.Ev LISTEN_FDS
is how many,
.Ev LISTEN_FDNAMES
their names with colons between them,
.Ev LISTEN_PID
the process that is meant, which behind a shell is the shell's unless that
executes the program.
They are blocking: where several instances wait for one of them, each makes it
non-blocking for itself and the others.
.Pp
A reload restarts the instances of a task with sockets one after another, as
.Ic restart --rolling
does.
"""

TAIL: Final = r""".Sh EXAMPLES
Two instances of a program that is started again when it fails, with the output
of each in a file of its own:
.Bd -literal -offset indent
tasks:
  worker:
    command: python3 worker.py --queue mail
    instances: 2
    autoLaunch: true
    restart: on-failure
    workingDirectory: \(dq{here}\(dq
    stdout: \(dq{here}/worker_{n}.log\(dq
    stderr: stdout
    environment:
      MODE: production
.Ed
.Sh SEE ALSO
.Xr taskmasterctl 1 ,
.Xr taskmaster 8
.Sh AUTHORS
.An taskmaster
"""
