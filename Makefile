# taskmaster: build, run, check. `make help` lists the targets. GNU make and Python 3.11 or newer are all it needs.

PYTHON ?= python3
CONFIG ?=
SECONDS ?=
SEED ?=
KILLS ?=

VENV := .venv
BIN := $(VENV)/bin
# The room the environment was made in: it holds absolute paths, so one that was moved or copied is made anew.
PLACE := $(VENV)/.place
BUILT := $(VENV)/.built
DEV := $(VENV)/.dev

# One line a generated file: the file, then the module (with its arguments) that prints it. It may read the file as it is
# from its stdin: a page of prose with tables in it.
define GENERATED
docs/state-machine.md tm.core.diagram
etc/taskmaster.schema.json tm.core.schema
etc/taskmaster.yaml tm.core.example reference
man/taskmaster.yaml.5 tm.core.manual
man/taskmaster.8 tm.cli.pages
man/taskmasterctl.1 tm.cli.pages
docs/control-socket.md tm.cli.pages
docs/notifications.md tm.cli.pages
docs/hooks.md tm.cli.pages
README.md tm.cli.pages
etc/completion/taskmasterctl.bash tm.core.completion bash
etc/completion/_taskmasterctl tm.core.completion zsh
etc/completion/taskmasterctl.fish tm.core.completion fish
endef
export GENERATED

# The suites beside the unit tests: each run takes what of a directory begins with one of these letters. They wait more than
# they compute, so that four fit beside each other.
RUNS := suite-integration suite-integration-rest suite-fault suite-fault-rest
suite-integration: TESTS := $(sort $(wildcard tests/integration/test_[a-i]*.py))
suite-integration-rest: TESTS := $(sort $(wildcard tests/integration/test_[j-z]*.py)) $(wildcard tests/conformance)
suite-fault: TESTS := $(sort $(wildcard tests/fault/test_[a-k]*.py))
suite-fault-rest: TESTS := $(sort $(wildcard tests/fault/test_[l-z]*.py))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: $(RUNS) FORCE help build dev run check format lint types unit fresh pages test rest test-systemd soak chaos bench generate \
	clean bytecode

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

build: bytecode ## make .venv and install taskmaster into it, editable

run: build ## run taskmaster here: make run [CONFIG=file]
	@exec $(BIN)/taskmaster $(if $(CONFIG),'$(CONFIG)')

check: format lint types unit fresh pages ## what must hold before a commit: style, types, unit tests, generated files

test: check rest ## check, then the integration, fault and conformance tests

test-systemd: $(DEV) bytecode ## as root: our units under a real systemd, booted in namespaces; skipped, with the reason, where it cannot be
	$(BIN)/python3 -m pytest -rs tests/systemd

soak: $(DEV) bytecode ## bad weather at random for half an hour: make soak [SECONDS=60] [SEED=7]
	@SECONDS='$(SECONDS)' SEED='$(SEED)' $(BIN)/python3 -m tests.fault.soak

chaos: $(DEV) bytecode ## a hundred kills of daemon or guardian in ten minutes: make chaos [SECONDS=120] [KILLS=50] [SEED=7]
	@SECONDS='$(SECONDS)' KILLS='$(KILLS)' SEED='$(SEED)' $(BIN)/python3 -m tests.fault.chaos

bench: build ## run every benchmark of bench/
	@set -e; for f in $(sort $(wildcard bench/*.py)); do echo "== $$f"; $(BIN)/python3 "$$f"; done

generate: build ## write anew the files that are printed from the tables
	@echo "$$GENERATED" | while read -r file what; do \
		mkdir -p "$$(dirname "$$file")"; \
		cat "$$file" 2>/dev/null | $(BIN)/python3 -m $$what >"$$file.new" && mv "$$file.new" "$$file" || { rm -f "$$file.new"; exit 1; }; \
		echo "$$file"; \
	done

clean: ## remove what was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find bin tm tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# ---- the steps of `check` and `test`; each may be asked for alone

dev: $(DEV)

format: $(DEV)
	$(BIN)/ruff format --check .

lint: $(DEV)
	$(BIN)/ruff check .

types: $(DEV)
	$(BIN)/mypy --strict tm

unit: $(DEV) bytecode
	$(BIN)/python3 -m pytest tests/unit --numprocesses=auto --cov=tm.core --cov-branch --cov-fail-under=100

fresh: $(DEV)
	@echo "$$GENERATED" | { stale=0; while read -r file what; do \
		cat "$$file" 2>/dev/null | $(BIN)/python3 -m $$what >$(VENV)/.fresh || { echo "$$file: 'python -m $$what' failed" >&2; stale=1; continue; }; \
		cmp -s $(VENV)/.fresh "$$file" && continue; \
		diff -u "$$file" $(VENV)/.fresh 2>&1 | head -n 20 >&2; \
		echo "$$file is not what 'python -m $$what' prints: run 'make generate' and commit the result" >&2; stale=1; \
	done; exit $$stale; }

pages:
	@if command -v mandoc >/dev/null; then mandoc -T lint -W warning man/*.[1-9]; \
	else echo "manual pages not checked: there is no mandoc here"; fi

rest: $(DEV) bytecode
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=target $(RUNS)

# What is red beside three other runs, on a machine that is busy with them, is asked once more; that it was red stays in the
# output, and what is red twice is red.
$(RUNS): PYTEST = $(BIN)/python3 -m pytest -o cache_dir=.pytest_cache/$@
$(RUNS):
	$(PYTEST) $(TESTS) || $(PYTEST) --last-failed --last-failed-no-failures=none $(TESTS)

# A start without byte code compiles every module anew, which takes several times as long as the rest of it. An editable
# installation brings none, and where PYTHONDONTWRITEBYTECODE is set no start leaves any. What is fresh is not touched; a
# directory that we may not write in costs time and nothing else.
bytecode: $(BUILT)
	@$(BIN)/python3 -m compileall -q tm || true

# ---- the environment

# Right is an environment that was made in this place and whose Python still runs and finds its packages.
RIGHT := $(shell test "$$(cat $(PLACE) 2>/dev/null)" = '$(CURDIR)' && $(BIN)/python3 -c 'import pip' 2>/dev/null && echo yes)

$(PLACE): $(if $(RIGHT),,FORCE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "taskmaster needs Python 3.11 or newer and '$(PYTHON)' is not: name one, as in 'make PYTHON=python3.12 build'." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make a virtual environment: install its venv package (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@printf '%s\n' '$(CURDIR)' >$@

$(BUILT): setup.cfg $(PLACE)
	$(BIN)/python3 -m pip install --quiet --use-pep517 --editable .
	@touch $@

$(DEV): setup.cfg $(BUILT)
	$(BIN)/python3 -m pip install --quiet --use-pep517 --editable '.[dev]'
	@touch $@
