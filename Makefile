# Every target sets up what it needs: `make demo` on a fresh machine is one command.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help setup demo dev test check format bench load chaos docs constraints clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "notify needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(READY) ## Create .venv with pinned dependencies, and .env from the template
	@$(BIN)/notify config --sync-env

demo: $(READY) ## Run the whole pipeline on this machine: 500 recipients, two kinds, caught mails
	@$(BIN)/notify demo

dev: $(READY) ## The same stack until Ctrl-C, for an application to send to
	@$(BIN)/notify dev

test: $(READY) ## Every test, on SQLite and PostgreSQL, with real Valkey and SMTP
	$(BIN)/python -m pytest -n auto --dist worksteal

check: $(READY) ## Lint, format, types, import rules, kinds, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/notify kinds check
	$(BIN)/notify config --template | diff .env.template -
	$(BIN)/python docs/generate.py --check

bench: $(READY) ## Measure the product on this machine, beside yardsticks of the same run: ten minutes
	$(BIN)/python -m benchmarks

load: $(READY) ## Whether limits are held and reached by four workers; exits with 1 when one was exceeded
	$(BIN)/python -m benchmarks.load

chaos: $(READY) ## Kill, cut and empty everything, a million mails long (needs rabbitmq-server): what is lost, what came twice
	$(BIN)/python -m tests.chaos
	$(BIN)/python -m pytest -m chaos

docs: $(READY) ## Generate the reference and build the site into ./site
	$(BIN)/python docs/generate.py
	$(BIN)/zensical build --strict

format: $(READY) ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: $(READY) ## Pin the newest releases that fit pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --upgrade --no-annotate --no-header \
	  --no-emit-index-url --quiet --output-file constraints.txt

clean: ## Remove what the targets made
	rm -rf $(VENV) .notify dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis
