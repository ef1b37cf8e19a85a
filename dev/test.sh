#!/usr/bin/env bash
# make test: the whole suite through pytest-odoo, in a database of its own.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

provide_database() {
    local known=$STATE/test.fingerprint
    write_config test "$(free_port 8169)"
    if has_database test && [[ $(cat -- "$known" 2>/dev/null) == "$(fingerprint)" ]]; then
        # Odoo tells what is in a bundle by the times of its files, which another branch and back changes.
        if [[ -n $(find "$RUNTIME"/addons/*/static -newer "$known" -print -quit) ]]; then
            build_bundles
            touch -- "$known"
        fi
        return
    fi
    provide_template
    say "Installing the addon"
    rm -f -- "$known"
    copy_database template test
    # Most tests begin with an empty pipeline: those that need the dealer create it.
    forgo_demo_data test
    write_config test "$(free_port 8169)"
    # What the addon does not need, but has to get on with, is tested too: Automation Rules, mailings.
    odoo_task -c "$CONFIG" -i "$ADDON,$DEALER,base_automation,mass_mailing"
    build_bundles
    fingerprint >"$known"
}

# The scripts and styles of the web client: without them in the database each browser test builds its own.
build_bundles() {
    odoo shell -c "$CONFIG" --no-http --log-level=error <<'PY'
get_bundle = env["ir.qweb"]._get_asset_bundle
for name in ("web.assets_web", "web.assets_tests", "bus.websocket_worker_assets"):
    get_bundle(name).js()
for name in ("web.assets_web", "web.assets_web_print", "web.assets_tests"):
    get_bundle(name).css()
env.cr.commit()
PY
}

# pytest-odoo and Odoo skip browser tests in silence where something is missing.
require_browser() {
    [[ -n $(find_chromium) ]] || die "no Chromium found: browser tests would be skipped"
    "$PYTHON" -c 'import websocket' || die "no websocket-client: browser tests would be skipped"
}

refuse_skipped() {
    "$PYTHON" - "$1" <<'PY'
import sys
from xml.etree import ElementTree

cases = ElementTree.parse(sys.argv[1]).iter("testcase")
skipped = [f"{case.get('classname')}.{case.get('name')}" for case in cases if case.find("skipped") is not None]
if skipped:
    sys.exit("Error: these tests were skipped, so they tell nothing:\n  " + "\n  ".join(skipped))
PY
}

# Usage: run_tests <database> <port to look from> <pytest's arguments>...
run_tests() {
    local report=$RUNTIME/state/$1.xml
    rm -f -- "$report"
    write_config "$1" "$(free_port "$2")"
    export ODOO_RC=$CONFIG
    exec_python -m pytest -p no:cacheprovider --odoo-http --junitxml="$report" "${@:3}"
}

# In two halves, side by side in copies of a database: on two processors it takes half the time. The second one has all that
# start a browser, and the dealer's, and as many others as let both end together.
run_all_tests() {
    local log=$STATE/test_browser.log browser status=0 second='test_[s-z]*.py'
    copy_database test test_browser
    # shellcheck disable=SC2086 # the shell is to find the files
    (run_tests test_browser 8269 "$RUNTIME/addons/$ADDON/tests"/$second "$RUNTIME/addons/$DEALER/tests") >"$log" 2>&1 &
    browser=$!
    (run_tests test 8169 "$RUNTIME/addons/$ADDON/tests" --ignore-glob="$RUNTIME/addons/*/tests/$second") || status=$?
    wait "$browser" || status=$?
    say "The second half"
    cat -- "$log"
    return "$status"
}

prepare
require_browser
start_cluster
provide_database
TESTS=("$RUNTIME/addons/$ADDON/tests" "$RUNTIME/addons/$DEALER/tests")
declare -a extra
eval "extra=(${ARGS:-})"
say "Running the tests"
status=0
reports=("$STATE/test.xml")
if [[ -n ${ARGS:-} ]]; then
    (run_tests test 8169 "${TESTS[@]}" "${extra[@]}") || status=$?
else
    reports+=("$STATE/test_browser.xml")
    run_all_tests || status=$?
fi
for report in "${reports[@]}"; do
    refuse_skipped "$report"
done
exit "$status"
