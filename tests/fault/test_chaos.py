"""A storm of two minutes: what `make chaos` does for ten."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.fault.chaos import Chaos

SECONDS = float(os.environ.get("SECONDS") or 120)
KILLS = int(os.environ.get("KILLS") or 24)


def test_kills_touch_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed}: run it again with SEED={seed}")
    chaos = Chaos(tmp_path, seed)
    chaos.run(SECONDS, KILLS)
    print("\n".join(chaos.table()))
    assert len(chaos.kills) == KILLS
    assert chaos.counts["runs"]
    assert chaos.counts["lines"]
    assert not chaos.faults.total(), chaos.details
