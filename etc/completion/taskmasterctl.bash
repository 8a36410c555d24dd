# bash completion for taskmasterctl, printed by python -m tm.core.completion bash

_taskmasterctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb='' options='' kind='' said=0 i
    local -a daemon=()
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -c|--config|-s|--socket)
            [[ -z $verb ]] && daemon=("${COMP_WORDS[i]}" "${COMP_WORDS[i+1]}")
            ((i++)) ;;
        --timeout|--color|--since|--until|--grep|--lines) ((i++)) ;;
        -*) ;;
        *) if [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; else ((said++)); fi ;;
        esac
    done
    case $before in
    -c|--config|-s|--socket)
        if [[ -z $verb ]]; then compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return; fi ;;
    --color) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$word"); return ;;
    --timeout|--since|--until|--grep|--lines) return ;;
    esac
    case $verb in
    '') options='-c --config -s --socket --json --no-wait --timeout --color --help --version' kind=verb ;;
    status) options='-l --long --json --no-wait --timeout --color' kind=names ;;
    start) options='--json --no-wait --timeout --color' kind=names ;;
    stop) options='--json --no-wait --timeout --color' kind=names ;;
    restart) options='--rolling --json --no-wait --timeout --color' kind=names ;;
    reload) options='--dry-run --json --no-wait --timeout --color' kind=nothing ;;
    scale) options='--json --no-wait --timeout --color' kind=names ;;
    logs) options='--stdout --stderr --all --since --until --grep -n --lines --raw -f --follow --json --no-wait --timeout --color' kind=names ;;
    clear-logs) options='--json --no-wait --timeout --color' kind=names ;;
    reopen-logs) options='--json --no-wait --timeout --color' kind=nothing ;;
    signal) options='--json --no-wait --timeout --color' kind=signal ;;
    pid) options='--json --no-wait --timeout --color' kind=names ;;
    show) options='--env --json --no-wait --timeout --color' kind=names ;;
    events) options='-f --follow --json --no-wait --timeout --color' kind=names ;;
    top) options='--json --no-wait --timeout --color' kind=names ;;
    attach) options='--json --no-wait --timeout --color' kind=names ;;
    check) options='--json --no-wait --timeout --color' kind=file ;;
    upgrade) options='--json --no-wait --timeout --color' kind=nothing ;;
    help) options='--json --no-wait --timeout --color' kind=verb ;;
    version) options='--json --no-wait --timeout --color' kind=nothing ;;
    shutdown) options='--keep --json --no-wait --timeout --color' kind=nothing ;;
    exit|quit) options='--json --no-wait --timeout --color' kind=nothing ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        return
    fi
    [[ $kind == signal && $said -gt 0 ]] && kind=names
    case $kind in
    verb) mapfile -t COMPREPLY < <(compgen -W 'status start stop restart reload scale logs clear-logs reopen-logs signal pid show events top attach check upgrade help version shutdown exit quit' -- "$word") ;;
    signal) mapfile -t COMPREPLY < <(compgen -W 'HUP INT QUIT USR1 USR2 TERM KILL CONT STOP' -- "$word") ;;
    file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    names) mapfile -t COMPREPLY < <(compgen -W "all $("$1" "${daemon[@]}" --names 2>/dev/null)" -- "$word") ;;
    esac
}
complete -F _taskmasterctl taskmasterctl
