# What `make clean` has to end: the ids of processes are kept, each with the time it started, since ids are used again.
# shellcheck shell=bash

# Usage: started_at <process id>; prints nothing when there is no such process
started_at() { sed -E 's/.*\) ([^ ]+ ){19}([0-9]+) .*/\2/' "/proc/$1/stat" 2>/dev/null || true; }

# Of the process that calls it, which may become another program
keep_id() {
    local id=$BASHPID started
    started=$(started_at "$id")
    mkdir -p -- "$STATE/processes"
    echo "$started" >"$STATE/processes/$id"
}

# Usage: is_running <file of the kept process>
is_running() {
    local started
    started=$(started_at "$(basename -- "$1")")
    [[ -n $started && $started == "$(cat -- "$1")" ]]
}

forget_ended_processes() {
    local file
    for file in "$STATE"/processes/*; do
        [[ ! -e $file ]] || is_running "$file" || rm -f -- "$file"
    done
}

# Asks all that was kept to end, and ends what has not after ten seconds
end_processes() {
    forget_ended_processes
    signal_processes TERM
    for _ in {1..100}; do
        forget_ended_processes
        [[ -n $(ls -A -- "$STATE/processes" 2>/dev/null) ]] || return 0
        sleep 0.1
    done
    signal_processes KILL
}

# Usage: signal_processes <signal>
signal_processes() {
    local file
    for file in "$STATE"/processes/*; do
        [[ ! -e $file ]] || kill -s "$1" -- "$(basename -- "$file")" 2>/dev/null || true
    done
}
