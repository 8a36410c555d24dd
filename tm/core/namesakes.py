"""Which processes would have one name: a task `web_2`, and the second instance of `web`.

Guarantees: the time it takes grows with the number of tasks, not with that of their instances.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tm.core.task import Task

_NUMBERED = re.compile(r"(.+)_([1-9][0-9]{0,4})")


def namesakes(tasks: Mapping[str, Task]) -> Iterator[tuple[Task, Task]]:
    """Each single task that is named as an instance of another one, and that one."""
    for task in tasks.values():
        found = _NUMBERED.fullmatch(task.name)
        other = tasks.get(found[1]) if found else None
        if found and other and task.instances == 1 and 2 <= other.instances >= int(found[2]):
            yield task, other
