#!/usr/bin/env bash
# Usage: as_addon.sh <command>...; runs a checker beside a copy of this addon that has the addon's name, whatever the
# clone's folder is called: pylint-odoo and OCA's checks take an addon's name from its real folder.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d "${TMPDIR:-/tmp}/stages-lint.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
mkdir -- "$folder/crm_sales_stage"
# Files that are deleted, but not committed yet, are still listed.
git ls-files -z | while IFS= read -r -d '' file; do
    [[ ! -e $file ]] || printf '%s\0' "$file"
done | xargs -0 cp --parents -t "$folder/crm_sales_stage" --
cd -- "$folder"
# OCA's checks name files from the nearest folder with a repository.
mkdir .git
"$@"
