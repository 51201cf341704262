# Needs Python 3.11 or newer with pip, git and make; everything else is fetched into .tools and .venv.

PYTHON ?= python3
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
BIN := .venv/bin
READY := .venv/ready
TYPED := src scripts $(wildcard bench) $(wildcard crucible)
LOCK := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock"

# A Python that is too old is an error, never a download.
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help setup demo test check simulate mutants crucible fuzz bench bench-http reference format lock clean

help:  ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Make .venv from the locked packages (every other target does it when needed)

demo: $(READY)  ## Pay, cancel and refund 1,200 payments while the bank misbehaves
	$(BIN)/contraflow demo

test: $(READY)  ## Run the tests; ARGS="tests/domain -x" chooses among them
	$(BIN)/pytest -n 2 $(ARGS)

check: $(READY)  ## Format, lint, types, imports, tidiness, freshness of pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_tidy.py
	$(BIN)/python scripts/generate_reference.py --check

simulate: $(READY)  ## Run 2,000 hostile histories
	$(BIN)/contraflow simulate --seeds 0:2000 --jobs 2 --json

mutants: $(READY)  ## Plant bugs in copies; the simulation must find every one (minutes)
	$(BIN)/python scripts/find_planted_bugs.py

crucible: $(READY)  ## Kill, pause and crowd whole processes (2 minutes; -m crucible --help has more)
	$(BIN)/python -m crucible kill9 --short --json
	$(BIN)/python -m crucible bank --short --json

fuzz: $(READY)  ## Fuzz a live server by its own description; a planted defect must be found
	$(BIN)/python scripts/fuzz_api.py $(ARGS)
	$(BIN)/python scripts/fuzz_api.py --plant $(ARGS)

bench-http: $(READY)  ## Measure what one refund costs over HTTP (minutes); ARGS=--quick is rougher
	$(BIN)/python bench/over_http.py $(ARGS)

bench: $(READY)  ## Measure what one refund costs (minutes); ARGS=--quick is a rougher look
	$(BIN)/python bench/run.py $(ARGS)
	$(BIN)/python bench/postgres.py $(ARGS)

reference: $(READY)  ## Write the pages of docs/reference that the code already knows
	$(BIN)/python scripts/generate_reference.py

format: $(READY)  ## Format the code, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(UV)  ## Choose the newest packages that pyproject.toml allows
	$(LOCK) --upgrade --output-file requirements.lock
	$(LOCK) --upgrade --output-file requirements-dev.lock --group dev

clean:  ## Remove everything that was made
	rm -rf .venv .tools .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(READY): pyproject.toml requirements-dev.lock | $(UV)
	$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .venv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# Into a folder of ours, so it needs no venv module and leaves the system's Python alone (PEP 668).
.tools/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools uv
