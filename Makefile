# Two commands matter: `make bench` and `make test`. Both set up what they need on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade
EVERYWHERE := --universal --python-version 3.11
# Several at a time, as most of them wait for something; of whole runs, which judge the machine as well, few.
TESTS := $(BIN)/python -m pytest --dist worksteal
LOCALSTACK := $(BIN)/python -m harness.backends.localstack_env

.PHONY: help setup emulator localstack bench bench-overhead bench-storms bench-ablate bench-gates test test-browser test-localstack test-properties dashboards lint types imports format lock clean

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

bench-storms: $(READY) emulator ## Every shipped storm once, in both topologies: what it left, and how soon it was over
	$(BIN)/python -m tests.bench.storms

bench-ablate: $(READY) emulator ## What each mitigation buys: docs/mitigations.md, in an hour or two; goes on where it stopped
	$(BIN)/python -m harness.ablation.document

bench-gates: $(READY) emulator ## How often the gates are wrong here, beside the usual one: docs/gates.md; MINUTES=30, goes on
	$(BIN)/python -m tests.bench.gates --minutes $(or $(MINUTES),30)

localstack: $(READY) ## Start LocalStack on 127.0.0.1:4566: with Docker where an engine answers, else without
	@if docker info >/dev/null 2>&1; then exec docker compose up localstack; else exec $(LOCALSTACK); fi

test: $(READY) emulator node_modules ## The test suite, but for what needs LocalStack
	$(TESTS) -n 4 -m "not localstack and not end_to_end and not browser"
	$(TESTS) -n 2 -m "end_to_end and not localstack and not browser"

# A file's tests share a browser, and those of the first a run, which takes longest.
test-browser: $(READY) emulator node_modules ## Our pages in the Chromium of the machine; what they looked like is in build/screenshots
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m browser tests/browser/test_web_ui.py tests/browser

test-localstack: $(READY) ## The contract and whole runs on the real LocalStack, started without Docker
	@missing=$$($(LOCALSTACK) --missing); status=$$?; \
	if [ $$status = 0 ]; then $(LOCALSTACK) --build-only && $(BIN)/python -m pytest -m localstack; \
	elif [ $$status = 4 ]; then echo "SKIPPED: all tests on LocalStack, for want of: $$missing"; \
	else echo "$$missing"; exit $$status; fi

test-properties: $(READY) ## The properties, on twenty times as many seeds
	SAGASTORM_PROPERTY_TIMES=20 $(BIN)/python -m pytest tests/properties

dashboards: $(READY) ## Write the Grafana dashboards from their description
	$(BIN)/python -m dashboards.grafana.build

# The validator of Amazon States Language and axe-core come from npm; without npm their tests are skipped, and say so.
node_modules: package.json package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent && touch $@; else echo "npm is not here: no ASL validator, no axe-core"; fi

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
	$(LOCK) $(EVERYWHERE) --group dev --output-file requirements.lock pyproject.toml
	printf '%s\n' ministack==1.5.33 uvicorn uvloop httptools | $(LOCK) $(EVERYWHERE) --output-file harness/backends/ministack.lock -
	printf '%s\n' 'localstack-core[runtime]==4.14.0' 'cryptography<47' pyopenssl==25.3.0 service_identity cbor2==5.7.1 \
		| $(LOCK) --python-version 3.13 --output-file harness/backends/localstack.lock -

clean: ## Remove what was made here, but for saved runs
	rm -rf $(VENV) node_modules build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
