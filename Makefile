# Distributary: `make demo`, `make test` and the rest need Python 3.11 or newer and PyPI.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SCHEDULES ?= 100000
BRANCH ?= derive-shuffled
SECONDS ?= 60
# Each of the tests' processes would compile all that it imports anew, if the environment forbids to keep it.
TESTED := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
SDK_TESTS := $(addprefix tests/unit/test_, sdk.py roles.py lean.py wire.py channels.py mirror.py wrong_deployments.py)
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header --strip-extras --only-binary awslambdaric

.DEFAULT_GOAL := help
.PHONY: help install demo example test test-rest test-node test-browser test-all test-opensearch test-sdk lint format bench soak fuzz deploy-check lock docs clean

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

$(VENV)/.installed: requirements/local.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python %s.%s is too old: run make PYTHON=/path/to/python3.11 or newer" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: install your system's python3-venv package" >&2; exit 1; }
	@echo "installing the command and what it needs into $(VENV)"
	@$(PIP) --require-hashes --only-binary awslambdaric -r requirements/local.txt
	@$(PIP) --no-index --no-build-isolation --editable .
	@touch $@

$(VENV)/.developed: requirements/develop.txt $(VENV)/.installed
	@echo "installing the development tools into $(VENV) (about a minute)"
	@$(PIP) --require-hashes --only-binary awslambdaric -r requirements/develop.txt
	@touch $@

install: $(VENV)/.installed ## The `distributary` command, in .venv/bin

demo: $(VENV)/.installed ## A real stream through the real functions; every branch reconciled (CHANGES=1000)
	@$(BIN)/python -m cli demo $(if $(CHANGES),--changes $(CHANGES))

example: $(VENV)/.installed ## An example's writer and the functions on its table, compared and shown (NAME=chat_sessions)
	@$(BIN)/python -m local.examples $(NAME)

test: $(VENV)/.developed ## Tests on fakes, with samples of what is enumerated (3 minutes on 2 cores)
	$(TESTED) -n 2 --dist worksteal --hypothesis-profile=sample -m "not slow and not emulator and not opensearch and not deploy and not node and not browser"

REST = (slow or emulator or hypothesis) and not opensearch and not deploy and not node and not browser

test-rest: $(VENV)/.developed ## All the tests that `make test` leaves out and that need only Python
	$(TESTED) -n 2 -m "$(REST)" --ignore tests/console
	$(TESTED) -n 0 -m "$(REST)" tests/console

test-all: test test-rest test-node ## All of these three

test-node: $(VENV)/.developed ## The tests that need Node 20 or newer, and npm: policies, decided by a simulator of IAM, and examples
	$(TESTED) -n 0 -m node

.build/browser/.installed: requirements/browser.txt
	@$(PIP) --require-hashes --upgrade --target .build/browser -r requirements/browser.txt
	@touch $@

test-browser: $(VENV)/.developed .build/browser/.installed ## The console in a real browser: Chromium, and axe-core from npm
	PYTHONPATH=.build/browser $(TESTED) -n 0 -m browser tests/console

test-opensearch: $(VENV)/.developed ## The index contract on a real OpenSearch node (OPENSEARCH_URL, or Java and Maven Central)
	$(BIN)/python tests/opensearch_node.py $(BIN)/python -m pytest -m opensearch

test-sdk: $(VENV)/.developed ## The tests that depend on boto3, on the oldest SDK that Lambda's runtime had
	@$(PIP) --require-hashes --upgrade --target .build/oldest-sdk -r requirements/oldest-sdk.txt
	PYTHONPATH=.build/oldest-sdk $(BIN)/python -m pytest -n 0 $(SDK_TESTS)

lint: $(VENV)/.developed ## Style, types, and the names of tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p distributary
	@PYTHONPATH=layers/distributary $(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest --noconftest tests/unit/test_names.py
	$(BIN)/mypy -p local -p cli -p bench -p deploy

format: $(VENV)/.developed ## Fixes what lint can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.developed ## Ratios against named peers, in .bench/report.json (half an hour)
	$(BIN)/python -m bench

soak: $(VENV)/.developed ## Random schedules of a branch against a plain recomputation (SCHEDULES=100000 BRANCH=derive-shuffled)
	@PYTHONPATH=.:layers/distributary $(BIN)/python -m tests.scheduler $(SCHEDULES) --branch $(BRANCH)

fuzz: $(VENV)/.developed ## Bytes of events, changed by a fuzzer, against the runtime's own decoding (SECONDS=60; Linux, Python 3.11 to 3.13)
	@$(PIP) --require-hashes --upgrade --target .build/fuzz -r requirements/fuzz.txt
	@PYTHONPATH=.:layers/distributary:.build/fuzz $(BIN)/python -m tests.fuzz $(SECONDS)

deploy-check: $(VENV)/.developed ## sam validate, sam build, and a real sam deploy to the emulator
	$(BIN)/python -m deploy.check

lock: $(VENV)/.developed ## Writes the lock files anew from the .in files
	$(LOCK) requirements/develop.in -o requirements/develop.txt
	$(LOCK) requirements/oldest-sdk.in -o requirements/oldest-sdk.txt
	$(LOCK) requirements/fuzz.in -o requirements/fuzz.txt
	$(LOCK) -c requirements/develop.txt requirements/browser.in -o requirements/browser.txt
	$(LOCK) -c requirements/develop.txt --excludes functions/index/excludes.txt requirements/local.in -o requirements/local.txt
	$(LOCK) -c requirements/develop.txt --excludes functions/index/excludes.txt requirements/operate.in -o requirements/operate.txt
	$(LOCK) -c requirements/develop.txt layers/distributary/requirements.in -o layers/distributary/requirements.txt
	$(LOCK) -c requirements/develop.txt --excludes functions/index/excludes.txt functions/index/requirements.in -o functions/index/requirements.txt
	$(LOCK) -c requirements/develop.txt local/runtime-requirements.in -o local/runtime-requirements.txt
	$(LOCK) -c requirements/develop.txt docs/requirements.in -o docs/requirements.txt

.venv-docs/.installed: docs/requirements.txt
	@test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r docs/requirements.txt
	@touch $@

docs: .venv-docs/.installed ## The documentation as a site, in .site/index.html
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

clean: ## Removes what the other targets made, but for the environment
	rm -rf .site .build .aws-sam .demo .bench .preview .pytest_cache .mypy_cache .ruff_cache .hypothesis
