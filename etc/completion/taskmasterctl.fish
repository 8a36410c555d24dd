# fish completion for taskmasterctl, printed by python -m tm.core.completion fish

function __taskmasterctl_names
    set -l words (commandline -opc)
    set -l daemon
    for i in (seq 2 (count $words))
        if contains -- $words[$i] -c --config -s --socket
            set daemon $words[$i] $words[(math $i + 1)]
        end
    end
    echo all
    command $words[1] $daemon --names 2>/dev/null
end

complete -c taskmasterctl -f
complete -c taskmasterctl -s c -l config -r -F -d 'the daemon that runs this configuration'
complete -c taskmasterctl -s s -l socket -r -F -d 'the daemon that listens on this socket'
complete -c taskmasterctl -l json -d 'print what the daemon answers as JSON'
complete -c taskmasterctl -l no-wait -d 'return when the command has begun'
complete -c taskmasterctl -l help -d 'print a summary'
complete -c taskmasterctl -l version -d 'print the version'
complete -c taskmasterctl -l timeout -x -d 'wait for so many seconds at most'
complete -c taskmasterctl -l color -x -a 'auto always never' -d 'auto, always or never'
complete -c taskmasterctl -n __fish_use_subcommand -a status -d 'show every process, or the ones selected, and what ails those that fail'
complete -c taskmasterctl -n __fish_use_subcommand -a start -d 'start processes, and what they depend on'
complete -c taskmasterctl -n __fish_use_subcommand -a stop -d 'stop processes: the stop signal, then SIGKILL when the grace is over; what depends on them goes on'
complete -c taskmasterctl -n __fish_use_subcommand -a restart -d 'stop and start processes; one that is stopped is started'
complete -c taskmasterctl -n __fish_use_subcommand -a reload -d 'read the configuration again and carry out the difference'
complete -c taskmasterctl -n __fish_use_subcommand -a scale -d 'have another number of instances, until `instances` itself changes in the file'
complete -c taskmasterctl -n __fish_use_subcommand -a logs -d 'show the last N lines of output (10)'
complete -c taskmasterctl -n __fish_use_subcommand -a clear-logs -d 'make the logs of processes empty and remove what was rotated'
complete -c taskmasterctl -n __fish_use_subcommand -a reopen-logs -d 'open all logs anew, the daemon’s own too, as SIGUSR2 does'
complete -c taskmasterctl -n __fish_use_subcommand -a signal -d 'send a signal to processes, as their killMode says'
complete -c taskmasterctl -n __fish_use_subcommand -a pid -d 'print the daemon’s pid, or those of processes'
complete -c taskmasterctl -n __fish_use_subcommand -a show -d 'everything about processes: configuration with its place, process tree, events, last lines'
complete -c taskmasterctl -n __fish_use_subcommand -a events -d 'show what happened lately'
complete -c taskmasterctl -n __fish_use_subcommand -a top -d 'the table of status, kept current until q (taskmasterctl only)'
complete -c taskmasterctl -n __fish_use_subcommand -a attach -d 'the terminal of a process with `tty`: what it writes and what you type, until Ctrl-]'
complete -c taskmasterctl -n __fish_use_subcommand -a check -d 'check a configuration, the daemon’s own by default, and change nothing'
complete -c taskmasterctl -n __fish_use_subcommand -a upgrade -d 'run the version that is installed now, as SIGUSR1 does; everything goes on'
complete -c taskmasterctl -n __fish_use_subcommand -a help -d 'list the commands, or explain one'
complete -c taskmasterctl -n __fish_use_subcommand -a version -d 'print the version'
complete -c taskmasterctl -n __fish_use_subcommand -a shutdown -d 'stop everything in order; the daemon leaves'
complete -c taskmasterctl -n __fish_use_subcommand -a exit -d 'leave taskmasterctl; at the daemon’s own prompt, shutdown'
complete -c taskmasterctl -n __fish_use_subcommand -a quit -d 'leave taskmasterctl; at the daemon’s own prompt, shutdown'
complete -c taskmasterctl -n '__fish_seen_subcommand_from status' -s l -l long -d 'also CPU, memory, and the last change with its cause and who asked'
complete -c taskmasterctl -n '__fish_seen_subcommand_from status' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from start' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from stop' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from restart' -l rolling -d 'of each task one process at a time, each RUNNING before the next; the first failure ends it'
complete -c taskmasterctl -n '__fish_seen_subcommand_from restart' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from reload' -l dry-run -d 'print the plan and its reasons, do nothing'
complete -c taskmasterctl -n '__fish_seen_subcommand_from scale' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -l stdout -d 'show stdout, as without it; with --stderr both'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -l stderr -d 'show stderr instead of stdout'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -l all -d 'show both streams'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -l since -x -d 'only lines from this time on, all of them unless N is given'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -l until -x -d 'only lines up to this time'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -l grep -x -d 'only lines in which this regular expression is found'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -s n -l lines -x -d 'as N: so many lines, 0 for none of what there is'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -l raw -d 'show lines as they are, without names and with every control sequence'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -s f -l follow -d 'go on with what comes, until Ctrl-C'
complete -c taskmasterctl -n '__fish_seen_subcommand_from logs' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from clear-logs' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from signal' -a 'HUP INT QUIT USR1 USR2 TERM KILL CONT STOP (__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from pid' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from show' -l env -d 'with the values of the environment (the daemon’s own user and root)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from show' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from events' -s f -l follow -d 'go on with what comes, until Ctrl-C'
complete -c taskmasterctl -n '__fish_seen_subcommand_from events' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from top' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from attach' -a '(__taskmasterctl_names)'
complete -c taskmasterctl -n '__fish_seen_subcommand_from check' -F
complete -c taskmasterctl -n '__fish_seen_subcommand_from help' -a 'status start stop restart reload scale logs clear-logs reopen-logs signal pid show events top attach check upgrade help version shutdown exit quit'
complete -c taskmasterctl -n '__fish_seen_subcommand_from shutdown' -l keep -d 'stop nothing: what runs is left to the next daemon, which takes it over'
