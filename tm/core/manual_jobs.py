"""What taskmaster.yaml(5) says of jobs and schedules, beside the entries of their keys.

Leaves to others: the page (`core.manual`), and the grammar itself (`core.cron`).
"""

from __future__ import annotations

from typing import Final

JOBS: Final = r""".Sh JOBS AND SCHEDULES
A task with
.Cm oneshot
does its work and ends.
An end with an expected code is its success, after however short or long a time:
it is EXITED then.
Any other end is a failed attempt, which
.Cm restart
and
.Cm restartsAttempts
say how often to repeat.
.Ic start
waits until it runs or is through.
That somebody has started it by hand is over with that run: the next start of
taskmaster does not repeat it.
A reload leaves a run to finish and repeats none that was through; keys that need
a new process hold from the next run on.
.Pp
With
.Cm schedule
it runs by the clock on the wall: minute
.Pq 0 to 59 ,
hour
.Pq 0 to 23 ,
day of the month
.Pq 1 to 31 ,
month
.Pq 1 to 12, or Cm jan No to Cm dec ,
day of the week
.Pq 0 to 7, or Cm sun No to Cm sat ; No 0 and 7 are Sunday .
Each is a list with commas of numbers, ranges as in
.Ql 8-17 ,
.Ql *
for all, and ranges or
.Ql *
with a step, as in
.Ql */5 .
Where neither field of the day begins with
.Ql * ,
one of them is enough, as in
.Xr cron 8 .
.Ql @reboot
is
.Cm autoLaunch ,
which may stand beside a schedule: it runs at the start of taskmaster as well,
and else it does not.
A schedule that is never due is refused.
In YAML a text that begins with
.Ql *
or
.Ql @
needs quotes.
.Pp
When the clock is set forward for daylight saving time, what is due at a time
that is skipped runs once, right after the gap; a schedule of every hour misses
nothing and runs as its minutes have it.
When it is set back, what is due at a time that comes twice runs the first time,
but each time where the minute or the hour begins with
.Ql * .
.Pp
A clock that is set, and a machine that wakes up, are noticed at once.
What was due more than a minute before that is noticed, while the machine slept,
was off, or no daemon ran, is told in the event log and not made up; within that
minute it runs, and the last of several does.
After the clock was set back by up to three hours, times that were seen to do not
come again, but those of a schedule whose minute or hour begins with
.Ql * .
.Pp
When it is due and its last run goes on,
.Cm overlap
decides.
A run that has failed and waits for its next attempt yields to the new one, with
a new count of attempts.
.Pp
.Ic start
runs it now, beside its schedule.
.Ic stop
ends the run, and keeps it off its schedule until it is started by hand, also in
the next daemon.
.Ic status
says when it runs next and how the last run ended;
.Ic show
has the last 20 runs of each instance, which outlast the daemon: each attempt is
one.
.Pp
.Cm deadline
is for any task, and counts from the start of the process.
A clock that is set does not move it.
"""
