# Databases, each made as a copy of one that was made once.
# shellcheck shell=bash

# A copy with the files that belong to it, made whole or not at all
copy_database() {
    local source=$1 target=$2 files=$RUNTIME/state/data/filestore
    sql postgres -c "DROP DATABASE IF EXISTS \"$target\" WITH (FORCE)" -c "DROP DATABASE IF EXISTS \"${target}_new\""
    rm -rf -- "${files:?}/$target"
    sql postgres -c "CREATE DATABASE \"${target}_new\" TEMPLATE \"$source\""
    [[ ! -d $files/$source ]] || cp -a -- "$files/$source" "$files/$target"
    sql postgres -c "ALTER DATABASE \"${target}_new\" RENAME TO \"$target\""
}

# Odoo CRM and Sales with demo data in both languages, made once: databases start as copies of it.
provide_template() {
    has_database template && return
    say "Installing Odoo CRM and Sales with demo data (about two minutes)"
    sql postgres -c "DROP DATABASE IF EXISTS template_new WITH (FORCE)" -c "CREATE DATABASE template_new"
    rm -rf -- "$STATE/data/filestore/template_new" "$STATE/data/filestore/template"
    write_config template_new 0
    odoo_task -c "$CONFIG" -i "$DEPENDS" --load-language en_US,fr_FR
    [[ ! -d $STATE/data/filestore/template_new ]] ||
        mv -- "$STATE/data/filestore/template_new" "$STATE/data/filestore/template"
    sql postgres -c "ALTER DATABASE template_new RENAME TO template"
}

# Usage: forgo_demo_data <database>; what depends on this addon's dependency is installed there without demo data
forgo_demo_data() {
    sql "$1" -c "UPDATE ir_module_module SET demo = false WHERE name = '$DEPENDS'"
}

# What the addon and the dealer are made of, to see whether a database still has the same
fingerprint() {
    local folder
    for folder in "$ADDON" "$DEALER"; do
        (cd "$RUNTIME/addons/$folder/" && find . \( -name '.?*' -o -name dev -o -name bench -o -path ./tests \
            -o -name __pycache__ -o -name '*.md' -o -path ./docs \) -prune -o -type f -print0 | sort -z | xargs -0 sha256sum)
    done | sha256sum
}
