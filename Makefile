# `make` alone lists what there is. Every target sets up what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= $(patsubst %/results.csv,%,$(firstword $(shell ls -t runs/*/results.csv 2>/dev/null)))
TRAIN ?= --depth 4 --width 128 --heads 4 --tokens 2M --data data/processed --out models/one

# What is asked, decided, recorded and reported, the model, the docs: no sweep trains, and neither Ray nor W&B starts.
QUICK := $(addprefix tests/,sweeps/spec sweeps/policy sweeps/record sweeps/report models test_config.py test_docs.py)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev sweep test quick data train export figures check clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/ready ## make .venv with the pinned packages
$(VENV)/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

setup-dev: $(VENV)/ready-dev
$(VENV)/ready-dev: $(VENV)/ready requirements_dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements_dev.txt
	@touch $@

sweep: setup ## run the demo sweep, then export the best model and let it write a story (a few minutes)
	$(BIN)/python sweeps/run.py
	$(BIN)/python sweeps/export.py runs/demo --out models/best
	$(BIN)/python -m tinystories.predict_model models/best --prompt "Once upon a time"

test: setup-dev ## run all tests
	$(BIN)/pytest

quick: setup-dev ## run the fast tests: spec, policy, record, report, model, docs (under 90 s)
	$(BIN)/pytest -m "not slow" $(QUICK) --ignore=tests/sweeps/record/test_tracking.py

data: setup ## download TinyStories and make data/processed (DATA="--text FILE" for your own text)
	$(BIN)/python -m tinystories.data.make_dataset $(or $(DATA),--hub)

train: setup ## train one model (TRAIN="--depth ... --width ...")
	$(BIN)/python -m tinystories.train_model $(TRAIN)

export: setup ## export the best model of the newest sweep to models/best (RUN=runs/NAME)
	$(BIN)/python sweeps/export.py $(RUN) --out models/best

figures: setup ## draw the newest sweep into reports/figures (RUN=runs/NAME)
	$(BIN)/python -m tinystories.visualization.visualize $(RUN)

check: setup-dev ## lint, format, types, layers, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

clean: ## remove .venv and caches; data, models and runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
