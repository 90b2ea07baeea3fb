# Every task of the project. `make` alone lists them. The first run of a task makes the virtual environment it
# needs; a stamp file in it lets the next run start at once, until pyproject.toml changes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
# The first interpreter on the path that TermCue supports.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BASE := $(VENV)/.installed-base
DEV := $(VENV)/.installed-dev

# A worker for each core, four at most (each takes up to 2.5 GB), with one thread; a module's tests stay together.
test coverage: export OMP_NUM_THREADS := 1
SIDE_BY_SIDE := --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

.PHONY: help hints test lint check fix coverage wheel-test gpu clean

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

hints: $(BASE) ## Install into .venv, then stream the bundled recordings and print the hints as they come
	@echo "Streaming the six bundled recordings (36 s of speech, 39 s with the pauses between) against the bundled glossary."
	@$(BIN)/termcue listen sample

test: $(DEV) ## Install the development tools into .venv, then run all tests
	@command -v chromium chromium-browser google-chrome >/dev/null || echo "There is no Chromium: the tests of the page will fail and say what to install." >&2
	@echo "Running all tests."
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

lint: $(DEV) ## Format check, ruff, mypy --strict and the import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy --strict
	$(BIN)/lint-imports

check: lint test ## lint and test: what a change must pass

fix: $(DEV) ## Format and apply ruff's safe fixes
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

coverage: $(DEV) ## Run all tests and list the lines and branches that none of them takes
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov --cov-report=term-missing

wheel-test: $(BASE) ## Build the wheel, install it alone into a bare environment and stream the sample there
	@$(BIN)/python tests/check_wheel.py build/wheel-test

gpu: ## Make .venv-gpu, where onnxruntime-gpu stands in place of onnxruntime (Linux, CUDA 13 driver)
	@$(MAKE) --no-print-directory VENV=.venv-gpu .venv-gpu/.installed-base
	@echo "Adding the CUDA libraries (about 1.5 GB), then replacing onnxruntime: both own one module name."
	@.venv-gpu/bin/python -m pip install --quiet --editable '.[gpu]'
	@.venv-gpu/bin/python -m pip uninstall --quiet --yes onnxruntime
	@.venv-gpu/bin/python -m pip install --quiet 'onnxruntime-gpu>=1.31'
	@.venv-gpu/bin/termcue doctor

clean: ## Remove the environments, builds and caches
	rm -rf .venv .venv-gpu build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(BASE): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "No Python 3.11, 3.12 or 3.13 on the path: install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then echo "$(PYTHON) cannot make a virtual environment: on Debian and Ubuntu run 'apt-get install python3-venv' first." >&2; exit 1; fi
	@echo "Installing TermCue into $(VENV) with $$($(PYTHON) --version) (once; about 140 MB to download)."
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable .
	@touch $@

$(DEV): $(BASE)
	@echo "Adding PyTorch, transformers, Gradio and the development tools to $(VENV) (once)."
	@$(PIP) install --editable '.[train,demo]' --group dev
	@# Its agents import nothing else; its own requirements pin old versions for its evaluator.
	@$(PIP) install --no-deps 'simuleval==1.1.4'
	@touch $@
