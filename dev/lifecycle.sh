#!/usr/bin/env bash
# make test-lifecycle: install, change, update, uninstall and reinstall, on new databases, on a live one, and on one of
# a former version.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# The last version whose stays in stages were kept in step by triggers, which the repository remembers
FORMER=f61a6e5

# Usage: configure <database>; $ADDONS names the folder that the addon is in, for another version than this one
configure() {
    write_config "$1" 0
    sed -i "s#^addons_path = $RUNTIME/addons#addons_path = $RUNTIME/${ADDONS:-addons}#" "$CONFIG"
}

# Usage: step <database> <function of lifecycle.py>...
step() {
    local database=$1 name
    shift
    configure "$database"
    for name in "$@"; do
        echo "    $database: $name"
        echo "import sys; sys.path.insert(0, '$RUNTIME/addons/$ADDON/dev'); import lifecycle;" \
            "lifecycle.$name(env, '$RUNTIME/state/$database.json')" |
            odoo shell -c "$CONFIG" --no-http --log-level=error || die "$database: $name, see above"
    done
}

# Usage: install <database> [Odoo's options]
install() {
    local database=$1
    shift
    configure "$database"
    odoo_task -c "$CONFIG" "$@" >/dev/null
}

# Usage: begin <database> <template>
begin() {
    say "$1"
    copy_database "$2" "$1"
    rm -f -- "$STATE/$1.json"
}

# Without demo data, made once
provide_bare() {
    has_database bare && return
    say "Installing Odoo CRM and Sales without demo data (about a minute)"
    sql postgres -c "DROP DATABASE IF EXISTS bare_new WITH (FORCE)" -c "CREATE DATABASE bare_new"
    install bare_new -i "$DEPENDS" --without-demo
    rm -rf -- "$STATE/data/filestore/bare"
    [[ ! -d $STATE/data/filestore/bare_new ]] || mv -- "$STATE/data/filestore/bare_new" "$STATE/data/filestore/bare"
    sql postgres -c "ALTER DATABASE bare_new RENAME TO bare"
}

# Usage: new_database <database> <template>
new_database() {
    begin "$1" "$2"
    step "$1" look_before
    install "$1" -i "$ADDON"
    step "$1" look_at_stays check_five change
    install "$1" -u "$ADDON"
    step "$1" check_kept uninstall check_uninstalled
    install "$1" -i "$ADDON"
    step "$1" check_again
}

live_database() {
    begin life_live template
    install life_live -i base_automation
    step life_live make_live look_before
    install life_live -i "$ADDON"
    step life_live check_untouched set_up change
    install life_live -u "$ADDON"
    step life_live check_kept uninstall check_uninstalled
    copy_database life_live life_web
    install life_live -i "$ADDON"
    step life_live check_again
}

upgraded_database() {
    local former=$RUNTIME/former/$ADDON
    rm -rf -- "$RUNTIME/former"
    mkdir -p -- "$former"
    git -C "$ROOT" archive "$FORMER" | tar -x -C "$former" || die "version $FORMER is not in this clone's history"
    begin life_upgrade template
    step life_upgrade look_before
    ADDONS=former install life_upgrade -i "$ADDON"
    ADDONS=former step life_upgrade make_history look_at_figures
    install life_upgrade -u "$ADDON"
    step life_upgrade check_figures uninstall check_uninstalled
    rm -rf -- "$RUNTIME/former"
}

# The pipeline's page, after the addon is gone
check_web() {
    local port
    port=$(free_port 8669)
    say "The web client without the addon"
    write_config life_web "$port"
    serve "$port" "$RUNTIME/state/life_web.log" -c "$CONFIG"
    "$PYTHON" "$ROOT/dev/lifecycle_web.py" "http://127.0.0.1:$port" life_web ||
        die "see above; the server's log is $STATE/life_web.log"
    ! grep -m 5 -E ' (ERROR|CRITICAL) |" 500 -' "$RUNTIME/state/life_web.log" || die "the server reported errors"
}

prepare
start_cluster
provide_template
provide_bare
new_database life_demo template
new_database life_bare bare
live_database
upgraded_database
check_web
say "Installed, updated, uninstalled and installed again: nothing is lost, nothing is left"
