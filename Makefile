# Every target works on a bare Debian machine with git, make and Python 3.11, and never asks.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(shell command -v uv 2>/dev/null)

.PHONY: help install demo test check bench soak crash build docs coverage mutation clean

help: ## What there is to make
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do printf '%-10s %s\n' "$$name" "$$what"; done

install: $(STAMP) ## The environment; nothing is started
$(STAMP): pyproject.toml uv.lock
	@bash scripts/setup.sh $(PYTHON)
	@touch $@

demo: install ## The main job on the example sketch
	@$(BIN)/agenthost demo

test: install ## All tests
	@$(BIN)/python -m pytest -n auto

check: install ## Lint, types, import contracts
	@$(BIN)/ruff check src tests bench deploy
	@$(BIN)/ruff format --check src tests bench deploy
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-cache

bench: install ## Our figures beside peers and floors, in one run
	@$(BIN)/python -m bench

soak: install ## Two hundred sandboxes a minute for ten minutes on every back end, and what is left of them
	@$(BIN)/python -m bench --suite soak --minutes 10 --json bench/soak.json

crash: install ## At least 200 random kills of real processes, and thousands of stories of conversations
	@$(BIN)/python -m pytest tests/crash -n 0 --crashes 200 -s
	@AGENTHOST_TEST_STORIES=2000 $(BIN)/python -m pytest tests/host/conversing -n 0 --timeout 7200 -s

coverage: install ## Branch coverage of the heart
	@$(BIN)/python -m pytest -n auto --cov=agenthost.core --cov=agenthost.programs --cov=agenthost.engine --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=97

mutation: install ## Mutation testing of lifecycle, crash rule and budgets
	@bash scripts/mutation.sh

docs: install ## Write the generated pages again
	@$(BIN)/python scripts/docs.py
	@$(BIN)/python scripts/reference.py
	@$(BIN)/python -m agenthost.cli.docs > docs/cli.md

build: install ## The wheel
	@$(BIN)/uv build --wheel --sdist -o dist

clean:
	rm -rf $(VENV) .venv-uv .bench-venv dist build mutants
