# What `make clean` has to end: the ids of processes are kept, each with the time it started, since ids are used again.
# shellcheck shell=bash

# Usage: started_at <process id>; prints nothing when there is no such process
started_at() { sed -E 's/.*\) ([^ ]+ ){19}([0-9]+) .*/\2/' "/proc/$1/stat" 2>/dev/null || true; }

# Of the process that calls it, which may become another program
keep_id() {
    mkdir -p -- "$STATE/processes"
    started_at "$BASHPID" >"$STATE/processes/$BASHPID"
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

# Asks what was kept to end, and ends it after ten seconds
end_processes() {
    local file id
    for file in "$STATE"/processes/*; do
        [[ -e $file ]] || continue
        id=$(basename -- "$file")
        ! is_running "$file" || kill -- "$id" 2>/dev/null || true
        for _ in {1..100}; do
            is_running "$file" || break
            sleep 0.1
        done
        ! is_running "$file" || kill -KILL -- "$id" 2>/dev/null || true
        rm -f -- "$file"
    done
}
