# make demo | test | test-long | test-chaos | test-directed | check | chaos | soak do all they need in .venv; all but demo and check,
# where they run as root, also install Debian packages. `make chaos SEED=n SECONDS=n` breaks a running fleet, `make soak MINUTES=60` moves it for an hour.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

# The tests start hundreds of processes; without what is compiled each would do that again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-long test-chaos test-directed check format docs mutation chaos soak clean

demo: $(VENV)/.installed
	@$(BIN)/stoker demo

test: $(VENV)/.installed-dev
	@tests/provision
	@$(BIN)/python -m pytest -n 5 --dist worksteal -m 'not long' --ignore tests/chaos $(ARGS)

# Whole fleets by Ansible's plays and under deploys, and the second HAProxy, Redis and Ruby; about five minutes.
test-long: $(VENV)/.installed-dev
	@tests/provision
	@$(BIN)/python -m pytest -n 5 --dist worksteal -m long --ignore tests/chaos $(ARGS)

# 200 simulated hours of faults, then one short live run, which needs the machine for itself.
test-chaos: $(VENV)/.installed-dev
	@tests/provision
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not live' tests/chaos $(ARGS)
	@$(BIN)/python -m pytest -m live tests/chaos/test_live.py $(ARGS)

# One promise after the other against real processes; about eleven minutes.
test-directed: $(VENV)/.installed-dev
	@tests/provision
	@$(BIN)/python -m pytest -m live tests/chaos/test_live_directed.py $(ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.installed
	$(BIN)/python -m stoker.settings_docs docs/settings.md example/stoker.toml

mutation: $(VENV)/.installed-dev
	$(BIN)/python -m tests.mutation $(ARGS)

# Breaks real processes on purpose. Without SEED: ten seeds, one after the other.
SECONDS ?= 180
chaos: $(VENV)/.installed-dev
	@tests/provision
	@$(BIN)/python -m tests.chaos.live $(if $(SEED),--seed $(SEED)) --seconds $(SECONDS) $(ARGS)

MINUTES ?= 60
soak: $(VENV)/.installed-dev
	@tests/provision
	@$(BIN)/python -m tests.chaos.live.soak --minutes $(MINUTES) $(ARGS)

clean:
	rm -rf $(VENV)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(f"Stoker needs Python 3.11 or newer, {sys.executable} is " + \
	  sys.version.split()[0] + "; name another with `make PYTHON=python3.12 ...`") if sys.version_info < (3, 11) else 0'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo 'Setting up $(VENV); the first time takes a minute or two'
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo 'Setting up $(VENV) for development; the first time takes a minute or two'
	@$(INSTALL) --editable '.[dev]'
	@touch $(VENV)/.installed $@
