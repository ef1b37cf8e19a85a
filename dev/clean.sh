#!/usr/bin/env bash
# make stop, make clean: end what runs, and remove what was made.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

[[ -d $STATE ]] || exit 0
runtime=$(cat -- "$STATE/runtime" 2>/dev/null || true)
cluster=$(cat -- "$STATE/cluster" 2>/dev/null || true)

end_processes
if [[ -d $cluster/data ]]; then
    as_postgres "$(find_postgres)/pg_ctl" -D "$cluster/data" -m fast -w stop >/dev/null 2>&1 || true
fi
[[ ${1:-} != stop ]] || exit 0
for folder in "$runtime" "$cluster" "$STATE"; do
    [[ -z $folder ]] || rm -rf -- "$folder"
done
find "$ROOT" -name __pycache__ -type d -prune -exec rm -rf -- {} +
say "Everything that was made here is removed; system packages stay."
