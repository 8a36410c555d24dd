"""A version of the program in memory: the code of all its modules, and an interpreter that is its guardian.

Guarantees: what is kept runs as it did when it was packed, whatever is installed by now; what it imports beside itself
it gets from where that is installed. A module that is not imported takes no memory but the file's.

A daemon that dies is followed by one of its own version: what was installed meanwhile is not taken for an order to
upgrade. And a version that cannot start is fallen back from.

Traps: the file is read when a module is imported: whoever runs in this interpreter, and its forks, has it open. They
share its place, so nobody moves that.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import CodeType, ModuleType
from typing import TypeAlias

_MARK_BYTES = 8
_Place: TypeAlias = tuple[bool, str, int, int]
"""Of a module: whether it is a package, the file that it was, and where its code begins and how long it is."""
BEGIN = f"""
import marshal, os, sys
fd = int(sys.argv[1])
at = int.from_bytes(os.pread(fd, {_MARK_BYTES}, 0), "little")
_, _, begin, size = marshal.loads(os.pread(fd, os.fstat(fd).st_size - at, at))["{__name__}"]
kept = {{"__name__": "{__name__}"}}
exec(marshal.loads(os.pread(fd, size, begin)), kept)
kept["use"](fd)
sys.argv = sys.argv[2:]
from tm.cli.guardian import main
sys.exit(main())
"""


class _Kept:
    """Finds and loads what is in the file."""

    def __init__(self, fd: int) -> None:
        self.kept_in = fd
        at = int.from_bytes(os.pread(fd, _MARK_BYTES, 0), "little")
        self._modules: dict[str, _Place] = marshal.loads(os.pread(fd, os.fstat(fd).st_size - at, at))

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name not in self._modules:
            return None
        is_package, origin, *_ = self._modules[name]
        return spec_from_loader(name, self, origin=origin, is_package=is_package)  # type: ignore[arg-type]

    def get_code(self, name: str) -> CodeType:
        _, _, begin, size = self._modules[name]
        return marshal.loads(os.pread(self.kept_in, size, begin))  # type: ignore[no-any-return]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = module.__spec__.origin if module.__spec__ is not None else None
        exec(self.get_code(module.__name__), module.__dict__)


def use(fd: int) -> None:
    """Import from this file from now on."""
    sys.meta_path.insert(0, _Kept(fd))


def in_use() -> list[int]:
    """The descriptors of the files that this interpreter and its forks import from. Where it has begun with BEGIN, the
    finder is of that one's class.
    """
    return [each.kept_in for each in sys.meta_path if hasattr(each, "kept_in")]


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
    """Put the code of all of them into a file in memory: the modules, then a table of them, whose place the beginning
    says when all is there. Raises OSError, ImportError, SyntaxError.
    """
    table: dict[str, _Place] = {}
    with open(fd, "wb", closefd=False) as file:
        file.write(bytes(_MARK_BYTES))
        for name in modules():
            spec = find_spec(name)
            if spec is None or spec.loader is None:
                raise ImportError(f"no module named {name}")
            begin = file.tell()
            size = file.write(marshal.dumps(spec.loader.get_code(name)))  # type: ignore[attr-defined]
            table[name] = (spec.submodule_search_locations is not None, spec.origin or "", begin, size)
        end = file.tell()
        marshal.dump(table, file)
    os.pwrite(fd, end.to_bytes(_MARK_BYTES, "little"), 0)


def complete(fd: int) -> bool:
    """Whether all of it is there: who was writing it may have died on the way. Raises OSError."""
    return any(os.pread(fd, _MARK_BYTES, 0))
