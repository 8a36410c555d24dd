"""`taskmasterctl`: the command line, which daemon is meant, and the exit code.

Guarantees: the exit codes of the manual (0 done, 1 failed, 2 usage or configuration, 3 state not as wanted, 4 no
daemon, 5 not allowed, 6 no such task, 124 timed out); "no daemon" is said at once. What a command line needs is
imported when it is known to need it: one that only asks is answered before Python's own `re` would be there.
"""

from __future__ import annotations

import os
import sys

from tm.cli.client import Gone, NoDaemon
from tm.cli.codes import DONE, FAILED, INTERRUPTED, NO_DAEMON, NOT_ALLOWED, USAGE
from tm.cli.finding import BadConfiguration, Several, advice, connect
from tm.cli.screen import Screen, complain
from tm.cli.wish import Usage, Wish, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tm.cli.client import Client


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; the exit code."""
    from _signal import SIG_DFL, SIGPIPE, signal  # type: ignore[import-not-found]  # `signal` costs an `enum`

    signal(SIGPIPE, SIG_DFL)
    try:
        wish = Wish(sys.argv[1:] if arguments is None else arguments)
        return _answered_here(wish) if _is_ours(wish) else _with_daemon(wish)
    except (Usage, Several, BadConfiguration) as error:
        complain(str(error))
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # of our own: those of the connection have other names by now
        complain(f"the output cannot be written: {os.strerror(error.errno or 0)}.")
        return FAILED


def _with_daemon(wish: Wish) -> int:
    """What a daemon is needed for."""
    try:
        client = connect(wish.socket, wish.config, os.environ)
    except NoDaemon as error:
        return _nobody(error, wish)
    try:
        if "--names" in wish.given:
            from tm.cli.oneshot import print_names

            return print_names(client)
        if not wish.words:
            return _shell(client, wish)
        from tm.cli.oneshot import perform

        return perform(client, wish, Screen(wish.colour))
    except Gone as error:
        complain(f"{error}.")
        return NO_DAEMON
    finally:
        client.close()


def _shell(client: Client, wish: Wish) -> int:
    if os.isatty(0):
        from tm.cli.session import Session

        return Session(client, wish).run()
    from tm.cli import script

    return script.run(client, wish)


def _nobody(error: NoDaemon, wish: Wish) -> int:
    """No daemon answers: whoever mistyped the command hears of that first."""
    if "--names" in wish.given:
        return DONE
    if wish.words:
        from tm.core.commands import UsageError, parse_words

        try:
            parse_words(wish.words)
        except UsageError as wrong:
            raise Usage(str(wrong)) from None
    if error.refused:
        whom = "Be the user who runs it, of its socketGroup, or root."
        complain(f"not allowed to connect to {error.path}: {error.reason}. {whom}")
        return NOT_ALLOWED
    from tm.cli.survivors import journals, survivors

    about = journals(wish.config, wish.socket, os.environ)
    told = f"no daemon answers at {error.path}: {error.reason}. {advice(wish.config)}"
    complain(told)
    left = survivors(about)
    for line in left.lines:
        complain(line)
    if wish.json:
        from tm.cli.answer import as_json

        Screen().out(as_json({"error": told, "survivors": left.processes}))
    return NO_DAEMON


def _is_ours(wish: Wish) -> bool:
    """Whether the answer needs no daemon."""
    asks = bool({"--help", "--version"} & wish.given.keys()) or "--help" in wish.words[1:]
    return asks or wish.words[:1] in (["help"], ["exit"], ["quit"])


def _answered_here(wish: Wish) -> int:
    from tm.cli.answer import as_json
    from tm.core.commands import UsageError, help_text, parse_words

    screen = Screen(wish.colour)
    if "--version" in wish.given:
        import tm

        screen.out(f"taskmasterctl {tm.__version__}")
    elif "--help" in wish.given:
        screen.out("\n".join([*usage(), "", help_text(None)]))
    else:
        try:
            command = parse_words(wish.words)
            text = help_text(command.words[0] if command.words else None) if command.verb == "help" else ""
            screen.out(as_json(text.splitlines()) if wish.json and text else text)
        except UsageError as error:
            raise Usage(str(error)) from None
    return DONE
