"""`taskmaster` as nobody (or as the uid in AS_UID), who may not read the interpreter: what is needed is imported as
root.
"""

from __future__ import annotations

import argparse
import encodings.ascii  # noqa: F401
import hashlib  # noqa: F401
import importlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tm.cli.main import main
from tm.edge.version import modules

NOBODY = int(os.environ.get("AS_UID", "65534"))

argparse.ArgumentParser().format_help()
for name in modules():
    importlib.import_module(name)
os.setgroups([])
os.setresgid(NOBODY, NOBODY, NOBODY)
os.setresuid(NOBODY, NOBODY, NOBODY)
sys.exit(main())
