"""The methods of the control socket: the verbs of `core.commands` and four of its own, each with its parameters. Pure.

Guarantees: a verb is a method by being declared; what `system.describe` tells is what `asked` checks; for any params
`asked` gives values of the declared types or raises BadParams with a sentence.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from tm.core.commands import Command, UsageError, parse_words
from tm.core.errors import nearest
from tm.core.verbs import VERBS, Takes, Verb

WIDTH_MOST: Final = 10_000
WORDS_MOST: Final = 1000
SIZE_MOST: Final = 1000
LAST_MOST: Final = 1000
_SHOWN: Final = 80
_OWN: Final = frozenset({"exit"})
"""The prompt's own verbs, beside those of the client: to leave it."""


class BadParams(Exception):
    """Params that do not fit the method; the text is the sender's."""


class Param(NamedTuple):
    """One parameter: what it is in words, and the value made of what was sent, or None when it is not that."""

    name: str
    kind: str
    doc: str
    take: Callable[[object], Any]


class Method(NamedTuple):
    """`verb`: the declaration it comes from; None for one of the socket's own."""

    name: str
    doc: str
    params: tuple[Param, ...]
    verb: Verb | None = None


class Asked(NamedTuple):
    """A verb's command, how the asker looks, and up to where he has read logs, by path. `bare`: he wants no `lines`."""

    command: Command
    width: int | None
    colour: bool
    after: Mapping[str, str] | None = None
    bare: bool = False


def _words(value: object) -> tuple[str, ...] | None:
    """Text that a name or a path can be, WORDS_MOST of it: no NUL, nothing that UTF-8 cannot hold."""
    if (
        not isinstance(value, list)
        or len(value) > WORDS_MOST
        or not all(isinstance(each, str) and _sound(each) for each in value)
    ):
        return None
    return tuple(value)


def _sound(word: str) -> bool:
    return "\0" not in word and not any("\ud800" <= character <= "\udfff" for character in word)


def _options(value: object) -> tuple[str, ...] | None:
    words = _words(value)
    return words if words is not None and all(word.startswith("-") for word in words) else None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _sound(value) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _width(value: object) -> int | None:
    return count if (count := _count(value)) and count <= WIDTH_MOST else None


def _switch(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _size(value: object) -> int | None:
    return count if (count := _count(value)) and count <= SIZE_MOST else None


def _last(value: object) -> int | None:
    return count if (count := _count(value)) is not None and count <= LAST_MOST else None


def _bytes(value: object) -> bytes | None:
    try:
        return a2b_base64(value, strict_mode=True) if isinstance(value, str) else None
    except ValueError:
        return None


def _marks(value: object) -> dict[str, str] | None:
    """Places in logs, as an answer or a notification has told them."""
    if not isinstance(value, dict) or len(value) > WORDS_MOST:
        return None
    return value if all(isinstance(each, str) and _sound(each) for pair in value.items() for each in pair) else None


# fmt: off
_WORDS: Final = Param("words", f"an array of text, {WORDS_MOST:,} at most",
                      "what stands behind the verb: names, a file, a command", _words)
_OPTIONS: Final = Param("options", "an array of options", "the options, as they are typed", _options)
_LINES: Final = Param("lines", "a number", "how many lines", _count)
_SIGNAL: Final = Param("signal", "text", "the signal: its name, with or without SIG, or its number", _word)
_LOOK: Final = (
    Param("width", f"a number from 1 to {WIDTH_MOST}", "columns of the terminal that `lines` are for", _width),
    Param("colour", "true or false", "whether `lines` are coloured", _switch),
    Param("bare", "true or false", "whether only `data` is wanted, so that `lines` is empty", _switch),
)
_AFTER: Final = Param("after", "an object of `marks`", "begin where these end, instead of with the last lines", _marks)
_NUMBER: Final = Param("subscription", "a number", "which one, as the answer to the subscription said", _count)
_NAMES: Final = Param("names", "an array of text", "a selection; without one everything is told", _words)
_LAST: Final = Param("last", f"a number up to {LAST_MOST:,}", "with how many of the last lines to begin", _last)
_TYPED: Final = Param("base64", "bytes in base64", "what is typed", _bytes)
_SIZE: Final = (
    Param("rows", f"a number from 1 to {SIZE_MOST:,}", "rows of the terminal", _size),
    Param("columns", f"a number from 1 to {SIZE_MOST:,}", "columns of the terminal", _size),
)
# fmt: on


def _params(verb: Verb) -> tuple[Param, ...]:
    """What the words, options and numbers of a verb are called here."""
    params = [_WORDS] if verb.takes is not Takes.NOTHING else []
    params += [_OPTIONS] if verb.options else []
    params += [_LINES] if verb.takes is Takes.LOG else []
    params += [_SIGNAL] if verb.takes is Takes.SIGNAL else []
    return (*params, *_LOOK)


_ATTACH: Final = "answer with the last lines of a terminal, then tell what it shows"


def _methods() -> dict[str, Method]:
    verbs = {verb.name: verb for verb in VERBS if not verb.client and verb.name not in _OWN}
    methods = [Method(name, verb.doc, _params(verb), verb) for name, verb in verbs.items()]
    methods += [
        Method("events.subscribe", "tell every event and every change of a process, until unsubscribe", (_NAMES,)),
        Method("logs.follow", "answer as logs, then tell what comes", (*_params(verbs["logs"]), _AFTER), verbs["logs"]),
        Method("attach", _ATTACH, (_WORDS, _LAST, *_LOOK), verbs["attach"]),
        Method("attach.type", "type into the terminal of an attach", (_NUMBER, _TYPED)),
        Method("attach.resize", "give the terminal of an attach a size, and let it be drawn", (_NUMBER, *_SIZE)),
        Method("unsubscribe", "tell no more of a subscription", (_NUMBER,)),
        Method("system.describe", "every method with its parameters", ()),
        Method("system.identity", "which daemon this is", ()),
    ]
    return {method.name: method for method in methods}


METHODS: Final[Mapping[str, Method]] = _methods()


def settled(method: Method, params: Mapping[str, Any]) -> dict[str, Any]:
    """The params that were given, checked; null is as if it were not given. Raises BadParams."""
    declared = {param.name: param for param in method.params}
    found: dict[str, Any] = {}
    for name, value in params.items():
        if name not in declared:
            raise BadParams(f"'{method.name}' has no parameter '{name[:_SHOWN]}'.{_meant(name, declared)}")
        if value is None:
            continue
        found[name] = declared[name].take(value)
        if found[name] is None:
            raise BadParams(f"'{name}' of '{method.name}' is {declared[name].kind}.")
    return found


def asked(verb: Verb, given: Mapping[str, Any]) -> Asked:
    """The command of settled params, as if it had been typed. Raises BadParams."""
    words = [*filter(None, [given.get("signal")]), *given.get("words", ())]
    words += [str(given["lines"])] if "lines" in given else []
    try:
        command = parse_words([verb.name, *words, *given.get("options", ())])
    except UsageError as error:
        raise BadParams(str(error)) from None
    look = given.get("width"), given.get("colour", False)
    return Asked(command, *look, given.get("after"), given.get("bare", False))


def only_asks(name: str) -> bool:
    """Whether it changes nothing, so that it is for its answer alone."""
    method = METHODS.get(name)
    return method is not None and method.verb is not None and method.verb.reads


def unknown(name: str) -> str:
    """What the sender hears of a method that does not exist."""
    if name in _OWN or any(verb.name == name for verb in VERBS):
        return f"'{name}' is for a prompt and no method; the daemon is ended by 'shutdown'."
    return f"There is no method '{name[:_SHOWN]}'.{_meant(name, METHODS)} 'system.describe' lists them."


def describe() -> list[dict[str, object]]:
    """Every method, for programs."""
    return [
        {
            "method": method.name,
            "doc": method.doc,
            "usage": method.verb.usage if method.verb and method.verb.name == method.name else None,
            "options": {each.name: each.doc for each in method.verb.options} if method.verb else {},
            "params": [{"name": each.name, "kind": each.kind, "doc": each.doc} for each in method.params],
        }
        for method in METHODS.values()
    ]


def _meant(word: str, known: Mapping[str, object]) -> str:
    hint = nearest(word, known)
    return f" Did you mean '{hint}'?" if hint else ""
