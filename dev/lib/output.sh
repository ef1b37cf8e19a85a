# What is told, and what goes to a log.
# shellcheck shell=bash

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

die() {
    printf 'Error: %s\n' "$*" >&2
    exit 1
}

# Usage: quietly <log> <command>...; what the command prints goes to a log in $STATE, which is shown when it fails.
# The command is a program, not a function: `set -e` would not hold in one.
quietly() {
    local log=$STATE/$1
    shift
    printf '\n$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1 && return
    tail -n 40 -- "$log" >&2
    die "$1 failed; all that it printed is in $log"
}
