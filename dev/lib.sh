# The one file to source: a real Odoo 19 and a private PostgreSQL, made once, without root where possible.
# shellcheck shell=bash
set -euo pipefail

ADDON=crm_sales_stage
# An addon for developers: a pipeline of 14 months to try, to take pictures of, and to test the guides with
DEALER=crm_sales_stage_dealer
DEPENDS=sale_crm
ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
STATE=${STATE:-$ROOT/.dev}

export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH PYTHONHOME

# shellcheck source=lib/output.sh
. "$ROOT/dev/lib/output.sh"
# shellcheck source=lib/system.sh
. "$ROOT/dev/lib/system.sh"
# shellcheck source=lib/debian.sh
. "$ROOT/dev/lib/debian.sh"
# shellcheck source=lib/python.sh
. "$ROOT/dev/lib/python.sh"
# shellcheck source=lib/processes.sh
. "$ROOT/dev/lib/processes.sh"
# shellcheck source=lib/postgresql.sh
. "$ROOT/dev/lib/postgresql.sh"
# shellcheck source=lib/odoo.sh
. "$ROOT/dev/lib/odoo.sh"
# shellcheck source=lib/databases.sh
. "$ROOT/dev/lib/databases.sh"

# Everything that runs Odoo begins with this.
prepare() {
    begin_making
    require_system_packages postgresql chromium python3-venv wkhtmltopdf dpkg
    provide_odoo
    provide_python
    end_making
}

# What checks the code needs neither Odoo nor PostgreSQL.
prepare_lint() {
    begin_making
    require_system_packages python3-venv git
    provide_lint
    end_making
}

# What several scripts of one clone make is made by one at a time.
begin_making() {
    mkdir -p -- "$STATE"
    STATE=$(cd -- "$STATE" && pwd -P)
    exec 9>"$STATE/prepare.lock"
    flock -n 9 || { say "Waiting for another make in this folder" && flock 9; }
    make_runtime
    forget_ended_processes
}

end_making() { exec 9>&-; }

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
    ln -sfn -- "$ROOT/dev/$DEALER" "$RUNTIME/addons/$DEALER"
}
