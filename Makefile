# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CODE := src tests benchmarks

.PHONY: help run run-dev test check format fast bench lock clean

help:
	@echo "make run      set up, migrate, serve on http://127.0.0.1:8000"
	@echo "make test     set up, run all checks and tests"
	@echo "make check    formatter, linter, types, import contracts"
	@echo "make fast     the tests without those that start processes"
	@echo "make run-dev  serve, and start anew when the code changes"
	@echo "make bench    measure us and our peers in one run"
	@echo "make format   format the code and mend what the linter can"
	@echo "make lock     choose the newest versions and pin them by hash"

run: $(VENV)/.run
	@BEFFROI_AUTH=$${BEFFROI_AUTH:-off} $(BIN)/beffroi serve

run-dev: $(VENV)/.dev
	BEFFROI_AUTH=$${BEFFROI_AUTH:-off} $(BIN)/beffroi serve --reload

test: check
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term

check: $(VENV)/.dev
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

fast: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --ignore=tests/acceptance

format: $(VENV)/.dev
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Beffroi needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What is installed is pinned by hash; the project itself is installed in place, without a download.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.run
	$(PIP) install --require-hashes -r requirements/bench.txt
	@touch $@

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --upgrade
lock:
	$(LOCK) pyproject.toml requirements/build.in --extra fast --extra kubernetes --extra oidc --extra postgresql -o requirements/run.txt
	$(LOCK) pyproject.toml requirements/build.in --extra fast --extra kubernetes --extra oidc --extra postgresql --extra dev -c requirements/run.txt -o requirements/dev.txt
	$(LOCK) pyproject.toml requirements/build.in --extra fast --extra kubernetes --extra oidc --extra postgresql --extra bench -c requirements/run.txt -o requirements/bench.txt

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
