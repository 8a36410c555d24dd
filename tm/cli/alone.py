"""The shell of the client while a command has the terminal to itself: `top`, `attach`.

Guarantees: the prompt is away meanwhile and comes back, also where the daemon has gone away.
"""

from __future__ import annotations

from tm.cli.client import Client, Gone, NoDaemon
from tm.cli.oneshot import perform
from tm.cli.screen import Screen
from tm.cli.wish import Wish
from tm.edge.console import Console


def alone(console: Console, path: str, wish: Wish, screen: Screen) -> None:
    """Carry it out, over a connection of its own, while that of the shell waits."""
    console.suspend()
    try:
        client = Client(path)
        try:
            perform(client, wish, screen)
        finally:
            client.close()
    except (NoDaemon, Gone) as error:
        console.write(f"{str(error)[:1].upper()}{str(error)[1:]}.")
    finally:
        console.open()
