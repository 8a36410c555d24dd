"""The manual page of the configuration file, taskmaster.yaml(5); `python -m tm.core.manual` prints it.

Guarantees: every key of the tables is in it with its spellings, values, default and what a reload does, in
the words of the table and nowhere else.
Leaves to others: how text becomes mdoc (`core.mdoc`), and the other manual pages (`core.pages`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tm.core import setting_keys, task_keys
from tm.core.field import Field
from tm.core.manual_jobs import JOBS
from tm.core.mdoc import item
from tm.core.task import OnReload

ON_RELOAD: Final = {
    OnReload.RESPAWN: "A change restarts the processes of the task.",
    OnReload.LIVE: "A change takes effect in the running processes.",
    OnReload.SCALE: "A change starts or stops the difference.",
    OnReload.START: "A change takes effect at the next start of taskmaster.",
}

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

DAEMON: Final = r""".Sh THE DAEMON
These keys are known in
.Cm taskmaster .
Options of the command line win over them.
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


def page(tasks: Iterable[Field], daemon: Iterable[Field]) -> str:
    """The whole page, for the keys of a task and those of the daemon."""
    return "".join([HEAD, TASKS, _listed(tasks), DAEMON, _listed(daemon), JOBS, TAIL])


def _listed(fields: Iterable[Field]) -> str:
    return "\n".join([".Bl -tag -width Ds", *(line for each in fields for line in _entry(each)), ".El", ""])


def _entry(each: Field) -> list[str]:
    """The key in all its spellings, the sentence of the table, then the other facts."""
    facts = [each.doc, f"value: {each.convert.expected}"]
    if each.default:
        facts.append(f"default: `{each.default}`" + (f" {each.unit}" if each.unit else ""))
    return item(f"Cm {' , '.join(each.spellings)}", *facts, ON_RELOAD[each.on_reload])


if __name__ == "__main__":
    print(page(task_keys.FIELDS, setting_keys.FIELDS), end="")
