"""The process's name in ps, by the C part of setproctitle alone: the package around it imports what takes 20 ms.

Guarantees: where it cannot be had the name is what it was.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any

_NAME = "_setproctitle"


def where() -> str:
    """The directory in which the C part is; '' where there is none."""
    package = PathFinder.find_spec("setproctitle", sys.path)
    return next(iter(package.submodule_search_locations or ()), "") if package is not None else ""


def show(title: str, thread: str, path: str) -> None:
    """Be called `title`, and `thread` where there is room for a word; `path` is what `where` has said."""
    module = _module(path)
    if module is not None:
        module.setproctitle(title)
        module.setthreadtitle(thread)


def _module(path: str) -> Any:
    if _NAME not in sys.modules:
        spec = PathFinder.find_spec(_NAME, [path])
        if spec is None or spec.loader is None:
            return None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[_NAME] = module
    return sys.modules[_NAME]
