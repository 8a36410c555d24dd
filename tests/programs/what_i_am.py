"""Tells what the kernel gave this process, as JSON in the file named by its first argument; then ends."""

from __future__ import annotations

import json
import os
import resource
import sys


def _status() -> dict[str, str]:
    with open("/proc/self/status") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def _descriptors() -> dict[str, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the one that the listing itself used
            continue
    return found


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


with open("/proc/self/environ", "rb") as environ:
    environment = [os.fsdecode(each) for each in environ.read().split(b"\0") if each]
# Read before Python's own start-up can hide it: the interpreter ignores SIGPIPE and SIGXFSZ by itself.
status = _status()
told = {
    "descriptors": _descriptors(),
    "argv": sys.orig_argv,
    "environment": environment,
    "directory": os.getcwd(),
    "umask": _umask(),
    "pid": os.getpid(),
    "group": os.getpgid(0),
    "session": os.getsid(0),
    "cpus": sorted(os.sched_getaffinity(0)),
    "oom_score": int(open("/proc/self/oom_score_adj").read()),  # noqa: SIM115
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "uids": os.getresuid(),
    "gids": os.getresgid(),
    "groups": sorted(os.getgroups()),
    "limits": {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in ("NOFILE", "CORE", "CPU")},
    "signals": {name: status[name] for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd")},
}
with open(f"{sys.argv[1]}.new", "w") as file:
    json.dump(told, file)
os.replace(f"{sys.argv[1]}.new", sys.argv[1])
