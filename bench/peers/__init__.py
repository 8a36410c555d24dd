"""Who is measured side by side: two floors, taskmaster, and the other supervisors, one module each."""

from __future__ import annotations

from bench.peers.circus import Circus
from bench.peers.daemontools import Daemontools
from bench.peers.dinit import Dinit
from bench.peers.floors import FloorInC, LoopInPython
from bench.peers.honcho import Honcho
from bench.peers.monit import Monit
from bench.peers.peer import Peer
from bench.peers.pm2 import Pm2
from bench.peers.runit import Runit
from bench.peers.s6 import S6
from bench.peers.supervisor import Supervisor
from bench.peers.taskmaster import Taskmaster, TaskmasterWithUser

FLOORS: tuple[type[Peer], ...] = (FloorInC, LoopInPython)
PEERS: tuple[type[Peer], ...] = (
    *FLOORS,
    Taskmaster,
    TaskmasterWithUser,
    Supervisor,
    Circus,
    Honcho,
    Pm2,
    Runit,
    S6,
    Daemontools,
    Monit,
    Dinit,
)
"""In the order of the table."""
