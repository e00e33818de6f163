# A new machine needs Python 3.11 or newer, make and access to a package index, nothing else.
# Tests that drive real programs (Chromium, Prometheus, faketime ...) are skipped where these are missing:
# `make programs` installs them, and says so first.

PYTHON  ?= python3
VENV    ?= .venv
# The newest Python that this machine has; the same one where there is no newer.
PYTHONS := $(PYTHON) python3.12 python3.13 python3.14 python3.15 $(wildcard $(shell pyenv root 2>/dev/null)/versions/*/bin/python3)
NEWEST   = $(shell for python in $(PYTHONS); do \
	    "$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null; \
	  done | sort --version-sort | tail -n 1 | cut -d " " -f 2)
VERSION  = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
WORKERS ?= 4
# What shows in a few minutes whether a change holds, and the long proofs: faults, kills, replicas, a real Prometheus.
QUICK   := tests/core tests/shell
FAST    := $(QUICK) tests/commands tests/service tests/simulation tests/edges tests/views tests/emulator tests/end_to_end tests/kubernetes tests/simulated_replicas tests/documents tests/test_docs.py
STORMS  := tests/fault_storm
PROOFS  := tests/stateful tests/kill tests/replicas tests/faults tests/demo tests/monitoring tests/accessibility tests/surroundings tests/emergency
TESTS   ?= $(FAST)
UNIT_PROGRAMS  := chromium fish zsh
PROOF_PROGRAMS := chromium curl faketime prometheus prometheus-alertmanager
IMAGE_PROGRAMS := buildah mmdebstrap podman runc

.PHONY: help install demo man quick test check unit test-newest coverage prove programs bench lock manifests pictures screens test-image clean

help:                             ## list these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

install: $(VENV)/.emulator        ## install rotator and its emulator in .venv, and nothing elsewhere

demo: $(VENV)/.emulator           ## watch keys rotate on an emulated tenant, for half a minute
	$(VENV)/bin/rotator demo

man: $(VENV)/.dev                 ## write the man page to build/rotator.1
	@mkdir -p build
	$(VENV)/bin/argparse-manpage --module rotator.arguments --function parser --prog rotator --project-name rotator \
	  --manual-section 1 --manual-title "User Commands" --format single-commands-section --output build/rotator.1

quick: $(VENV)/.dev               ## the tests of decisions and scheduling, in well under a minute
	HYPOTHESIS_PROFILE=quick $(VENV)/bin/python -m pytest -q -n $(WORKERS) $(QUICK)

test: check unit                  ## whether a change holds: linters, import contracts, and the tests on one Python

programs:                         ## install the Debian packages that some tests drive (needs root)
	tests/programs.sh $(sort $(UNIT_PROGRAMS) $(PROOF_PROGRAMS) $(IMAGE_PROGRAMS))

check: $(VENV)/.dev $(VENV)-lint/.done
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy rotator
	$(VENV)/bin/mypy --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls --allow-untyped-decorators \
	  --no-warn-unused-ignores --no-warn-return-any tests
	$(VENV)-lint/bin/lint-imports --no-logo

unit: $(VENV)/.dev                ## the tests
	@tests/programs.sh --check $(UNIT_PROGRAMS)
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

test-newest:                      ## the tests on the newest Python there is, if that is another version
	@if [ "$(call VERSION,$(NEWEST))" = "$(call VERSION,$(PYTHON))" ]; then \
	  echo "no newer Python than $(call VERSION,$(PYTHON)) here: the tests are not run again"; \
	else \
	  $(MAKE) --no-print-directory PYTHON=$(NEWEST) VENV=.venv-newest unit; \
	fi

# Apart from `test`, since counting branches doubles the time.
coverage: $(VENV)/.dev            ## the tests, and the branches that they cover
	@tests/programs.sh --check $(UNIT_PROGRAMS)
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest -n $(WORKERS) --dist worksteal $(TESTS)
	$(VENV)/bin/coverage combine -q
	$(VENV)/bin/coverage report

# Keys live for seconds in a storm, so nothing else may take the processor meanwhile.
prove: $(VENV)/.dev $(VENV)-deploy/.done ## the long proofs of what it promises, and the chart
	@tests/programs.sh --check $(PROOF_PROGRAMS)
	$(VENV)/bin/python -m pytest -n 0 -o timeout=400 $(STORMS)
	HYPOTHESIS_PROFILE=prove $(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal -o timeout=400 -m hypothesis $(FAST)
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal -o timeout=400 $(PROOFS)
	$(VENV)-deploy/bin/python -m pytest -n $(WORKERS) tests/deploy

test-image: $(VENV)/.dev          ## build the image, and run it as a cluster would
	@tests/programs.sh --check $(IMAGE_PROGRAMS)
	$(VENV)/bin/python -m pytest -p no:xdist -o addopts=--import-mode=importlib -o timeout=600 tests/image/image_suite.py

manifests: $(VENV)-deploy/.done   ## render deploy/kubernetes from the chart
	PYTHONPATH=tests $(VENV)-deploy/bin/python tests/deploy/chart_render.py

pictures: $(VENV)/.dev            ## the pictures of the README, from the output of the program (needs Chromium)
	PYTHONPATH=tests $(VENV)/bin/python tests/documents/pictures.py

screens: $(VENV)/.dev            ## each page at two widths, in light and dark, as PNG in build/screens (needs Chromium)
	PYTHONPATH=tests $(VENV)/bin/python tests/views/screens.py

bench: $(VENV)/.dev               ## start time, memory, and a large sweep, measured
	$(VENV)/bin/python tests/benchmarks/measure.py
	$(VENV)/bin/python tests/benchmarks/simulation.py
	PYTHONPATH=tests $(VENV)/bin/python tests/benchmarks/page_load.py
	$(VENV)/bin/python tests/benchmarks/growth.py

lock:                             ## pin what the program needs at run time, with hashes
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --universal --upgrade --generate-hashes --python-version 3.11 \
	  --no-header --no-annotate pyproject.toml --output-file requirements.lock

clean:
	rm -rf .venv .venv-* build *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.base: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.emulator: $(VENV)/.base pyproject.toml
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[emulator]'
	@touch $@

$(VENV)/.dev: $(VENV)/.base pyproject.toml
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.emulator

# Helm and the schemas of Kubernetes are large, and only the chart's tests need them.
$(VENV)-deploy/.done: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)-deploy
	$(VENV)-deploy/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)-deploy/bin/pip install --quiet --disable-pip-version-check --editable '.[deploy]'
	@touch $@

# import-linter brings rich, which httpx and structlog would import: it stays out of the way.
$(VENV)-lint/.done:
	$(PYTHON) -m venv $(VENV)-lint
	$(VENV)-lint/bin/pip install --quiet --disable-pip-version-check 'import-linter>=2.5'
	@touch $@
