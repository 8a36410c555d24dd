"""A version of the program in memory: the code of all its modules, and an interpreter that is its guardian.

Guarantees: what is kept runs as it did when it was packed, whatever is installed by now; what it imports beside itself
it gets from where that is installed. A module that is not imported takes no memory but the file's.

A daemon that dies is followed by one of its own version: what was installed meanwhile is not taken for an order to
upgrade. And a version that cannot start is fallen back from.

Traps: the file is read when a module is imported: whoever runs in this interpreter, and its forks, has it open.
"""

from __future__ import annotations

import marshal
import os
from importlib.util import find_spec

_MARK_BYTES = 8
BEGIN = f"""
import marshal, os, sys
from importlib.util import spec_from_loader

class Kept:
    def __init__(self, fd):
        self.fd = fd
        with open(fd, "rb", closefd=False) as file:
            file.seek({_MARK_BYTES})
            self.modules = marshal.load(file)
            self.begin = file.tell()

    def find_spec(self, name, path=None, target=None):
        if name in self.modules:
            return spec_from_loader(name, self, is_package=self.modules[name][0], origin=self.modules[name][1])

    def get_code(self, name):
        _, _, at, size = self.modules[name]
        return marshal.loads(os.pread(self.fd, size, self.begin + at))

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__file__ = module.__spec__.origin
        exec(self.get_code(module.__name__), module.__dict__)

sys.meta_path.insert(0, Kept(int(sys.argv[1])))
sys.argv = sys.argv[2:]
from tm.cli.guardian import main
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
    table, code, size = {}, [], 0
    for name in modules():
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            raise ImportError(f"no module named {name}")
        packed = marshal.dumps(spec.loader.get_code(name))  # type: ignore[attr-defined]
        table[name] = (spec.submodule_search_locations is not None, spec.origin, size, len(packed))
        code.append(packed)
        size += len(packed)
    with open(fd, "wb", closefd=False) as file:
        file.write(bytes(_MARK_BYTES))
        marshal.dump(table, file)
        file.writelines(code)
    os.pwrite(fd, size.to_bytes(_MARK_BYTES, "little"), 0)


def complete(fd: int) -> bool:
    """Whether all of it is there: who was writing it may have died on the way. Raises OSError."""
    return any(os.pread(fd, _MARK_BYTES, 0))
