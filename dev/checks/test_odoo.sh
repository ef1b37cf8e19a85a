#!/usr/bin/env bash
# make test-odoo: runs Odoo's own tests without the addon, with it, and with it left to Odoo's scoring, and tells the
# differences. CI does not run it. Run it yourself (most of an hour) before a new version, with a newer Odoo, or after a
# change of what overrides Odoo's methods; a difference that is meant goes into expected_differences.txt with its reason.
# shellcheck source=../lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"

read -ra suites <<<"${SUITES:-crm sale_crm sale base_automation test_crm_full calendar}"

provide_databases() {
    provide_template
    if ! has_database odoo_plain; then
        say "Installing what Odoo's tests need"
        copy_database template odoo_making
        write_config odoo_making 0
        odoo_task -c "$CONFIG" -i base_automation,test_crm_full
        copy_database odoo_making odoo_plain
        sql postgres -c "DROP DATABASE odoo_making"
    fi
    say "Installing the addon"
    copy_database odoo_plain odoo_fixed
    write_config odoo_fixed 0
    odoo_task -c "$CONFIG" -i "$ADDON"
    copy_database odoo_fixed odoo_predictive
    write_config odoo_predictive 0
    # As stages are that were there before the addon
    echo "env['crm.stage'].search([]).write({'probability_mode': 'predictive', 'ask_outcome': False}); env.cr.commit()" |
        odoo shell -c "$CONFIG" --no-http --log-level=error
}

# Usage: run_suites <database>; reports by test name go to <database>.xml and <database>.again.xml
run_suites() {
    local suite addons paths=()
    for suite in "${suites[@]}"; do
        # fetched: all addons are in the package; a checkout has most of them beside it
        for addons in "$RUNTIME/odoo/odoo/addons" "$RUNTIME/odoo/addons"; do
            [[ -d $addons/$suite/tests ]] || continue
            paths+=("$addons/$suite/tests")
            break
        done
    done
    say "Odoo's tests on $1 (log: $STATE/$1.log)"
    write_config "$1" "$(free_port 8369)"
    rm -rf -- "$STATE/$1.cache" "$STATE/$1.again.xml"
    run_pytest "$1" "$1" "${paths[@]}" || {
        # Tours fail at times on a busy machine: what failed is run once more, by itself.
        say "Those that failed, once more"
        run_pytest "$1" "$1.again" --last-failed --last-failed-no-failures none "${paths[@]}" || true
    }
}

# Usage: run_pytest <database> <report> <argument>...
run_pytest() {
    local database=$1 report=$RUNTIME/state/$2 status=0
    shift 2
    (
        export ODOO_RC=$CONFIG
        exec_python -m pytest -o cache_dir="$RUNTIME/state/$database.cache" --odoo-http -q --junitxml="$report.xml" "$@"
    ) >"$report.log" 2>&1 || status=$?
    tail -n 1 "$report.log"
    return "$status"
}

# As Odoo runs them: after loading the addon that they belong to, when ours is in the database, but not loaded yet
run_at_install() {
    local log=$RUNTIME/state/odoo_at_install.log tags
    say "Odoo's at_install tests with the addon in the database (log: $STATE/odoo_at_install.log)"
    copy_database odoo_fixed odoo_at_install
    write_config odoo_at_install "$(free_port 8369)"
    tags=$(printf ',at_install/%s' "${suites[@]}")
    odoo -c "$CONFIG" -u crm --test-tags "${tags#,}" --stop-after-init >"$log" 2>&1 || die "Odoo failed; see the log"
    grep -oE '[0-9]+ failed, [0-9]+ error\(s\) of [0-9]+ tests' "$log"
    grep -qE ' 0 failed, 0 error\(s\) of [1-9][0-9]* tests' "$log" || {
        grep -E ' (FAIL|ERROR): ' "$log"
        die "at_install tests of Odoo fail"
    }
}

prepare
start_cluster
provide_databases
run_at_install
for database in odoo_plain odoo_predictive odoo_fixed; do
    run_suites "$database"
done
"$PYTHON" "$ROOT/dev/checks/compare_tests.py" "$STATE" "$ROOT/dev/checks/expected_differences.txt"
