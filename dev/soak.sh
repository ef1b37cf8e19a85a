#!/usr/bin/env bash
# make soak: a multi-worker server, and clients that work on the same opportunities while stages and lines are edited.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prepare
start_cluster
provide_template
say "Installing the addon"
copy_database template soak
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
status=0
"$PYTHON" "$ROOT/dev/soak.py" "http://127.0.0.1:$port" soak || status=$?
echo "Transactions that Odoo tried again: $(grep -c 'serialization\|SERIALIZATION\|try again' "$RUNTIME/state/soak.log" || true)"
if grep -m 10 '" 500 -\|CRITICAL' "$RUNTIME/state/soak.log"; then
    die "the server failed; its log is $STATE/soak.log"
fi
exit "$status"
