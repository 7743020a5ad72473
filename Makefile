# make setup: a virtual environment with the pinned stack and this package, editable
# make demo:  pre-training, detector training and pictures on handwritten digits
# make test:  lint and the test suite
# make docs:  the site of the docs, in docs/_build/html; a warning is an error
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check --quiet --constraint requirements/constraints.txt
CPP = $(shell find mmdefocus -name '*.cpp' -o -name '*.h')
# each compiler job of mmcv takes up to 2 GB of memory
export MAX_JOBS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: setup demo test lint format docs

setup: $(VENV)/.installed

$(VENV)/.installed: setup.py mmdefocus/version.py $(wildcard requirements/*.txt)
	@echo "[1/5] virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "error: Python 3.10 or newer is needed, this is " + sys.version)'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --upgrade pip setuptools wheel ninja
	@echo "[2/5] torch and torchvision: about 5 GB on disk, a few minutes"
	@$(PIP) torch torchvision
	@echo "[3/5] mmcv is compiled once, against this torch: 8 to 20 minutes; then pip keeps the wheel"
	@$(PIP) --no-build-isolation onedl-mmengine onedl-mmcv
	@echo "[4/5] mmdetection, mmpretrain and what the tests need"
	@$(PIP) -r requirements/mminstall.txt -r requirements/runtime.txt -r requirements/tests.txt
	@echo "[5/5] mmdefocus, editable"
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup
	@$(BIN)/python tools/demo.py

test: setup lint
	@$(BIN)/python -m pytest

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/clang-format --dry-run --Werror $(CPP)
	@$(BIN)/mypy

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(CPP)

docs: setup
	@$(PIP) -r requirements/docs.txt
	@$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going -c docs . docs/_build/html
	@echo "docs/_build/html/docs/index.html"
