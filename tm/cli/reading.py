"""Reading the configuration as the command line wants it, apart from the process that begins.

Guarantees: neither that process nor its forks hold what reading takes; it goes on meanwhile with what does not depend
on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

from tm.cli.options import with_flags
from tm.daemon.reading import Reading
from tm.daemon.readings import Found, begin
from tm.edge.world import Machine as World

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def read(options: argparse.Namespace | SimpleNamespace, here: str, path: str) -> Reading:
    """Read and check; flags win over the file, `here` is where relative directories begin. Raises ConfigError.

    Whoever does it has YAML and the keys in its memory for good: a process that ends with that.
    """
    from tm.core.loading import load

    world = World(os.environ, here)
    config = load(path, world, "--user" if options.user is not None else "")
    return Reading(replace(config, settings=with_flags(config.settings, options, here)), world)


def begin_apart(read: Callable[[str], Reading], path: str) -> Callable[[], Reading]:
    """Begin with it; what is returned waits for what comes of it. Both raise ConfigError."""
    return begin(lambda: Found(read(path)), path)
