"""A small file of JSON, replaced as a whole: what the next daemon has to know, beside the journal.

Guarantees: after a crash it is the old one or the new one; what cannot be read counts as nothing. Whoever reads it has
to look at every value.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress


def read(path: str) -> object:
    """What it holds; None where there is no such file, or none that makes sense."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, encoding="utf-8") as file:
            content: object = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return content


def write(path: str, content: object) -> None:
    """Replace the file; without content there is none. Raises OSError."""
    if not content:
        with suppress(FileNotFoundError):
            os.unlink(path)
        return
    draft = f"{path}.new"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(draft, path)
