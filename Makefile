# Two commands for a newcomer: `make demo` and `make test`. Each does all of its own set-up.
PYTHON ?= python3
BIN := .venv/bin
# Bytecode is written here and now: where the shell has PYTHONDONTWRITEBYTECODE, every command would compile its imports anew (seconds).
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt
COMPILE := $(BIN)/python -m compileall -q rag ingest api eval
# The same package index as pip's, where the machine has one of its own.
INDEX := $(or $(UV_DEFAULT_INDEX),$(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
ifneq ($(INDEX),)
export UV_DEFAULT_INDEX := $(INDEX)
endif
export UV_LINK_MODE ?= copy

.PHONY: help setup demo test test-fast serve bench crashtest hostile fuzz lint browser clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip uv
	@touch $@

.venv/.core: .venv/.made pyproject.toml constraints.txt
	$(UV) -e '.[ocr]'
	@$(COMPILE)
	@touch $@

.venv/.full: .venv/.made pyproject.toml constraints.txt
	$(UV) -e '.[ocr,langchain,torch,telemetry,dev]'
	@$(COMPILE)
	@touch $@ .venv/.core

setup: .venv/.full  ## .venv with everything: torch, tests, the command .venv/bin/rag

demo: .venv/.core  ## fetch the models, read corpus/, answer a question in Chinese and one in English
	$(BIN)/rag models pull --demo
	$(BIN)/rag ingest corpus
	$(BIN)/rag ask "云汀厂的婚假有几天？"
	$(BIN)/rag ask "How many days of annual leave does a full-time employee get?"

browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	  || echo "no chromium: install it (Debian: apt-get install chromium) to run the browser tests" >&2

test: setup browser  ## everything that must hold, with real models
	$(BIN)/rag models pull --all
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

test-fast: setup  ## the tests that load no model
	$(BIN)/pytest -m "not slow and not browser"

serve: .venv/.core  ## the service and its page on http://127.0.0.1:8600
	$(BIN)/rag serve

bench: setup  ## every figure of docs/benchmarks.md
	$(BIN)/python -m tests.bench $(PARTS) $(if $(DATA),--data $(DATA)) $(if $(PEER),--peer $(PEER))

crashtest: setup  ## the full count of kills, dropped writes, faults and corruptions
	$(BIN)/python -m tests.crash --full

hostile: setup  ## 2,000 hostile files
	$(BIN)/python -m tests.ingest.hostile --count 2000

fuzz: setup  ## 1,000 examples for every operation of the HTTP interface
	FUZZ_EXAMPLES=1000 $(BIN)/pytest tests/api/test_fuzz.py

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove what was built here (never your documents, collections or models)
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis
