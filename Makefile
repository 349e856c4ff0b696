# Distributary: `make demo`, `make test` and the rest need Python 3.11 or newer and PyPI.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CHANGES ?= 5000
SCHEDULES ?= 100000
BRANCH ?= derive-shuffled
WHAT ?= derived
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header --strip-extras --only-binary awslambdaric

.DEFAULT_GOAL := help
.PHONY: help demo test test-rest test-all test-opensearch lint format bench views verify soak deploy-check invoke preview index-apply lock docs clean

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python %s.%s is too old: run make PYTHON=/path/to/python3.11 or newer" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: install your system's python3-venv package" >&2; exit 1; }
	@echo "installing the locked dependencies into $(VENV) (about a minute)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes --only-binary awslambdaric -r requirements.txt
	@touch $@

demo: $(VENV)/.installed ## A real stream through the real functions; every branch reconciled (CHANGES=5000)
	@$(BIN)/python -m local demo --changes $(CHANGES)

test: $(VENV)/.installed ## Tests on fakes, with samples of what is enumerated (3 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not emulator and not opensearch and not deploy"

test-rest: $(VENV)/.installed ## All the tests that `make test` leaves out and that need only Python
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "(slow or emulator) and not opensearch and not deploy"

test-all: test test-rest ## Everything that needs only Python

test-opensearch: $(VENV)/.installed ## The index contract on a real OpenSearch node (OPENSEARCH_URL, or Java and Maven Central)
	$(BIN)/python tests/opensearch_node.py $(BIN)/python -m pytest -m opensearch

lint: $(VENV)/.installed ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p distributary
	$(BIN)/mypy -p local -p bench -p deploy

format: $(VENV)/.installed ## Mends what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed ## Ratios against named peers, in .bench/report.json
	$(BIN)/python -m bench

views: $(VENV)/.installed ## Each declared view, the primitive it stands on, and its write units
	@PYTHONPATH=layers/distributary:functions/derive $(BIN)/python functions/derive/costs.py

verify: $(VENV)/.installed ## What stands downstream against the source: make verify WHAT=derived ARGS="users --repair"
	@PYTHONPATH=layers/distributary:functions/$(patsubst derived,derive,$(patsubst replica,replicate,$(WHAT))) $(BIN)/python -m distributary.verify $(WHAT) $(ARGS)

soak: $(VENV)/.installed ## Random schedules of a branch against a plain recomputation (SCHEDULES=100000 BRANCH=derive-shuffled)
	@PYTHONPATH=.:layers/distributary $(BIN)/python -m tests.scheduler $(SCHEDULES) --branch $(BRANCH)

deploy-check: $(VENV)/.installed ## sam validate, sam build, and a real sam deploy to the emulator
	$(BIN)/python -m deploy.check

invoke: $(VENV)/.installed ## One function with one event: make invoke FUNCTION=derive EVENT=events/insert.json
	@$(BIN)/python -m local invoke $(FUNCTION) -e $(EVENT)

preview: $(VENV)/.installed ## A message as files to look at: make preview RULE=welcome EVENT=events/insert.json
	@PYTHONPATH=layers/distributary:functions/welcome $(BIN)/python functions/welcome/preview.py $(RULE) $(EVENT)

index-apply: $(VENV)/.installed ## Makes the declared indexes, or brings them up to date: make index-apply OPENSEARCH_ENDPOINT=https://... [GENERATION=0]
	@PYTHONPATH=layers/distributary:functions/index $(BIN)/python functions/index/apply.py $(OPENSEARCH_ENDPOINT) \
		--service $(or $(OPENSEARCH_SERVICE),es) --secret $(or $(OPENSEARCH_SECRET_ARN),none) \
		--generation $(or $(GENERATION),0)

lock: $(VENV)/.installed ## Writes the lock files anew from the .in files
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) -c requirements.txt layers/distributary/requirements.in -o layers/distributary/requirements.txt
	$(LOCK) -c requirements.txt --excludes functions/index/excludes.txt functions/index/requirements.in -o functions/index/requirements.txt
	$(LOCK) -c requirements.txt local/runtime-requirements.in -o local/runtime-requirements.txt
	$(LOCK) -c requirements.txt docs/requirements.in -o docs/requirements.txt

.venv-docs/.installed: docs/requirements.txt
	@test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r docs/requirements.txt
	@touch $@

docs: .venv-docs/.installed ## The documentation as a site, in .site/index.html
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

clean: ## Removes what the other targets made, but for the environment
	rm -rf .site .build .aws-sam .demo .bench .preview .pytest_cache .mypy_cache .ruff_cache .hypothesis
