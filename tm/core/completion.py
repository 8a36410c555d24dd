"""Completion for taskmasterctl in bash, zsh and fish, printed from the declaration of the commands.

Guarantees: every verb and every option that is declared is offered, nothing else; names of tasks and processes are
asked of the daemon that the line means (`taskmasterctl --names`), which is quick, and says nothing when there is none.

`python -m tm.core.completion bash|zsh|fish`
"""

from __future__ import annotations

import sys
from typing import Final

from tm.core.verbs import BY_NAME, VERBS, Takes, Verb

HEAD: Final = "printed by python -m tm.core.completion"
NAMED: Final = (Takes.SELECTION, Takes.MAYBE_SELECTION, Takes.LOG, Takes.SIGNAL, Takes.COUNT, Takes.INSTANCE)
"""What takes names of tasks and processes."""

EVERYWHERE: Final = {
    "--json": "print what the daemon answers as JSON",
    "--no-wait": "return when the command has begun",
}
VALUED: Final = {
    "--timeout": "wait for so many seconds at most",
    "--color": "auto, always or never",
}
FIRST: Final = {
    "-c": "the daemon that runs this configuration",
    "--config": "the daemon that runs this configuration",
    "-s": "the daemon that listens on this socket",
    "--socket": "the daemon that listens on this socket",
}
ALONE: Final = {"--help": "print a summary", "--version": "print the version"}
SIGNALS: Final = "HUP INT QUIT USR1 USR2 TERM KILL CONT STOP"
COLOURS: Final = "auto always never"


BASH: Final = """# bash completion for taskmasterctl, @head@ bash

_taskmasterctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb='' options='' kind='' said=0 i
    local -a daemon=()
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        @first@)
            [[ -z $verb ]] && daemon=("${COMP_WORDS[i]}" "${COMP_WORDS[i+1]}")
            ((i++)) ;;
        @valued@) ((i++)) ;;
        -*) ;;
        *) if [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; else ((said++)); fi ;;
        esac
    done
    case $before in
    @first@)
        if [[ -z $verb ]]; then compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return; fi ;;
    --color) mapfile -t COMPREPLY < <(compgen -W '@colours@' -- "$word"); return ;;
    @taking@) return ;;
    esac
    case $verb in
    '') options='@flags@' kind=verb ;;
@cases@
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        return
    fi
    [[ $kind == signal && $said -gt 0 ]] && kind=names
    case $kind in
    verb) mapfile -t COMPREPLY < <(compgen -W '@verbs@' -- "$word") ;;
    signal) mapfile -t COMPREPLY < <(compgen -W '@signals@' -- "$word") ;;
    file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    names) mapfile -t COMPREPLY < <(compgen -W "all $("$1" "${daemon[@]}" --names 2>/dev/null)" -- "$word") ;;
    esac
}
complete -F _taskmasterctl taskmasterctl
"""

ZSH: Final = """#compdef taskmasterctl
# zsh completion for taskmasterctl, @head@ zsh

_taskmasterctl_names() {
    local -a names
    names=(all ${(f)"$(_call_program names ${(q)taskmasterctl_asked} --names 2>/dev/null)"})
    compadd -a names
}

_taskmasterctl() {
    local curcontext=$curcontext state line ret=1
    local -a taskmasterctl_asked verbs everywhere
    taskmasterctl_asked=($words[1])
    typeset -A opt_args
    everywhere=(
@everywhere@
    )
    verbs=(
@verbs@
    )
    _arguments -C -S $everywhere \\
        '(-s --socket)'{-c+,--config=}'[the daemon that runs this configuration]:configuration:_files' \\
        '(-c --config)'{-s+,--socket=}'[the daemon that listens on this socket]:socket:_files' \\
        '(-h --help)'{-h,--help}'[print a summary]' '--version[print the version]' \\
        '1:command:->verb' '*::argument:->rest' && ret=0
    local flag
    for flag in @first@; do
        [[ -n $opt_args[$flag] ]] && taskmasterctl_asked+=($flag ${(Q)opt_args[$flag]})
    done
    case $state in
    verb) _describe -t commands command verbs && ret=0 ;;
    rest)
        case $words[1] in
@cases@
        esac ;;
    esac
    return ret
}

_taskmasterctl "$@"
"""


def bash() -> str:
    """A file for bash-completion."""
    cases = [f"    {_pattern(verb)}) options='{_options(verb)}' kind={_kind(verb)} ;;" for verb in VERBS]
    holes = {
        "head": HEAD,
        "first": "|".join(FIRST),
        "valued": "|".join((*VALUED, *_valued())),
        "taking": "|".join(("--timeout", *_valued())),
        "colours": COLOURS,
        "flags": " ".join((*FIRST, *EVERYWHERE, *VALUED, *ALONE)),
        "cases": "\n".join(cases),
        "verbs": " ".join(BY_NAME),
        "signals": SIGNALS,
    }
    return _filled(BASH, holes)


def zsh() -> str:
    """A file for zsh's fpath."""
    holes = {
        "head": HEAD,
        "first": " ".join(FIRST),
        "everywhere": "\n".join(f"        {_quoted(each)}" for each in _zsh_everywhere()),
        "verbs": "\n".join(f"        {_quoted(f'{name}:{verb.doc}')}" for name, verb in BY_NAME.items()),
        "cases": "\n".join(map(_zsh_case, VERBS)),
    }
    return _filled(ZSH, holes)


def fish() -> str:
    """A file for fish's completions."""
    lines = [
        f"# fish completion for taskmasterctl, {HEAD} fish",
        "",
        "function __taskmasterctl_names",
        "    set -l words (commandline -opc)",
        "    set -l daemon",
        "    for i in (seq 2 (count $words))",
        "        if contains -- $words[$i] " + " ".join(FIRST),
        "            set daemon $words[$i] $words[(math $i + 1)]",
        "        end",
        "    end",
        "    echo all",
        "    command $words[1] $daemon --names 2>/dev/null",
        "end",
        "",
        "complete -c taskmasterctl -f",
        f"complete -c taskmasterctl -s c -l config -r -F -d {_quoted(FIRST['-c'])}",
        f"complete -c taskmasterctl -s s -l socket -r -F -d {_quoted(FIRST['-s'])}",
        *(f"complete -c taskmasterctl -l {name[2:]} -d {_quoted(doc)}" for name, doc in (EVERYWHERE | ALONE).items()),
        f"complete -c taskmasterctl -l timeout -x -d {_quoted(VALUED['--timeout'])}",
        f"complete -c taskmasterctl -l color -x -a '{COLOURS}' -d {_quoted(VALUED['--color'])}",
        *(
            f"complete -c taskmasterctl -n __fish_use_subcommand -a {name} -d {_quoted(verb.doc)}"
            for name, verb in BY_NAME.items()
        ),
        *(line for verb in VERBS for line in _fish_verb(verb)),
    ]
    return "\n".join(lines) + "\n"


def _filled(template: str, holes: dict[str, str]) -> str:
    for name, text in holes.items():
        template = template.replace(f"@{name}@", text)
    return template


def _pattern(verb: Verb) -> str:
    return "|".join((verb.name, *verb.aliases))


def _options(verb: Verb) -> str:
    own = [word for option in verb.options for word in filter(None, (option.short, option.name))]
    return " ".join(dict.fromkeys([*own, *EVERYWHERE, *VALUED]))


def _valued() -> list[str]:
    """The options of commands that take a value, each once."""
    return list(dict.fromkeys(option.name for verb in VERBS for option in verb.options if option.value))


def _kind(verb: Verb) -> str:
    match verb.takes:
        case Takes.MAYBE_FILE:
            return "file"
        case Takes.MAYBE_VERB:
            return "verb"
        case Takes.SIGNAL:
            return "signal"
        case _:
            return "names" if verb.takes in NAMED else "nothing"


def _quoted(text: str) -> str:
    """As one word of any of the three shells, which agree on single quotes but not on what escapes one."""
    return "'" + text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'"


def _zsh_everywhere() -> list[str]:
    valued = [f"--timeout=[{VALUED['--timeout']}]:seconds:", f"--color=[{VALUED['--color']}]:when:({COLOURS})"]
    return [*(f"{name}[{doc}]" for name, doc in EVERYWHERE.items()), *valued]


def _zsh_case(verb: Verb) -> str:
    specs = [
        _quoted(f"{word}=[{option.doc}]:{option.value}:" if option.value else f"{word}[{option.doc}]")
        for option in verb.options
        for word in (option.short, option.name)
        if word and word not in EVERYWHERE
    ]
    rest = {
        "file": ["'1:file:_files'"],
        "verb": [f"'1:command:({' '.join(BY_NAME)})'"],
        "signal": [f"'1:signal:({SIGNALS})'", "'*:name:_taskmasterctl_names'"],
        "names": ["'*:name:_taskmasterctl_names'"],
        "nothing": [],
    }[_kind(verb)]
    return f"        {_pattern(verb)}) _arguments -S {' '.join(['$everywhere', *specs, *rest])} && ret=0 ;;"


def _fish_verb(verb: Verb) -> list[str]:
    seen = f"complete -c taskmasterctl -n '__fish_seen_subcommand_from {' '.join((verb.name, *verb.aliases))}'"
    lines = [
        f"{seen}{f' -s {option.short[1:]}' if option.short else ''} -l {option.name[2:]}{' -x' if option.value else ''}"
        f" -d {_quoted(option.doc)}"
        for option in verb.options
        if option.name not in EVERYWHERE
    ]
    arguments = {
        "file": "-F",
        "verb": f"-a '{' '.join(BY_NAME)}'",
        "signal": f"-a '{SIGNALS} (__taskmasterctl_names)'",
        "names": "-a '(__taskmasterctl_names)'",
    }.get(_kind(verb))
    return [*lines, f"{seen} {arguments}"] if arguments else lines


PRINTED: Final = {"bash": bash, "zsh": zsh, "fish": fish}

if __name__ == "__main__":
    print(PRINTED[sys.argv[1]](), end="")
