"""What comes of reading a configuration."""

from __future__ import annotations

from typing import NamedTuple

from tm.core.config import Config
from tm.edge.world import Machine as World


class Reading(NamedTuple):
    """A configuration that was read and checked, with the world as it was then."""

    config: Config
    world: World
