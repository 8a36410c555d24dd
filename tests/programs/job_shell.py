"""A shell's part of job control, without the shell: runs a program as a background job of this terminal.

    job_shell.py ORDERS PROGRAM ARGUMENT...

From the FIFO ORDERS it takes, a line each: `front` (the job gets the terminal, untold), `cont` (SIGCONT to
the job) and `back` (the terminal returns to the shell). It ends with the job.
"""

from __future__ import annotations

import os
import signal
import sys

signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[2], sys.argv[2:])
signal.signal(signal.SIGCHLD, lambda signum, frame: sys.exit(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])))
with open(os.open(sys.argv[1], os.O_RDWR)) as orders:
    for order in orders:
        match order.strip():
            case "front":
                os.tcsetpgrp(0, job)
            case "back":
                os.tcsetpgrp(0, os.getpgrp())
            case "cont":
                os.kill(job, signal.SIGCONT)
