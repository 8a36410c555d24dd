"""A short soak: what `make soak` does for half an hour."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.fault.soak import Soak

SECONDS = float(os.environ.get("SECONDS") or 30)


def test_what_is_promised_holds_in_bad_weather(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed}: run it again with SEED={seed}")
    soak = Soak(tmp_path, seed)
    soak.run(SECONDS)
    assert soak.counts["quiet"]
    print(dict(soak.counts))
