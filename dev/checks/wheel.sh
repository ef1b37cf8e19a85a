#!/usr/bin/env bash
# make test-wheel: builds the wheel from a folder of another name, compares its files with what the addon needs, and uses it
# in an Odoo that has no other copy of the addon. CI runs it before the tests. Run it yourself (about a minute) after a change
# of pyproject.toml, or with a new file or folder beside the manifest.
# shellcheck source=../lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"

# What the addon needs beside the manifest: whatever else git knows is for developers. The tests are among it, since the
# manifest names those of the browser, and Odoo's own runner finds the others there. Odoo's Apps screen reads the README.
NEEDED=(LICENSE README.md __init__.py __manifest__.py data hooks.py i18n migrations models report security static tests
    tools.py views wizard)

build() {
    rm -rf -- "$WHEEL"
    mkdir -p -- "$WHEEL/a clone, named otherwise"
    cd -- "$WHEEL/a clone, named otherwise"
    git -C "$ROOT" archive "$COMMIT" | tar -x
    quietly pip.log "$RUNTIME/state/packaging/bin/python" -m pip wheel --no-deps --no-build-isolation -w "$WHEEL" .
    cd -- "$WHEEL"
    rm -r -- "$WHEEL/a clone, named otherwise"
}

check_files() {
    [[ $(echo ./*.whl) == ./odoo_addon_"$ADDON"-19.0.*-py3-none-any.whl ]] || die "this is no name of OCA's: $(echo ./*.whl)"
    "$PYTHON" -m zipfile -l ./*.whl | awk 'NR > 1 && !/\.dist-info\// {print $1}' | sort >is
    git -C "$ROOT" ls-tree -r --name-only "$COMMIT" -- "${NEEDED[@]}" | sed "s#^#odoo/addons/$ADDON/#" | sort >should_be
    diff should_be is || die "< is missing in the wheel; > does not belong there"
}

# Into an environment of its own, which borrows from the other one all that Odoo needs: this changes PYTHON
install_wheel() {
    local packages
    packages=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    quietly pip.log python3 -m venv installed
    PYTHON=$WHEEL/installed/bin/python
    quietly pip.log "$PYTHON" -m pip install --no-deps ./*.whl
    echo "$packages" >"$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/odoo.pth"
}

use_wheel() {
    copy_database template wheel
    write_config wheel 0
    # The clone is left out of it: Odoo finds the addon among the packages, as a part of odoo.addons.
    sed -i "s#^addons_path = $RUNTIME/addons#addons_path = $RUNTIME/odoo/odoo/addons#" "$CONFIG"
    odoo_task -c "$CONFIG" -i "$ADDON"
    odoo shell -c "$CONFIG" --no-http --log-level=error <"$ROOT/dev/checks/wheel_use.py" || die "see above"
}

prepare
[[ -e $ROOT/.git ]] || die "the wheel is made of what git knows: this is no git clone"
make_environment packaging dev/requirements-wheel.txt
WHEEL=$RUNTIME/state/wheel
# What git knows, with what is changed and not committed yet
COMMIT=$(git -C "$ROOT" stash create)
COMMIT=${COMMIT:-HEAD}
say "Building the wheel (log: $STATE/pip.log)"
build
check_files
install_wheel
start_cluster
provide_template
say "Installing the addon"
use_wheel
say "The wheel has what the addon needs and nothing else, and works"
