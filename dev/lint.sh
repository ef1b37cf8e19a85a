#!/usr/bin/env bash
# make lint: ruff and pylint-odoo, on the addon under its own name.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prepare
cd "$RUNTIME/addons/$ADDON"
say "ruff"
"$PYTHON" -m ruff check --no-cache .
"$PYTHON" -m ruff format --no-cache --check .
say "pylint-odoo"
cd "$RUNTIME/addons"
PYTHONPATH=$RUNTIME/odoo "$PYTHON" -m pylint --rcfile="$ADDON/.pylintrc" "$ADDON"
say "shellcheck"
"$RUNTIME/state/venv/bin/shellcheck" -x -P "$ADDON/dev" "$ADDON"/dev/*.sh "$ADDON/.ci/run"
say "Clean"
