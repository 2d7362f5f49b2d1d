PYTHON ?= python3
PORT ?= 8000
WORKERS ?= 2
T ?= tests
BIN := .venv/bin
DEMO_CLUSTER := .data/postgres
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate

export PYTHON
.DEFAULT_GOAL := help
.PHONY: help setup demo lambda clean-demo lint format test test-long check screens pictures lock

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Create or update .venv from the pinned requirements; done in a moment when nothing changed.
	@.ci/setup

demo: setup ## Run the whole platform with sample data on http://127.0.0.1:8000 (PORT= another).
	@exec $(BIN)/python manage.py demo --port $(PORT) --stop-with-parent

lambda: setup ## Deploy the whole platform to an emulator of AWS and run it there (PORT=4566).
	@exec $(BIN)/python manage.py emulate --port $(if $(filter 8000,$(PORT)),4566,$(PORT)) --stop-with-parent

clean-demo: setup ## Forget the demo: its database and its files.
	@$(BIN)/python -c "import pathlib, sys; from fatfire.kit.postgres import EmbeddedPostgres as P; \
	  sys.exit('a demo still runs; stop it first' if P(pathlib.Path('$(DEMO_CLUSTER)')).running() else 0)"
	rm -rf .data/postgres .data/media .data/bank-simulator.sqlite3* .data/master.key .data/secret.key .data/demo.lock

lint: setup ## Check style, format, types and the direction of imports.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Put the code into its one format, and mend what can be mended by itself.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: setup ## Run the tests, or those in T= (a path); in WORKERS=2 processes.
	@.ci/tools
	$(BIN)/pytest -n $(WORKERS) --durations=10 -m "not long" $(T)

test-long: setup ## Run the tests that take long.
	@.ci/tools
	$(BIN)/pytest -n $(WORKERS) --durations=10 -m long $(T)

check: lint test ## Everything a change must pass; what CI runs.

screens: setup ## Write a picture of every page, light, dark and on a phone, into .data/screens/.
	@.ci/tools
	$(BIN)/pytest -q tests/browser/screens.py::test_screens

pictures: setup ## Write the pictures in the README anew, into docs/pictures/.
	@.ci/tools
	$(BIN)/pytest -q tests/browser/screens.py::test_pictures

lock: setup ## Pin the newest versions that pyproject.toml allows.
	$(COMPILE) pyproject.toml -o requirements/base.txt
	$(COMPILE) pyproject.toml --extra media -c requirements/base.txt -o requirements/media.txt
	$(COMPILE) pyproject.toml --extra media --extra dev -c requirements/media.txt -o requirements/dev.txt
	$(COMPILE) --group emulator -o requirements/emulator.txt
	$(COMPILE) --group samples --no-deps -o requirements/samples.txt
