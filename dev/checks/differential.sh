#!/usr/bin/env bash
# make test-differential: random actions on a database with the addon and on one without, where the same has to happen.
# CI runs it for a minute, with another seed each time; `make soak` tries some hundred sequences. Run it yourself after
# a change of the probability of opportunities, of their stages, or of the history of stays.
#
# What differs is printed with its seed, as the shortest sequence that still does: SEED=<seed> tries it again.
# SEQUENCES=<number> tries that many, however long it takes.
# shellcheck source=../lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"

prepare
start_cluster
provide_template
say "Installing the addon"
copy_database template differential_without
copy_database template differential_with
write_config differential_with 0
odoo_task -c "$CONFIG" -i "$ADDON" >/dev/null
say "The same random actions with the addon and without it"
echo "import sys; sys.path.insert(0, '$RUNTIME/addons/$ADDON/dev/checks'); import differential;" \
    "env.cr.rollback();" \
    "differential.main('differential_without', 'differential_with', '${SEED:-}', ${SEQUENCES:-None})" |
    odoo shell -c "$CONFIG" --no-http --log-level=critical || die "they differ, see above"
