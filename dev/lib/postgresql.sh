# A private PostgreSQL, which runs while somebody uses it.
# shellcheck shell=bash

# PostgreSQL refuses to run as root.
as_postgres() {
    if ((EUID == 0)); then
        (cd / && setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@")
    else
        "$@"
    fi
}

# Its user may not get through to the clone (in root's home, say): the data lie elsewhere then.
cluster_folder() {
    local folder
    folder=$(cat -- "$STATE/cluster" 2>/dev/null || true)
    if [[ ! -d $folder ]]; then
        folder=$STATE/postgresql
        mkdir -p -- "$folder"
        if ((EUID == 0)); then
            chown postgres: -- "$folder"
            if ! as_postgres test -w "$folder"; then
                rmdir -- "$folder"
                folder=$(mktemp -d "${TMPDIR:-/var/tmp}/stages-postgresql.XXXXXX")
                chown postgres: -- "$folder"
            fi
        fi
        printf '%s' "$folder" >"$STATE/cluster"
    fi
    echo "$folder"
}

# Runs while anybody of this clone uses it: each user holds a shared lock (8), the last one stops it. One at a time
# starts it (lock 7).
start_cluster() {
    PG_BIN=$(find_postgres)
    exec 7>"$STATE/cluster-start.lock" 8>"$STATE/cluster-users.lock"
    flock 7
    flock -s 8
    CLUSTER=$(cluster_folder)
    if [[ ! -e $CLUSTER/data/.complete ]]; then
        say "Making a private PostgreSQL cluster"
        rm -rf -- "$CLUSTER/data"
        as_postgres "$PG_BIN/initdb" -D "$CLUSTER/data" -U odoo -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
        as_postgres touch "$CLUSTER/data/.complete"
    fi
    SOCKETS=$RUNTIME/postgresql
    mkdir -p "$SOCKETS"
    ((EUID != 0)) || chown postgres: "$SOCKETS"
    chmod 0700 "$SOCKETS"
    if ! pg_isready_here; then
        as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/data" -m fast -w stop >/dev/null 2>&1 || true
        # A throw-away cluster: speed before safety. Its socket's folder lets nobody else in.
        as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/data" -l "$CLUSTER/log" -w -t 120 -o "-k $SOCKETS \
            -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
            -c shared_buffers=256MB" start >/dev/null 7>&- 8>&- ||
            die "PostgreSQL did not start; see $CLUSTER/log"
    fi
    exec 7>&-
    trap stop_cluster_when_last EXIT
}

pg_isready_here() { sql postgres -c "SELECT" >/dev/null 2>&1; }

stop_cluster_when_last() {
    if flock -n -x 8; then
        as_postgres "$PG_BIN/pg_ctl" -D "$CLUSTER/data" -m fast -w stop >/dev/null 2>&1 || true
    fi
}

sql() {
    local database=$1
    shift
    PGOPTIONS="-c client_min_messages=warning" "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -h "$SOCKETS" -U odoo -d "$database" "$@"
}

has_database() { [[ -n $(sql postgres -tAc "SELECT 1 FROM pg_database WHERE datname = '$1'") ]]; }
