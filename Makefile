# Everything happens in .venv; 'make help' lists the targets.
PYTHON ?= python3
BIN := .venv/bin
COQUI_VENV ?= .venv-coqui
REVIEW_VENV ?= .venv-review
SECONDS ?= 300

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-coqui test-review fuzz bench bench-methods check lint format clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

setup: .venv/installed  ## Create .venv and install xttsrecipe in it, with what development needs

demo/checkpoints/audiobook.pth: demo/make_checkpoints.py | setup
	$(BIN)/python demo/make_checkpoints.py demo/checkpoints

demo: setup demo/checkpoints/audiobook.pth  ## Merge two small checkpoints with the real XTTS-V2 key layout
	$(BIN)/xttsrecipe plan recipes/news_audiobook.yaml
	$(BIN)/xttsrecipe run recipes/news_audiobook.yaml
	$(BIN)/xttsrecipe inspect demo/merged/news_audiobook.pth

test: setup  ## Run the tests, as many at once as there are processors
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-coqui: setup  ## Test with the real client: install coqui-tts (1.8 GB), merge its models, speak with them
	PYTHON=$(PYTHON) tests/coqui/install.sh $(COQUI_VENV)
	$(COQUI_VENV)/bin/python -m pytest -c tests/coqui/pytest.ini --confcutdir=tests/coqui tests/coqui

test-review:  ## Test the hook, the action, the workflows and the schema with pre-commit and yaml-language-server
	PYTHON=$(PYTHON) tests/review/install.sh $(REVIEW_VENV)
	$(REVIEW_VENV)/bin/python -m pytest -c tests/review/pytest.ini --confcutdir=tests/review tests/review

fuzz: setup  ## Fuzz what reads files, for SECONDS=300 in all; guided by coverage where atheris can be installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]' || true
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

bench: setup  ## Measure speed and memory at full size; ARGS=--quick for small files, ARGS=--rivals with mergekit and sd-mecha
	$(BIN)/python -m benchmarks $(ARGS)

bench-methods: setup  ## Measure every merge method at full size, on two sources and a base; ARGS as for bench
	$(BIN)/python -m benchmarks --methods $(ARGS)

lint: setup  ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test  ## All that lint checks, then the tests

format: setup  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove everything that was made here, .venv and those of clients and rivals too
	rm -rf .venv .venv-coqui .venv-coqui.lock .venv-review .venv-review.lock .venv-rivals build dist
	rm -rf demo/checkpoints demo/merged benchmarks/data
	rm -rf .fuzz .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
