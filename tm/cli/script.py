"""Commands from a pipe or a file, one a line: each is seen through to its outcome before the next one is sent.

Guarantees: a line that fails does not keep the next ones from being carried out; the exit code tells of the last one
that failed.
"""

from __future__ import annotations

import sys

from tm.cli import oneshot
from tm.cli.codes import USAGE
from tm.cli.screen import Screen, complain
from tm.cli.wish import Usage, Wish
from tm.core.commands import UsageError, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tm.cli.client import Client


def run(client: Client, outer: Wish) -> int:
    """Carry out the lines of stdin; the exit code. Raises Gone."""
    code, screen = 0, Screen(outer.colour)
    for line in sys.stdin:
        try:
            words = split(line)
            if words[:1] in (["exit"], ["quit"]):
                break
            if words:
                code = oneshot.perform(client, meant(words, outer), screen) or code
        except (UsageError, Usage) as error:
            complain(str(error))
            code = USAGE
    return code


def meant(words: list[str], outer: Wish) -> Wish:
    """The words of a line, with the flags that the client itself was given. Raises Usage."""
    wish = Wish(words if not words[0].startswith("-") else ["--", *words])
    wish.given = {**outer.given, **wish.given}
    wish.settle()
    return wish
