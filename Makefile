# SPDX-License-Identifier: Apache-2.0
# Bare `make` prints the menu; every target does its own set-up. Debian packages that the host lacks are named, then
# installed when this is root (SIFGATE_APT=0 forbids it). What is expensive lies outside the clone: see `make cache`.

SHELL   := /bin/bash
VENV    := .venv
BIN     := $(VENV)/bin
PYTHON  ?= python3
T       ?= tests
PYTEST  ?=
.DEFAULT_GOAL := help
.PHONY: help venv demo test fuzz bench plugin package lint format lock cache clean

help:  ## print this menu
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.stamp  ## make the virtual environment; the CLI is .venv/bin/sifgate
$(VENV)/.stamp: requirements/venv.sh requirements/build.txt requirements/dev.txt pyproject.toml
	@PYTHON=$(PYTHON) requirements/venv.sh $(VENV) requirements/dev.txt
	@touch $@

demo: venv  ## show the main job end to end (root: with a real Slurm and Apptainer; else without them)
	@$(BIN)/python -m testbed.demo

# Coverage is measured over all tests, processes that they start included; a failed test fails the target.
test: venv  ## run all tests with coverage; T=tests/unit/policy for some, PYTEST=-x for pytest's options
	@$(BIN)/python -m testbed packages --optional gcc make mksquashfs debootstrap unshare rpmbuild
	@[ "$(T)" != tests ] || $(BIN)/python -m testbed prepare test
	@rm -f .coverage .coverage.*
	@if [ "$(T)" = tests ]; then $(BIN)/python -m testbed suites -- $(PYTEST); \
	else $(BIN)/coverage run -m pytest $(PYTEST) $(T); fi; status=$$?; \
	$(BIN)/coverage combine --quiet; $(BIN)/coverage report --skip-covered --sort=cover; exit $$status

fuzz: venv  ## a hundred thousand damaged policies: each loads, or is refused with a place
	@SIFGATE_FUZZ=100000 $(BIN)/python -m pytest -q tests/unit/policy/test_load_fuzz.py

bench: venv  ## measure, print a table, write bench/results/*.json
	@$(BIN)/python -m bench

plugin: venv  ## build the SPANK plugin for this host's Slurm headers (SLURM_INCLUDE=DIR for others)
	@$(BIN)/python -m testbed packages gcc
	@$(MAKE) -C plugin

# W=deb for some of wheel, deb, rpm, bundle; PACKAGE='--series trixie --revision 2' for further options.
W       ?=
PACKAGE ?=
package: venv  ## build wheel, sdist, deb, rpm and the offline bundle into dist/; W=deb for some
	@$(BIN)/python -m testbed packages gcc make rpmbuild
	@PYTHONPATH=packaging:src:. $(BIN)/python -m sifpack $(PACKAGE) $(W)

# Hot-path files run on the Python of old nodes.
HOT     := src/sifgate/client.py src/sifgate/wire.py src/sifgate/errors.py $(wildcard hooks/slurm/*.py)
SCRIPTS  = $$(find .ci etc hooks packaging plugin requirements testbed tests src -type f -size -200k -exec \
	awk 'FNR == 1 && /^\#!(\/bin\/sh|\/bin\/bash|\/usr\/bin\/env bash)/ { print FILENAME }' {} +)

lint: venv  ## ruff, mypy, import-linter, shellcheck, vermin, gcc with warnings as errors, go vet, staticcheck
	@status=0; say() { printf '\033[1m%s\033[0m\n' "$$1"; }; \
	say "ruff check"; $(BIN)/ruff check --quiet . || status=1; \
	say "ruff format"; $(BIN)/ruff format --check --quiet . || status=1; \
	say "mypy"; $(BIN)/mypy || status=1; \
	say "import-linter"; $(BIN)/lint-imports || status=1; \
	say "shellcheck"; $(BIN)/shellcheck -x $(SCRIPTS) || status=1; \
	say "vermin"; $(BIN)/vermin -q -t=3.9- --violations --no-tips $(HOT) || status=1; \
	say "C"; $(BIN)/python -m testbed warnings || status=1; \
	say "Go"; $(BIN)/python -m testbed golang || status=1; \
	exit $$status

format: venv  ## let ruff format and fix what it can
	@$(BIN)/ruff format --quiet . ; $(BIN)/ruff check --fix .

LOCK := $(BIN)/uv --no-config pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
lock: venv  ## renew the lock files in requirements/ (asks the package registry for the newest versions)
	$(LOCK) --upgrade requirements/build.in -o requirements/build.txt
	$(LOCK) --upgrade --extra dev pyproject.toml -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt pyproject.toml -o requirements/base.txt
	$(LOCK) -c requirements/dev.txt --extra server --extra report pyproject.toml -o requirements/server.txt
	$(LOCK) -c requirements/dev.txt --extra engine --extra report pyproject.toml -o requirements/engine.txt

cache: venv  ## say where root trees, images and Clair are kept, and what can be built
	@$(BIN)/python -m testbed list

clean:  ## remove what was made in the clone (the cache outside stays)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
	@$(MAKE) -C plugin clean
