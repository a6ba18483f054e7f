# SPDX-License-Identifier: Apache-2.0
# Bare `make` prints this menu; every target does its own set-up.

SHELL   := /bin/bash
VENV    := .venv
BIN     := $(VENV)/bin
PYTHON  ?= python3
.DEFAULT_GOAL := help
.PHONY: help venv lock

help:  ## print this menu
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(VENV)/.stamp  ## make the virtual environment; the CLI is .venv/bin/sifgate
$(VENV)/.stamp: requirements/venv.sh requirements/build.txt requirements/dev.txt pyproject.toml
	@PYTHON=$(PYTHON) requirements/venv.sh $(VENV) requirements/dev.txt
	@touch $@

LOCK := $(BIN)/uv --no-config pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
lock: venv  ## renew the lock files in requirements/ (asks the package registry for the newest versions)
	$(LOCK) --upgrade requirements/build.in -o requirements/build.txt
	$(LOCK) --upgrade --extra dev pyproject.toml -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt pyproject.toml -o requirements/base.txt
	$(LOCK) -c requirements/dev.txt --extra server --extra report pyproject.toml -o requirements/server.txt
	$(LOCK) -c requirements/dev.txt --extra engine --extra report pyproject.toml -o requirements/engine.txt
