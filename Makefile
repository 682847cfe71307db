# Everything a visitor of this repository needs; `make help` lists it.
PYTHON ?= python3
VENV := .venv/bin
UV_COMPILE = $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run worker test test-compose soak check lock docs clean python

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, but $(PYTHON) is " + sys.version.split()[0] + ": name another one, as in: make run PYTHON=python3.12")'

setup: python ## what running needs: .venv from the lock, vendor/ from npm
	@$(PYTHON) scripts/setup.py run

setup-dev: python ## the same with the tools for tests and checks
	@$(PYTHON) scripts/setup.py dev

run: setup ## start everything and print the address; Ctrl-C ends it
	@exec $(VENV)/python -m app

worker: setup ## a Celery worker for jobs on other machines; QUEUES=gpu,default for some queues
	@exec $(VENV)/python -m app worker $(if $(QUEUES),--queues $(QUEUES))

test: setup-dev ## all tests that this machine can run; TESTS=tests/unit for some
	@exec $(VENV)/python scripts/test.py $(TESTS)

test-compose: setup-dev ## the console by docker compose, from a clean clone of what is committed; TESTS as above
	@exec $(VENV)/python scripts/compose.py $(TESTS)

soak: setup-dev ## random faults for SOAK_MINUTES (10), then long ones, and each protection taken out once; SEED= repeats
	$(VENV)/python -m tests.soak --minutes $(or $(SOAK_MINUTES),10) $(if $(SEED),--seed $(SEED))
	$(VENV)/python -m pytest tests/soak

check: setup-dev ## style, types, floors
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports --no-logo
	$(VENV)/python scripts/vendor.py types

lock: setup-dev ## refresh the locks from pyproject.toml; UPGRADE=1 takes the newest versions
	$(UV_COMPILE) pyproject.toml -o requirements.lock
	$(UV_COMPILE) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	$(UV_COMPILE) pyproject.toml --extra npm -c requirements.lock -o requirements-npm.lock

docs: setup-dev ## write what is made from the code: docs/settings.md, webexintegration.env.template
	$(VENV)/python -m scripts.settings_doc

clean: ## remove what set-up and tools made; runs (redis_data/) and keys (instance/) stay
	rm -rf .venv vendor vendor.new node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
