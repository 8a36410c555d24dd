"""A version of the program in memory: the code of all its modules, and an interpreter that runs it.

Guarantees: what is kept runs as it did when it was packed, whatever is installed by now; what it imports beside itself
it gets from where that is installed.

A daemon that dies is followed by one of its own version: what was installed meanwhile is not taken for an order to
upgrade. And a version that cannot start is fallen back from.
"""

from __future__ import annotations

import marshal
import os
from importlib.util import find_spec

BEGIN = """
import marshal, sys
from importlib.util import spec_from_loader

class Kept:
    def __init__(self, fd):
        with open(fd, "rb", closefd=False) as file:
            file.seek(0)
            self.modules = marshal.load(file)

    def find_spec(self, name, path=None, target=None):
        if name in self.modules:
            return spec_from_loader(name, self, is_package=self.modules[name][0], origin=self.modules[name][1])

    def get_code(self, name):
        return marshal.loads(self.modules[name][2])

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__file__ = module.__spec__.origin
        exec(self.get_code(module.__name__), module.__dict__)

sys.meta_path.insert(0, Kept(int(sys.argv[1])))
sys.argv = sys.argv[2:]
from tm.cli.main import main
sys.exit(main())
"""


def modules() -> list[str]:
    """The names of all modules of the program, as it is installed now."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    package = os.path.basename(root)
    found = [package]
    for directory in sorted(each.path for each in os.scandir(root) if each.is_dir()):
        names = sorted(name[:-3] for name in os.listdir(directory) if name.endswith(".py"))
        if "__init__" in names:
            inner = f"{package}.{os.path.basename(directory)}"
            found += [inner if name == "__init__" else f"{inner}.{name}" for name in names]
    return found


def write(fd: int) -> None:
    """Put the code of all of them into a file in memory. Raises OSError, ImportError, SyntaxError."""
    code = {}
    for name in modules():
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            raise ImportError(f"no module named {name}")
        loader = spec.loader
        code[name] = (
            spec.submodule_search_locations is not None,
            spec.origin,
            marshal.dumps(loader.get_code(name)),  # type: ignore[attr-defined]
        )
    with open(fd, "wb", closefd=False) as file:
        marshal.dump(code, file)
