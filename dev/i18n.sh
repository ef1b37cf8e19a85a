#!/usr/bin/env bash
# make i18n: export the terms of the addon as the database of `make test` has them, and update the French file.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prepare
start_cluster
has_database test || die "run make test first: the terms are exported from its database"
write_config test "$(free_port 8169)"
odoo_task -c "$CONFIG" -u "$ADDON"
# Odoo looks for terms in the whole folder, the state folder's Odoo included: export from a copy without it, without
# what the tests say, and without the dealer.
copy=$RUNTIME/i18n/$ADDON
rm -rf -- "$RUNTIME/i18n"
mkdir -p "$copy"
(cd "$RUNTIME/addons/$ADDON/" && tar -c --exclude='./.?*' --exclude=./tests --exclude=./dev .) | tar -x -C "$copy"
sed -i "s#^addons_path = $RUNTIME/addons#addons_path = $RUNTIME/i18n#" "$CONFIG"
odoo i18n export -c "$CONFIG" -d test "$ADDON"
cp -- "$copy/i18n/$ADDON.pot" "$ROOT/i18n/"
"$PYTHON" "$ROOT/dev/update_po.py" "$ROOT/i18n/$ADDON.pot" "$ROOT/i18n/fr.po"
