# make setup | demo | test | validate | bench | lint: each does all that it needs, from a fresh clone on.
PYTHON ?= python3
BIN := .venv/bin
# Python and this project alone are needed to run; the development extras are needed to test.
READY := .venv/.ready
DEV_READY := .venv/.ready-dev

.PHONY: setup demo test validate bench lint clean

setup: $(DEV_READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	$(BIN)/python -m compileall -q cli.py sim reports scenarios
	touch $@

$(DEV_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/mesocosm run scenarios/ecommerce/checkout.yaml --faults scenarios/ecommerce/slow-payments.yaml

test: $(DEV_READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not validate"

validate: $(DEV_READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m validate

bench: $(DEV_READY)
	$(BIN)/python -m tests.benchmarks

lint: $(DEV_READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf .venv out build *.egg-info
