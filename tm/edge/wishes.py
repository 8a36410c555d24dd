"""What operators wish, kept over the daemon's life: which instances are to be up or down, whatever `autoLaunch` says,
and how many of a task there are to be.

Guarantees: the file is replaced as a whole, so that it is the old or the new one after a crash; a file that cannot be
read or understood counts as no wishes and is told, never an error that keeps the daemon from starting.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field

from tm.core.scale import Scale
from tm.core.task import INSTANCES_MOST


@dataclass(slots=True)
class Wishes:
    """`up`: by (task, number of the instance), up or down; `scales`: by task, how many."""

    up: dict[tuple[str, int], bool] = field(default_factory=dict)
    scales: dict[str, Scale] = field(default_factory=dict)


def load(path: str, config: str) -> Wishes:
    """Read the wishes about the configuration `config`; none when there is no file, or it is about another one.

    Raises ValueError with a sentence when it makes no sense."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, encoding="utf-8") as file:
            content = json.load(file)
        if content["configuration"] != config:
            return Wishes()
        up = {(task, int(n)): _wish(up) for task, each in content["wishes"].items() for n, up in each.items()}
        return Wishes(up, {task: _scale(*each) for task, each in content.get("scales", {}).items()})
    except FileNotFoundError:
        return Wishes()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"the operators' wishes in {path} cannot be read ({error}); going on without") from error


def save(path: str, config: str, wishes: Wishes) -> None:
    """Replace the file. Raises OSError."""
    grouped: dict[str, dict[str, bool]] = {}
    for (task, n), up in wishes.up.items():
        grouped.setdefault(task, {})[str(n)] = up
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    draft = f"{path}.new"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump({"configuration": config, "wishes": grouped, "scales": wishes.scales}, file)
    os.replace(draft, path)


def _wish(up: object) -> bool:
    if not isinstance(up, bool):
        raise ValueError(f"{up!r} is no wish")
    return up


def _scale(given: object, wished: object) -> Scale:
    if type(given) is not int or type(wished) is not int or not 0 <= wished <= INSTANCES_MOST:
        raise ValueError(f"{wished!r} is no number of instances")
    return Scale(given, wished)
