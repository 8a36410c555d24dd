"""Modules of ours in a bare interpreter, which has no packages, starts in 10 ms and needs 3 MB.

Guarantees: their code is compiled once and goes along in a file in memory, so that a package that is being replaced on
the disk is no danger; the last of them has a `main`, which gets the arguments and gives the exit code.

Such modules import what is in the standard library and small, and each other, those before themselves.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_BEGIN = """
import marshal, sys
with open(int(sys.argv[1]), "rb", closefd=False) as file:
    file.seek(0)
    modules = marshal.load(file)
for name, code in modules:
    sys.modules[name] = type(sys)(name)
    exec(code, sys.modules[name].__dict__)
sys.exit(sys.modules[name].main(*sys.argv[2:]))
"""


def packed(*modules: str) -> bytes:
    """The code of these modules, as it is on the disk now. Raises OSError, SyntaxError."""
    compiled = []
    for name in modules:
        path = os.path.join(os.path.dirname(__file__), os.pardir, *name.split(".")[1:]) + ".py"
        with open(path, "rb") as file:
            compiled.append((name, compile(file.read(), name, "exec", optimize=2)))
    return marshal.dumps(compiled)


def run_instead(code: int, *arguments: str) -> NoReturn:
    """Let the calling process run packed modules from now on, which are in the file `code`, left open on exec. Raises
    OSError; nothing has happened then.
    """
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", _BEGIN, str(code), *arguments], os.environ)
