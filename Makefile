# Two commands do everything: `make bench` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The text-generation benchmarks run in an environment of their own: vLLM pins what others do not need.
VLLM_PYTHON ?= $(PYTHON)
VLLM_VENV := .venv-vllm
VLLM_STAMP := $(VLLM_VENV)/.installed
# So does the emulator of BigQuery that tests publish to; it needs Python 3.13.
BIGQUERY_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python3.13) python3.13)
BIGQUERY_VENV := .venv-bigquery
BIGQUERY_STAMP := $(BIGQUERY_VENV)/.installed
# And the checker of workflow files, which is written in Go (1.25 or newer).
GO ?= $(firstword $(wildcard /usr/local/go/bin/go) go)
ACTIONLINT := $(BIN)/actionlint
# Tests run in so many processes at once; most of them wait for processes of their own.
JOBS ?= 2
PYTEST := $(BIN)/pytest -n $(JOBS) --dist worksteal

.PHONY: bench test check unit real torture demo-site setup setup-vllm setup-bigquery setup-actionlint lock docs clean

bench: setup
	$(BIN)/beambench run pytorch-image-classification-efficientnet-lite0 --retry-disturbed 2 $(ARGS)

test: setup check
	$(PYTEST) $(ARGS)

# Style, types and the direction of imports. Without the cache: it does not see that a file moved.
check: setup
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Where bytecode may be written, pytest rewrites the tests' assertions once, not in each process.
unit: setup
	env -u PYTHONDONTWRITEBYTECODE $(PYTEST) -m "not real and not torture" $(ARGS)

real: setup
	$(PYTEST) -m "real and not torture" $(ARGS)

torture: setup
	BEAMBENCH_TEST_TORTURE=full $(BIN)/pytest -m "torture or hypothesis" --timeout 7200 $(ARGS)

setup: $(STAMP)

# Bytecode is compiled once here: with PYTHONDONTWRITEBYTECODE, usual in containers, each worker would.
$(STAMP): pyproject.toml requirements/bootstrap.txt requirements/dev.txt
	$(PYTHON) -c 'import sys; sys.exit("beambench needs Python 3.10 or newer; name one with: make PYTHON=python3.11 …" if sys.version_info < (3, 10) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q src/beambench
	touch $(STAMP)

setup-vllm: $(VLLM_STAMP)

# Bytecode is compiled once here: a server imports some 20,000 files in each of its three processes.
$(VLLM_STAMP): pyproject.toml requirements/vllm.txt | setup
	$(VLLM_PYTHON) -c 'import sys; sys.exit("vLLM needs Python 3.11 to 3.13; name one with: make setup-vllm VLLM_PYTHON=python3.11" if not (3, 11) <= sys.version_info < (3, 14) else 0)'
	test -x $(VLLM_VENV)/bin/python || $(VLLM_PYTHON) -m venv --without-pip $(VLLM_VENV)
	$(BIN)/uv pip install --quiet --python $(VLLM_VENV)/bin/python --compile-bytecode --no-deps --require-hashes -r requirements/vllm.txt
	$(BIN)/uv pip install --quiet --python $(VLLM_VENV)/bin/python --no-deps --no-build-isolation --editable .
	touch $(VLLM_STAMP)

setup-bigquery: $(BIGQUERY_STAMP)

$(BIGQUERY_STAMP): requirements/bigquery-emulator.txt | setup
	$(BIGQUERY_PYTHON) -c 'import sys; sys.exit("the BigQuery emulator needs Python 3.13 or newer; name one with: make setup-bigquery BIGQUERY_PYTHON=python3.13" if sys.version_info < (3, 13) else 0)'
	test -x $(BIGQUERY_VENV)/bin/python || $(BIGQUERY_PYTHON) -m venv --without-pip $(BIGQUERY_VENV)
	$(BIN)/uv pip install --quiet --python $(BIGQUERY_VENV)/bin/python --compile-bytecode --no-deps --require-hashes -r requirements/bigquery-emulator.txt
	touch $(BIGQUERY_STAMP)

setup-actionlint: $(ACTIONLINT)

$(ACTIONLINT): tests/workflows/actionlint/go.mod tests/workflows/actionlint/go.sum | setup
	cd tests/workflows/actionlint && $(GO) build -mod=readonly -o $(CURDIR)/$(ACTIONLINT) github.com/rhysd/actionlint/cmd/actionlint

# Pins versions and hashes for every Python from 3.10 on; no index address goes into the files.
lock: setup
	cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header bootstrap.in -o bootstrap.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-annotate --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --override requirements/vllm-override.txt requirements/vllm.in -o requirements/vllm.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-header --no-annotate requirements/bigquery-emulator.in -o requirements/bigquery-emulator.txt

# A year of runs that were made up, to look at the site with.
demo-site: setup
	$(BIN)/python -m beambench.site.demo build/demo.db
	$(BIN)/beambench report --store sqlite:///build/demo.db --out build/demo-site --open $(ARGS)

docs: setup
	$(BIN)/python -m beambench.metrics > docs/metrics.md
	$(BIN)/python -m beambench.definition > docs/definition.schema.json
	$(BIN)/python -m beambench.cost.report > docs/cost.schema.json
	BEAMBENCH_TEST_WRITE_ERRORS=1 $(BIN)/pytest -q tests/cli/test_bad_input.py

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(BIGQUERY_VENV) build dist .pytest_cache .mypy_cache .ruff_cache
