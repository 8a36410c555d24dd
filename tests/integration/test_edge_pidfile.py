"""The pidfile, as somebody finds it who reads it at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tm.edge.pidfile import Pidfile

READER = """
import json, sys
seen = set()
for _ in range(20_000):
    with open(sys.argv[1]) as file:
        seen.add(file.read().rstrip())
print(json.dumps(sorted(seen)))
"""


def test_whoever_reads_it_while_it_is_replaced_does_not_find_it_empty(tmp_path: Path) -> None:
    pidfile = Pidfile(str(tmp_path / "web.pid"), 0o644)
    pidfile.write("1234567")
    command = [sys.executable, "-c", READER, pidfile.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        while reader.poll() is None:
            for pid in ("1234567", "1234568"):
                pidfile.write(pid)
        assert reader.stdout is not None
        assert "" not in json.load(reader.stdout)
    pidfile.release()
    assert not (tmp_path / "web.pid").exists()
