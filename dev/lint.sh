#!/usr/bin/env bash
# make lint: every hook of .pre-commit-config.yaml, on all files.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

prepare_lint
cd -- "$ROOT"
[[ -e .git ]] || die "the files to check are those that git knows: this is no git clone"
export npm_config_loglevel=error
PATH=$NODE:$PATH
say "Installing the checkers that are not there yet (log: $STATE/pre-commit.log)"
quietly pre-commit.log "$LINT_PYTHON" -m pre_commit install-hooks
say "Checking all files"
"$LINT_PYTHON" -m pre_commit run --all-files --color=auto --show-diff-on-failure
