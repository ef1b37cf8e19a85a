#!/usr/bin/env bash
# make bench: measure, in a database of its own; what runs beside it disturbs the times.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prepare
start_cluster
provide_template
say "Installing Automation Rules, and the addon beside them"
copy_database template bench_plain
forgo_demo_data bench_plain
write_config bench_plain 0
odoo_task -c "$CONFIG" -i base_automation
copy_database bench_plain bench_installed
write_config bench_installed 0
odoo_task -c "$CONFIG" -i "$ADDON"
for script in "$RUNTIME/addons/$ADDON/bench"/bench_${BENCH:-*}.py; do
    say "Running $(basename -- "$script")"
    copy_database bench_installed bench
    write_config bench 0
    BENCH_PLAIN=bench_plain odoo shell -c "$CONFIG" -d bench --no-http --log-level=error <"$script"
done
# They hold a million opportunities by now.
for database in bench bench_installed bench_plain; do
    sql postgres -c "DROP DATABASE $database WITH (FORCE)"
    rm -rf -- "$STATE/data/filestore/$database"
done
