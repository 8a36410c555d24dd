"""After each test of this suite, passed or failed, the machine is as it was before."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fault.kernel import processes


@pytest.fixture(autouse=True)
def nobody_is_left_behind(tmp_path: Path) -> Iterator[None]:
    """What a failed test has left running is killed, so that it disturbs no other."""
    yield
    for each in processes(tmp_path):
        with suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)
