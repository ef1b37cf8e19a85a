#!/usr/bin/env bash
# make shell: Odoo's shell on the database of `make run`.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prepare
start_cluster
has_database sales || die "run make run first: it makes the database"
write_config sales "$(free_port 8269)"
odoo shell -c "$CONFIG" --no-http
