# Sourced by the scripts beside it: a real Odoo 19 and a private PostgreSQL, made once, without root where possible.
# shellcheck shell=bash
set -euo pipefail

ADDON=crm_sales_stage
DEPENDS=sale_crm
ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
STATE=${STATE:-$ROOT/.dev}
# Debian's packages that Odoo's static files link to; font-awesome: unstable's has other file names
UNSTABLE_PACKAGES=(odoo-19 libjs-jquery libjs-underscore libjs-jquery-form fonts-roboto-unhinted
    fonts-montserrat fonts-inconsolata fonts-ocr-b)
STABLE_PACKAGES=(fonts-font-awesome)

export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH PYTHONHOME

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() {
    printf 'Error: %s\n' "$*" >&2
    exit 1
}

# Everything that several scripts of one clone make is made by one at a time.
prepare() {
    mkdir -p -- "$STATE"
    STATE=$(cd -- "$STATE" && pwd -P)
    exec 9>"$STATE/prepare.lock"
    flock -n 9 || { say "Waiting for another make in this folder" && flock 9; }
    make_runtime
    require_system_packages
    provide_odoo
    provide_venv
    exec 9>&-
}

# Odoo splits its addons path at commas, sockets have short paths, shebangs and virtual environments have their own
# dislikes: whatever the clone's folder is called, everything is reached through links in a short one.
make_runtime() {
    RUNTIME=$(cat -- "$STATE/runtime" 2>/dev/null || true)
    if [[ ! -O ${RUNTIME:-/nonexistent} ]]; then
        RUNTIME=$(mktemp -d "${TMPDIR:-/tmp}/stages.XXXXXX")
        # PostgreSQL's own user has to get through to its socket's folder.
        chmod 0711 "$RUNTIME"
        printf '%s' "$RUNTIME" >"$STATE/runtime"
    fi
    mkdir -p "$RUNTIME/addons"
    ln -sfn -- "$STATE" "$RUNTIME/state"
    ln -sfn -- "$ROOT" "$RUNTIME/addons/$ADDON"
}

# --------------------------------------------------------------------------------------------------------------------
# System packages
# --------------------------------------------------------------------------------------------------------------------

# The newest folder that has a whole server: a lone pg_ctl elsewhere in PATH does not do.
find_postgres() {
    local folder
    for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) "$(pg_config --bindir 2>/dev/null)" \
        "$(dirname -- "$(command -v initdb || echo /nonexistent/initdb)")"; do
        if [[ -x $folder/initdb && -x $folder/pg_ctl && -x $folder/postgres ]]; then
            echo "$folder"
            return
        fi
    done
}

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }

missing_packages() {
    [[ -n $(find_postgres) ]] || echo postgresql
    [[ -n $(find_chromium) ]] || echo chromium
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    command -v wkhtmltopdf >/dev/null || echo wkhtmltopdf
    command -v flock >/dev/null || echo util-linux
    if [[ -z ${ODOO:-} ]]; then
        command -v dpkg-deb >/dev/null || echo dpkg
    fi
}

require_system_packages() {
    local missing sudo=()
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        if ! sudo -n true 2>/dev/null; then
            die "these system packages are missing: ${missing[*]}. Install them first (as root: apt-get install" \
                "${missing[*]})."
        fi
        sudo=(sudo -n)
    fi
    command -v apt-get >/dev/null || die "these programs are missing and there is no apt-get: ${missing[*]}"
    say "Installing system packages: ${missing[*]}"
    # Only the programs are wanted, no cluster of the system's.
    if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
        "${sudo[@]}" mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" | "${sudo[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${missing[@]}"
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]} == 0)) || die "these system packages could not be installed: ${missing[*]}"
}

# --------------------------------------------------------------------------------------------------------------------
# Odoo
# --------------------------------------------------------------------------------------------------------------------

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

# As any user: apt downloads with lists of its own, dpkg-deb unpacks. Installing it would pull unstable's Python.
fetch_odoo() {
    local work=$STATE/fetch mirror package
    # shellcheck disable=SC2016 # $(...) is apt's own notation
    local origins='$(REPO_URI) $(ORIGIN) $(COMPONENT)' uris='$(REPO_URI)'
    command -v apt-get >/dev/null || die "no apt-get to fetch Odoo with: name your own Odoo 19 with ODOO=..."
    rm -rf -- "$work" "$STATE/odoo"
    mkdir -p -- "$work/unstable/partial" "$work/stable/partial" "$work/tree"
    mirror=$(apt-get indextargets --format "$origins" 'Created-By: Packages' |
        awk '$2 == "Debian" && $3 == "main" && $1 !~ /security/ {print $1; exit}')
    if [[ -z $mirror ]]; then
        # Lists that were never updated tell no origin.
        mirror=$(apt-get indextargets --format "$uris" | grep -m1 '/debian/\?$' || true)
    fi
    [[ -n $mirror ]] || die "no Debian mirror in apt's sources: name your own Odoo 19 with ODOO=..."
    echo "deb $mirror unstable main" >"$work/unstable.list"
    say "Fetching Odoo 19 (about 130 MB)"
    (
        # apt's own paths are split at spaces and its sandbox user may not write here.
        cd -- "$RUNTIME/state/fetch"
        apt_private() {
            apt-get -q -o Dir::Etc::sourcelist="$RUNTIME/state/fetch/unstable.list" -o Dir::Etc::sourceparts=- \
                -o Dir::State::Lists="$RUNTIME/state/fetch/unstable" -o Dir::Cache::pkgcache= \
                -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User="$(id -un)" "$@"
        }
        apt_private update
        apt_private download "${UNSTABLE_PACKAGES[@]}"
        apt-get -q -o APT::Sandbox::User="$(id -un)" download "${STABLE_PACKAGES[@]}" || download_stable
    )
    say "Unpacking Odoo"
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/tree"
    done
    local packages=$work/tree/usr/lib/python3/dist-packages
    # Half a copy of the addons (no data files) that Odoo would prefer to the whole one in odoo/addons
    rm -rf -- "$packages/addons"
    # Debian takes this file away; the browser misses it, aloud.
    local removed=$packages/odoo/addons/mail/static/lib/selfie_segmentation
    mkdir -p -- "$removed"
    touch -- "$removed/selfie_segmentation.js"
    touch -- "$work/tree/.complete"
    mv -- "$work/tree" "$STATE/odoo"
    rm -rf -- "$work"
}

# On a machine whose own lists were never updated
download_stable() {
    mkdir -p "$RUNTIME/state/fetch/stable/partial"
    local options=(-q -o Dir::State::Lists="$RUNTIME/state/fetch/stable" -o Dir::Cache::pkgcache=
        -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User="$(id -un)")
    apt-get "${options[@]}" update
    apt-get "${options[@]}" download "${STABLE_PACKAGES[@]}"
}

# --------------------------------------------------------------------------------------------------------------------
# Python
# --------------------------------------------------------------------------------------------------------------------

provide_venv() {
    local stamp
    stamp=$(cat -- "$ROOT/dev/requirements.txt" <(python3 -V) | sha256sum)
    PYTHON=$RUNTIME/state/venv/bin/python
    [[ $(cat -- "$STATE/venv/.complete" 2>/dev/null) == "$stamp" ]] && return
    say "Making the Python environment"
    rm -rf -- "$STATE/venv"
    (cd -- "$RUNTIME/state" && python3 -m venv venv)
    # Never the scripts in venv/bin: their first line holds a path that may be too odd.
    "$PYTHON" -m pip install --progress-bar off --no-deps -r "$RUNTIME/addons/$ADDON/dev/requirements.txt" |
        grep -v '^Requirement already satisfied'
    printf '%s' "$stamp" >"$STATE/venv/.complete"
}

# --------------------------------------------------------------------------------------------------------------------
# PostgreSQL
# --------------------------------------------------------------------------------------------------------------------

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

# A copy with the files that belong to it, made whole or not at all
copy_database() {
    local source=$1 target=$2 files=$RUNTIME/state/data/filestore
    sql postgres -c "DROP DATABASE IF EXISTS \"$target\" WITH (FORCE)" -c "DROP DATABASE IF EXISTS \"${target}_new\""
    rm -rf -- "${files:?}/$target"
    sql postgres -c "CREATE DATABASE \"${target}_new\" TEMPLATE \"$source\""
    [[ ! -d $files/$source ]] || cp -a -- "$files/$source" "$files/$target"
    sql postgres -c "ALTER DATABASE \"${target}_new\" RENAME TO \"$target\""
}

# --------------------------------------------------------------------------------------------------------------------
# Databases
# --------------------------------------------------------------------------------------------------------------------

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
exec_odoo() { cd "$RUNTIME" && PYTHONPATH=$RUNTIME/odoo exec "$PYTHON" -m odoo "$@"; }

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

# Runs Odoo until it is done, telling the modules as they are loaded
odoo_task() {
    local log=$RUNTIME/state/odoo-task.log
    if ! odoo "$@" --stop-after-init --no-http 2>&1 | tee "$log" |
        sed -unE 's/.* Loading module ([a-z0-9_]+) \(([0-9]+)\/([0-9]+)\).*/    \2 of \3: \1/p'; then
        tail -n 40 "$log" >&2
        die "Odoo failed; its whole log is in $STATE/odoo-task.log"
    fi
    if grep -qE ' (ERROR|CRITICAL) ' "$log"; then
        grep -E -A 20 ' (ERROR|CRITICAL) ' "$log" | head -n 60 >&2
        die "Odoo reported errors; its whole log is in $STATE/odoo-task.log"
    fi
}

# Odoo CRM and Sales with demo data in both languages, made once: databases start as copies of it.
provide_template() {
    has_database template && return
    say "Installing Odoo CRM and Sales with demo data (about two minutes)"
    sql postgres -c "DROP DATABASE IF EXISTS template_new WITH (FORCE)" -c "CREATE DATABASE template_new"
    rm -rf -- "$STATE/data/filestore/template_new" "$STATE/data/filestore/template"
    write_config template_new 0
    odoo_task -c "$CONFIG" -i "$DEPENDS" --load-language en_US,fr_FR
    [[ ! -d $STATE/data/filestore/template_new ]] ||
        mv -- "$STATE/data/filestore/template_new" "$STATE/data/filestore/template"
    sql postgres -c "ALTER DATABASE template_new RENAME TO template"
}

# What the addon is made of, to see whether a database still has the same
fingerprint() {
    (cd "$RUNTIME/addons/$ADDON/" && find . \( -name '.?*' -o -name dev -o -name bench -o -path ./tests \
        -o -name __pycache__ -o -name '*.md' \) -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
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
