# Two commands matter: `make bench` and `make test`. Both set up what they need on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade

.PHONY: help setup emulator bench bench-overhead test lint types imports format lock clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(READY) ## Install everything that is pinned, into .venv

emulator: $(READY) ## Install the embedded AWS emulator, into an environment of its own
	$(BIN)/python -m harness.backends.emulator_env

bench: $(READY) emulator ## The main job: both topologies under the default storm, compared
	$(BIN)/sagastorm run

bench-overhead: $(READY) emulator ## What sagastorm itself costs, and how fast each topology can go
	$(BIN)/python -m tests.bench.overhead

test: $(READY) emulator node_modules ## The whole test suite
	$(BIN)/python -m pytest

# The validator of Amazon States Language comes from npm; without npm its tests are skipped, and say so.
node_modules: package.json package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent && touch $@; else echo "npm is not here: no ASL validator"; fi

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy --strict
	$(BIN)/mypy

imports: $(READY) ## Who may import whom
	$(BIN)/lint-imports

format: $(READY) ## Let ruff rewrite
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY) ## Pin anew what pyproject.toml and the emulator ask for
	$(LOCK) --group dev --output-file requirements.lock pyproject.toml
	printf '%s\n' ministack==1.5.33 uvicorn uvloop httptools | $(LOCK) --output-file harness/backends/ministack.lock -

clean: ## Remove what was made here, but for saved runs
	rm -rf $(VENV) node_modules build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
