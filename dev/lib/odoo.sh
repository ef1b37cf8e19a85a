# Odoo: where it is, how it is configured, and how it runs.
# shellcheck shell=bash

provide_odoo() {
    local source
    if [[ -n ${ODOO:-} ]]; then
        source=$(cd -- "$ODOO" && pwd -P) || die "ODOO=$ODOO is no folder"
        [[ -d $source/odoo ]] || die "ODOO=$ODOO has no folder odoo: name the one with odoo-bin in it"
    else
        [[ -e $STATE/odoo/.complete ]] || fetch_odoo
        source=$STATE/odoo/usr/lib/python3/dist-packages
    fi
    ln -sfn -- "$source" "$RUNTIME/odoo"
}

# Usage: write_config <database> <port>; sets CONFIG
write_config() {
    local addons=$RUNTIME/addons
    # In a checkout most addons are beside the server; Debian's package has half a copy of them there.
    [[ -d $RUNTIME/odoo/odoo/addons/$DEPENDS ]] || addons+=",$RUNTIME/odoo/addons"
    CONFIG=$RUNTIME/$1.conf
    cat >"$CONFIG" <<CONF
[options]
addons_path = $addons
data_dir = $RUNTIME/state/data
screenshots = $RUNTIME/state/screenshots
db_host = $SOCKETS
db_user = odoo
db_name = $1
dbfilter = ^$1\$
list_db = False
http_interface = 127.0.0.1
http_port = $2
with_demo = True
CONF
}

# Becomes Odoo: for subshells
exec_odoo() { exec_python -m odoo "$@"; }

# Becomes Python with Odoo in its path, which `make clean` ends: for subshells. Odoo's package has no compiled files, and
# compiling them is half of the time in which Odoo starts: they are kept, away from all sources.
exec_python() {
    cd -- "$RUNTIME" || exit
    keep_id
    PYTHONPATH=$RUNTIME/odoo PYTHONDONTWRITEBYTECODE="" PYTHONPYCACHEPREFIX=$RUNTIME/state/pycache exec "$PYTHON" "$@"
}

odoo() { (exec_odoo "$@"); }

# Usage: serve <port> <log> <option>...; returns when the server answers, which ends with the script
serve() {
    local port=$1 log=$2
    shift 2
    exec_odoo "$@" >"$log" 2>&1 &
    SERVER=$!
    trap stop_server EXIT
    trap 'exit 130' INT TERM HUP
    until "$PYTHON" -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$port/web/health', timeout=5)" 2>/dev/null; do
        kill -0 "$SERVER" 2>/dev/null || die "Odoo stopped; see $STATE/$(basename -- "$log")"
        sleep 0.5
    done
}

stop_server() {
    kill "$SERVER" 2>/dev/null || true
    wait "$SERVER" 2>/dev/null || true
    stop_cluster_when_last
}

# Usage: find_faults <log>; prints the errors and the addon's warnings: those while it is loaded, and those that name it
find_faults() {
    awk -v addon="$ADDON" '
        / Loading module / { is_loading = index($0, " Loading module " addon " ") }
        / INFO / { is_fault = 0 }
        / (ERROR|CRITICAL) / || / WARNING / && (is_loading || index($0, addon)) { is_fault = 1 }
        / modules loaded in / { is_loading = 0 }
        is_fault && lines++ < 60' "$1"
}

# Runs Odoo until it is done, telling the modules as they are loaded
odoo_task() {
    local name faults
    name=odoo-task-$(basename -- "$CONFIG" .conf).log
    local log=$RUNTIME/state/$name
    if ! odoo "$@" --stop-after-init --no-http 2>&1 | tee "$log" |
        sed -unE 's/.* Loading module ([a-z0-9_]+) \(([0-9]+)\/([0-9]+)\).*/    \2 of \3: \1/p'; then
        tail -n 40 "$log" >&2
        die "Odoo failed; its whole log is in $STATE/$name"
    fi
    faults=$(find_faults "$log")
    if [[ -n $faults ]]; then
        printf '%s\n' "$faults" >&2
        die "Odoo reported errors, or warnings of the addon; its whole log is in $STATE/$name"
    fi
}

free_port() {
    "$PYTHON" - "$1" <<'PY'
import socket, sys

port = int(sys.argv[1])
while port < 65536:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            port += 1
            continue
    print(port)
    break
PY
}
