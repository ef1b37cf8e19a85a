# Only what developers need: the addon itself is the rest of this folder. The work is done by the scripts in dev/, which
# cope with any folder name; make only names the targets.

.DEFAULT_GOAL := help
.PHONY: help run test bench test-odoo test-lifecycle test-differential test-wheel soak lint i18n screenshots shell psql stop clean

export ODOO STATE PORT ARGS BENCH SEED SEQUENCES

help: ## List the targets and variables
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "Variables (make run PORT=8080):"
	@echo "  ODOO   folder of your own Odoo 19 (with odoo-bin, or the odoo package), instead of fetching one"
	@echo "  STATE  folder for all that is fetched and made (default: .dev in this folder)"
	@echo "  PORT   port of the web client (default: 8069, or the next free one)"
	@echo "  BENCH  what to measure: automation, pipeline or report (default: all)"
	@echo "  SEED   what a differential test has printed, to do the same again (SEQUENCES: how many)"
	@echo "  ARGS   more arguments for pytest (make test ARGS='-k probability')"

run: ## Serve Odoo 19 with this addon and the demo data of a dealer, in English and French
	@bash ./dev/run.sh

test: ## Run the whole suite, browser tests included
	@bash ./dev/test.sh

bench: ## Measure the automations and the pipeline against what Odoo has, and the report at scale
	@bash ./dev/bench.sh

test-odoo: ## Run Odoo's own tests without and with the addon, and tell the differences
	@bash ./dev/checks/test_odoo.sh

test-lifecycle: ## Install, update, uninstall and reinstall on new databases and a live one, and check what is left
	@bash ./dev/checks/lifecycle.sh

test-differential: ## Do the same random actions with the addon and without, and tell what differs
	@bash ./dev/checks/differential.sh

test-wheel: ## Build the wheel, look at its files, and use it in an Odoo without this clone
	@bash ./dev/checks/wheel.sh

soak: ## Try hundreds of random sequences; then let eight clients and a manager loose on a multi-worker server
	@bash ./dev/checks/soak.sh

lint: ## Check all files as pre-commit does on each commit, and format them
	@bash ./dev/lint.sh

i18n: ## Export the terms to i18n/ and bring the French ones up to date
	@bash ./dev/i18n.sh

screenshots: ## Take the pictures of the guides and of the description anew
	@bash ./dev/screenshots.sh

shell: ## Open Odoo's shell on the database of `make run`
	@bash ./dev/shell.sh

psql: ## Open PostgreSQL's shell on the database of `make run`
	@bash ./dev/psql.sh

stop: ## Stop the private PostgreSQL
	@bash ./dev/clean.sh stop

clean: ## Stop everything and remove all that was made here
	@bash ./dev/clean.sh
