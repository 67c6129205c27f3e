# make demo, make test, make check, make bench: each does its own set-up on a machine with Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# each process has its own Postgres and simulator; a file's tests stay in one. ARGS="-n 0" for a debugger
PARALLEL := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: setup demo up test check bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         everything, from the sample to the Dagster UI on 127.0.0.1:3000 (ONCE=1: end after the summary)"
	@echo "make test         every test"
	@echo "make check        lint, types, layers, the OpenAPI of the gateway"
	@echo "make bench        the measures"
	@echo "make setup        the virtual environment with pinned dependencies (the others do this by themselves)"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo "Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1); try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 2; }
	@echo "setting up .venv (a minute or two, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)
	@$(BIN)/ai-assets demo $(if $(ONCE),--once)

up: $(READY)
	@$(BIN)/ai-assets up

test: $(READY)
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/gateway/test_gateway_openapi.py

bench: $(READY)
	@$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
