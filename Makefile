# Everything happens in .venv; each target does the set-up that it needs.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: setup demo test lint bench clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --editable '.[dev]'
	touch $@

.venv/.bench: .venv/.installed
	$(INSTALL) --editable '.[dev,bench]'
	touch $@

demo: setup
	$(BIN)/diptych demo -o demo

test: setup
	$(BIN)/pytest -n 2 --dist worksteal

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# make bench DATA=folder-with-the-CIFAR-10-Parquet-files
bench: .venv/.bench
	$(BIN)/python benchmarks/classic_cnn.py $(DATA)

clean:
	rm -rf .venv demo build
