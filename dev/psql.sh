#!/usr/bin/env bash
# make psql: PostgreSQL's shell on the database of `make run`.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prepare
start_cluster
has_database sales || die "run make run first: it makes the database"
sql sales
