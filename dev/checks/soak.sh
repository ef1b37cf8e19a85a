#!/usr/bin/env bash
# make soak: some hundred sequences of the differential test; then a server of several workers, whose clients work on the
# same opportunities while a manager edits stages and automations. CI does not run it. Run it yourself (about ten minutes)
# after a change of locks, savepoints, retries or scheduled jobs: what goes wrong only between two transactions shows here.
# shellcheck source=../lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"

prepare
start_cluster
provide_template
SEQUENCES=300 "$BASH" "$ROOT/dev/checks/differential.sh"
say "Installing the addon"
copy_database template soak
# With the delivered automations alone
forgo_demo_data soak
port=$(free_port 8469)
write_config soak "$port"
odoo_task -c "$CONFIG" -i "$ADDON"
cat >>"$CONFIG" <<CONF
workers = 4
max_cron_threads = 0
gevent_port = $(free_port 8569)
CONF

serve "$port" "$RUNTIME/state/soak.log" -c "$CONFIG"
say "Eight clients and a manager at work"
"$PYTHON" "$ROOT/dev/checks/soak.py" "http://127.0.0.1:$port" soak "$RUNTIME/state/soak.log" ||
    die "see above; the server's log is $STATE/soak.log"
