#!/usr/bin/env bash
# make run: serve Odoo 19 with demo data and this addon, and tell where.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

provide_database() {
    local known=$STATE/database.fingerprint
    write_config sales "$port"
    if ! has_database sales; then
        provide_template
        say "Installing the addon"
        rm -f -- "$known"
        copy_database template sales
        write_config sales "$port"
    elif [[ $(cat -- "$known" 2>/dev/null) == "$(fingerprint)" ]]; then
        return
    fi
    # Only -i on a fresh copy, -u too when the addon changed; an interrupted installation is done again
    local update=()
    if [[ -n $(sql sales -tAc "SELECT 1 FROM ir_module_module WHERE name = '$ADDON' AND state = 'installed'") ]]; then
        say "The addon has changed: updating the database"
        update=(-u "$ADDON")
    fi
    odoo_task -c "$CONFIG" -i "$DEALER" "${update[@]}"
    fingerprint >"$known"
}

prepare
port=$(free_port "${PORT:-8069}")
[[ -z ${PORT:-} || $port == "$PORT" ]] || die "port $PORT is taken: choose another (make run PORT=...)"
start_cluster
provide_database

serve "$port" "$RUNTIME/state/odoo.log" -c "$CONFIG"
cat <<INFO

  Odoo 19 with Sales Stages is ready:

    http://127.0.0.1:$port/odoo/crm

    login admin, password admin    manager (all rights)
    login demo, password demo      salesperson (own opportunities)

  A dealer of stoves and windows has sold in it for 14 months. Its people, each with the login as password:

    alice, bruno, chloe            team Stoves, led by alice (all opportunities of the pipeline)
    david, emma                    team Windows, led by david (the same)

  What their pipeline shows: CRM, Reporting, Stages. One of their automations does not work, and says why:
  CRM, Configuration, Stage Automations.

  French: click on your name, My Preferences, Language. Ctrl-C stops it. Its log: $STATE/odoo.log

INFO
wait "$SERVER"
