# Two commands matter on a fresh machine: `make pilot` and `make test`. Both need only python3 (3.11 or later).
# All packages come from requirements/*.txt: exact versions with hashes, from the index that pip is configured for.

PYTHON ?= python3
REPORT ?= luohu-report.html
# NO_UV=1 installs with pip alone, which is slower and gives the same environment.
NO_UV ?=

# One test worker more than cores, because a sixth of the time of most tests is waiting for servers and processes.
WORKERS := $(shell echo $$(($$(nproc) + 1)))

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Bytecode is compiled at install: it makes the import of numba three times faster.
unexport PYTHONDONTWRITEBYTECODE
# uv reads these; no setting of one machine may reach a lock or an environment.
unexport VIRTUAL_ENV UV_PYTHON UV_PROJECT_ENVIRONMENT

VENV := .venv
BIN := $(VENV)/bin
OTHER := .venv-other
UV := .uv/bin/uv
UV_STAMP := $(if $(NO_UV),,.uv/.stamp)
RUNTIME := $(VENV)/.stamp-runtime
DEV := $(VENV)/.stamp-dev

# $(call install,ENVIRONMENT,LOCK): install the packages of a lock, then Sycee itself, editable.
# The lock includes the build backend, so every download has a hash.
define install
	if [ -x $(UV) ] && [ -z "$(NO_UV)" ]; then \
	  $(UV) pip install --quiet --python $(1)/bin/python --compile-bytecode --require-hashes -r $(2); \
	  $(UV) pip install --quiet --python $(1)/bin/python --no-deps --no-build-isolation -e .; \
	else \
	  $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(2); \
	  $(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
endef

# $(call add,ENVIRONMENT,LOCK): install the packages of a lock and none of their dependencies.
define add
	if [ -x $(UV) ] && [ -z "$(NO_UV)" ]; then \
	  $(UV) pip install --quiet --python $(1)/bin/python --no-deps --require-hashes -r $(2); \
	else \
	  $(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(2); \
	fi
endef

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(DEV) ## Create .venv with everything for developing Sycee

.PHONY: pilot
pilot: $(RUNTIME) ## Run the Luohu pilot at full size and write its report
	$(BIN)/sycee pilot luohu --report $(REPORT)

.PHONY: test
test: test-full test-other ## Run all tests except soak tests, then the fast tests on another Python if there is one

.PHONY: test-full
test-full: $(DEV)
	$(BIN)/python -c "import sycee.ledger.kernels" # compiles the kernels, with a progress bar
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -q

# Find the newest other Python that starts: PATH may have a version manager's shim without an interpreter. Its kernels
# are not compiled, because no fast test needs them; interpreted, they warn about integer overflow. Files without a fast
# test are not named, because importing them takes longer than the tests. Tests of hypothesis would draw the examples
# of the first Python again.
.PHONY: test-other
test-other: $(DEV)
	@mine=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	found=; \
	for version in 3.14 3.13 3.12 3.11; do \
	  [ "$$version" != "$$mine" ] || continue; \
	  for candidate in python$$version /usr/bin/python$$version /usr/local/bin/python$$version; do \
	    if [ "$$($$candidate -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$$version" ]; then \
	      found=$$candidate; break 2; \
	    fi; \
	  done; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "NOT RUN: the fast tests on another Python: this machine has only $$mine."; exit 0; \
	fi; \
	$(MAKE) --no-print-directory $(OTHER)/.stamp-dev OTHER_PYTHON="$$found"; \
	if [ -x $(OTHER)/bin/pytest ]; then \
	  echo "The fast tests on $$($(OTHER)/bin/python --version):"; \
	  NUMBA_DISABLE_JIT=1 $(OTHER)/bin/python -m pytest -n 2 -q -W ignore::RuntimeWarning -m "fast and not soak and not hypothesis" \
	    $$(grep -rl "mark\.fast" tests --include="test_*.py"); \
	fi

$(OTHER)/.stamp-dev: pyproject.toml requirements/dev.txt
	@if [ -x $(UV) ] && [ -z "$(NO_UV)" ]; then \
	  $(UV) venv --quiet --clear --python "$(OTHER_PYTHON)" $(OTHER); \
	elif ! "$(OTHER_PYTHON)" -m venv --clear $(OTHER); then \
	  rm -rf $(OTHER); \
	  echo "NOT RUN: the fast tests on $(OTHER_PYTHON): it cannot create an environment (no ensurepip)."; exit 0; \
	fi; \
	$(call install,$(OTHER),requirements/dev.txt); \
	touch $@

.PHONY: check
check: $(DEV) ## Check format, lint, types, imports and tidiness; change nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_tidy.py

.PHONY: format
format: $(DEV) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: soak
soak: $(DEV) ## Run the long tests, then the tests of hypothesis with ten times as many examples
	$(BIN)/pytest -m soak -q -s
	EXAMPLES=10 $(BIN)/pytest -n 2 --dist worksteal -q -m "hypothesis and not soak"

.PHONY: bench
bench: $(DEV) ## Measure performance in some minutes, and compare it with the limits of disk and memory
	$(BIN)/python -m benchmarks

.PHONY: bench-full
bench-full: $(DEV) ## Measure everything at full size in an hour, save it, and write the page of figures
	$(BIN)/python -m benchmarks --full --save
	$(BIN)/python -m benchmarks --report

.PHONY: bench-programmes
bench-programmes: $(DEV) ## Measure programmes at full size: registration, draw, allotment, bulk payments
	$(BIN)/python -m benchmarks --full --only programmes-

.PHONY: bench-sandbox
bench-sandbox: $(DEV) peers ## Measure the sandbox at full size, with Mesa and mesa-frames beside it
	$(BIN)/python -m benchmarks --full --only sandbox-

# Without their dependencies: mesa-frames asks for an older NumPy, and works with this one.
.PHONY: peers
peers: $(DEV) ## Install Mesa and mesa-frames, with which benchmarks compare the sandbox
	@$(call add,$(VENV),requirements/peers.txt)

.PHONY: bench-clearing
bench-clearing: $(DEV) ## Measure the clearing house at full size: queues with five seeds, messages, the peak day, policies
	$(BIN)/python -m benchmarks --full --repeats 5 --only clearing-queue
	$(BIN)/python -m benchmarks --full --only iso20022- --only clearing-chips --only clearing-day
	$(BIN)/python -m benchmarks --full --repeats 1 --only clearing-policies

# A lock has names, versions and hashes and no addresses, so it works with every index and mirror.
COMPILE = $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# runtime.txt serves `make pilot`: the core and the extra `pilot`.
.PHONY: lock
lock: .uv/.stamp ## Renew requirements/*.txt from pyproject.toml (UPGRADE=--upgrade uses the newest releases)
	env -u UV_FIND_LINKS -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_DEFAULT_INDEX -u UV_CONSTRAINT bash -euo pipefail -c '\
	  $(COMPILE) $(UPGRADE) pyproject.toml --extra pilot --group build -o requirements/runtime.txt; \
	  $(COMPILE) $(UPGRADE) pyproject.toml --extra all --group build --group dev -c requirements/runtime.txt -o requirements/dev.txt; \
	  $(COMPILE) $(UPGRADE) --no-deps --group pyproject.toml:schemas -o requirements/schemas.txt; \
	  $(COMPILE) $(UPGRADE) --no-deps --group pyproject.toml:peers -o requirements/peers.txt; \
	  $(COMPILE) $(UPGRADE) --group pyproject.toml:uv -o requirements/uv.txt'

.PHONY: services
services: ## Install Chromium, PostgreSQL and nginx for tests from Debian's packages, as root; `make test` never does
	@missing=; \
	command -v chromium >/dev/null || missing="chromium fonts-dejavu-core"; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	ls /usr/sbin/nginx >/dev/null 2>&1 || missing="$$missing nginx-light"; \
	if [ -z "$$missing" ]; then echo "chromium, postgresql and nginx are installed"; else \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

.PHONY: clean
clean: ## Remove the environments and all generated files
	rm -rf $(VENV) $(OTHER) .uv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis $(REPORT)
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.PHONY: check-python
check-python:
	@$(PYTHON) -c 'import sys; sys.exit("error: Sycee needs Python 3.11 or later, and $(PYTHON) is %d.%d\nhint: make PYTHON=python3.12 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'

# uv installs pip into an environment in a second, Python's ensurepip in five.
$(BIN)/python: | check-python $(UV_STAMP)
	@if [ -x $(UV) ] && [ -z "$(NO_UV)" ]; then \
	  $(UV) venv --quiet --seed --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); \
	else $(PYTHON) -m venv $(VENV); fi

# Without uv (for example without a wheel for this machine) pip does the same, more slowly.
.uv/.stamp: requirements/uv.txt | check-python
	@{ $(PYTHON) -m venv --clear .uv && .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<; } \
	  || { rm -rf .uv; mkdir .uv; echo "uv cannot be installed; pip is used instead"; }
	@touch $@

$(RUNTIME): pyproject.toml requirements/runtime.txt | $(BIN)/python $(UV_STAMP)
	@echo "Installing Sycee with its plots into $(VENV)"
	@$(call install,$(VENV),requirements/runtime.txt)
	@touch $@

# dev.txt includes runtime.txt.
$(DEV): pyproject.toml requirements/dev.txt requirements/runtime.txt requirements/schemas.txt | $(BIN)/python $(UV_STAMP)
	@echo "Installing Sycee with all extras and developer tools into $(VENV)"
	@$(call install,$(VENV),requirements/dev.txt)
	@$(call add,$(VENV),requirements/schemas.txt)
	@touch $(RUNTIME) $@
