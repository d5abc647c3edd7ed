# The front door. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
READY := $(VENV)/.ready
UI := api/static/index.html
UI_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
# These wait more than they work, or need no camera's timing, and run side by side; all others have
# the machine to themselves.
SIDE_BY_SIDE := tests/api tests/bidwitness tests/onvif tests/player tests/retention tests/storage \
	$(addprefix tests/simulator/test_,bars.py commands.py device.py discovery.py encode.py soap.py spec.py) \
	$(addprefix tests/recorder/test_,accounting.py checks.py durability.py epochs.py flac.py gaps.py lips.py live_mux.py loudness.py meters.py) \
	$(addprefix tests/recorder/test_,record.py segmenter.py session_cuts.py sound.py sound_segmenter.py stamps.py) \
	$(addprefix tests/recorder/test_,thresholds.py ticks.py) \
	$(addprefix tests/recorder/test_,timing.py volumes.py writer.py) \
	tests/system/test_messages.py tests/system/test_outage.py \
	tests/test_architecture.py tests/test_attacks_page.py tests/test_controls_page.py tests/test_layout.py \
	$(addprefix tests/web/test_,account.py alarms.py break_glass_page.py copies.py displays.py evidence_reports.py) \
	$(addprefix tests/web/test_,granting_pages.py oidc.py player_core.py services.py two_people_pages.py words.py)
CODE := bidwitness storage recorder player retention api onvif simulator tests benchmarks

.PHONY: help demo test check lint types web-check bench dev web system clean

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(READY) $(UI) ## Two rooms, five virtual cameras, one session (ARGS="--seconds 30 --data DIR" runs unattended)
	@$(BIN)/bidwitness demo $(ARGS)

test: system $(READY) $(UI) ## Run the tests (ARGS="-k name")
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python -m pytest -n 4 --dist loadfile $(SIDE_BY_SIDE); first=$$?; \
	$(BIN)/python -m pytest $(addprefix --ignore=,$(SIDE_BY_SIDE)) && exit $$first
else
	$(BIN)/python -m pytest $(ARGS)
endif

check: lint types web-check ## Style, types and the web's lint

lint: $(READY)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: $(READY) ## mypy strict, on the tree as it is installed
	rm -rf build/tree
	$(BIN)/python -m pip install --quiet --no-deps --target build/tree .
	cd build/tree && ../../$(BIN)/mypy --config-file ../../pyproject.toml

web-check: web/node_modules/.ready
	cd web && npm run --silent check

bench: $(READY) ## Measure against named peers (ARGS="recorder --cameras 40 --seconds 30 --json FILE")
	@$(BIN)/python -m benchmarks $(ARGS)

dev: $(READY) web/node_modules/.ready ## Serve everything from ./data, the UI rebuilt as you edit
	cd web && npm run --silent dev & trap 'kill $$!' EXIT; $(BIN)/bidwitness serve $(ARGS)

web: $(UI) ## Build the UI into the package

system: ## Install the Debian parts that the tests use (root only, only what is missing)
	@tests/support/system.sh

clean: ## Remove what was built (never data)
	rm -rf build dist api/static web/node_modules $(VENV)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

web/node_modules/.ready: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

$(UI): web/node_modules/.ready $(UI_SOURCES)
	cd web && npm run --silent build
	touch $@
