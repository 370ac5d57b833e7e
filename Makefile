# Everything happens in .venv; each target does the set-up that it needs.
PYTHON ?= python3
BIN := .venv/bin
MINUTES ?= 10
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: setup demo test soak kills faults browser chromium object-store fuzz coverage lint dependency-audit docs wheel bench clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --editable '.[dev]'
	touch $@

.venv/.docs: .venv/.installed
	$(INSTALL) --editable '.[dev,docs]'
	touch $@

.venv/.browser: .venv/.installed
	$(INSTALL) --editable '.[dev,browser]'
	touch $@

.venv/.fuzz: .venv/.installed
	$(INSTALL) --editable '.[dev,fuzz]'
	touch $@

.venv/.bench: .venv/.installed
	$(INSTALL) --editable '.[dev,bench]'
	touch $@

demo: setup
	$(BIN)/diptych demo -o demo

test: setup
	$(BIN)/pytest -n 2 --dist worksteal

# Tests that run for minutes, each time at other moments.
soak: fuzz
	$(BIN)/pytest -n 2 -m soak tests/soak

# Two hundred runs, fifty of each kind of model, each killed at a random moment and run again: equal weights.
kills: setup
	$(BIN)/pytest -s -m soak tests/soak/test_killed_often.py -k each_run

# Every command killed, and on a full or a read-only disk, at each place where it writes; needs a C compiler, on Linux.
faults: setup
	$(BIN)/pytest -m faults tests/faults

# Every kind of page in Chromium or Chrome: accessibility by axe, the width of a phone, and what the server's page does.
browser: .venv/.browser chromium
	$(BIN)/pytest -m browser tests/cli/test_browser.py tests/serving/test_page.py

# Where there is no browser, Debian's; by root, or by who may become root.
chromium:
	@for program in chromium chromium-browser google-chrome; do command -v $$program && exit 0; done; \
	become=$$(test "$$(id -u)" = 0 || echo sudo); \
	$$become apt-get update -qq && $$become apt-get install -y -qq --no-install-recommends chromium

# A gallery on an object store, by moto's server in an environment of its own: its pins are others.
object-store: setup .venv-moto/bin/moto_server
	MOTO_SERVER=.venv-moto/bin/moto_server $(BIN)/pytest -m object_store tests/recognition/gallery/test_object_store.py

.venv-moto/bin/moto_server:
	$(PYTHON) -m venv .venv-moto
	.venv-moto/bin/python -m pip install --quiet 'moto[server]>=5'

# The readers of files by atheris (Linux), for MINUTES in all; then thousands of requests to the server by schemathesis,
# in an environment of its own: its pins are others.
fuzz: .venv/.fuzz .venv-fuzz/bin/schemathesis
	$(BIN)/python tests/fuzz/run.py --minutes $(MINUTES)
	SCHEMATHESIS=$(CURDIR)/.venv-fuzz/bin/schemathesis $(BIN)/pytest -m fuzz tests/serving/test_fuzz.py

.venv-fuzz/bin/schemathesis:
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet 'schemathesis>=4'

# make coverage TESTS=tests/metrics; every test without TESTS.
coverage: setup
	$(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term-missing $(TESTS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src .ci

# Whether a pinned package has a known vulnerability; it asks the package index, so it is no part of a change's checks.
dependency-audit: .venv-audit/bin/pip-audit
	$(PYTHON) .ci/dependency_audit.py .venv-audit/bin/pip-audit constraints.txt

.venv-audit/bin/pip-audit:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet 'pip-audit>=2.10'

# The pages as a site, in site/; a page that would ask another host for something fails.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python docs/tools/offline.py site

# The packages as people get them, in dist/, and the wheel at work outside the checkout.
wheel: setup
	rm -rf build dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python .ci/try_wheel.py dist

# make bench DATA=folder-with-the-CIFAR-10-Parquet-files
bench: .venv/.bench
	$(BIN)/python benchmarks/classic_cnn.py $(DATA)

clean:
	rm -rf .venv .venv-audit .venv-fuzz .venv-moto demo build dist site
