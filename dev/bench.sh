#!/usr/bin/env bash
# make bench: measure, in a database of its own; what runs beside it disturbs the times.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prepare
start_cluster
provide_template
say "Installing the addon and Automation Rules"
copy_database template bench
forgo_demo_data bench
write_config bench 0
odoo_task -c "$CONFIG" -i "$ADDON,base_automation"
for script in "$RUNTIME/addons/$ADDON/bench"/bench_${BENCH:-*}.py; do
    say "Running $(basename -- "$script")"
    odoo shell -c "$CONFIG" -d bench --no-http --log-level=error <"$script"
done
# It holds a million opportunities by now.
sql postgres -c "DROP DATABASE bench WITH (FORCE)"
rm -rf -- "$STATE/data/filestore/bench"
