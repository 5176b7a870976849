# Two commands do everything: `make bench` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: bench test check unit real torture setup lock docs clean

bench: setup
	$(BIN)/beambench run pytorch-image-classification-efficientnet-lite0 $(ARGS)

test: setup check
	$(BIN)/pytest $(ARGS)

# Style, types and the direction of imports.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup
	$(BIN)/pytest -m "not real and not torture" $(ARGS)

real: setup
	$(BIN)/pytest -m "real and not torture" $(ARGS)

torture: setup
	BEAMBENCH_TEST_TORTURE=full $(BIN)/pytest -m torture --timeout 7200 $(ARGS)

setup: $(STAMP)

$(STAMP): pyproject.toml requirements/bootstrap.txt requirements/dev.txt
	$(PYTHON) -c 'import sys; sys.exit("beambench needs Python 3.10 or newer; name one with: make PYTHON=python3.11 …" if sys.version_info < (3, 10) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(STAMP)

# Pins versions and hashes for every Python from 3.10 on; no index address goes into the files.
lock: setup
	cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header bootstrap.in -o bootstrap.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-annotate --all-extras --group dev pyproject.toml -o requirements/dev.txt

docs: setup
	$(BIN)/python -m beambench.metrics > docs/metrics.md
	$(BIN)/python -m beambench.definition > docs/definition.schema.json
	BEAMBENCH_TEST_WRITE_ERRORS=1 $(BIN)/pytest -q tests/cli/test_bad_input.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
