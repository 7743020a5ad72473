# make setup: a virtual environment with the pinned stack and this package, editable; compiles nothing
# make setup MMCV_OPS=1: the same with all operators of mmcv, which are compiled; 0 goes back
# make demo:  pre-training, detector training and pictures on handwritten digits
# make clip:  De-focus Mamba and a ViT learn digits and emoji from captions
# make figures: where the trained models look, as pages and figures; trains nothing
# make test:  lint and the test suite
# make matrix: the tests on each Python and torch of MATRIX, with mmcv's operators and without; hours
# make wheel: a wheel in dist/ that carries the operators, for machines without a compiler
# make docs:  the site of the docs, in docs/_build/html; a warning is an error
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
CONSTRAINTS ?= requirements/constraints.txt
PIP := $(BIN)/pip install --disable-pip-version-check --quiet --log $(VENV)/pip.log --constraint $(CONSTRAINTS)
# PYTHON[:TORCH]; the oldest and the newest torch that serve
MATRIX ?= python3.10 python3.11 python3.12 python3.13 python3.11:2.5.1 python3.11:2.15.0
CPP = $(shell find mmdefocus -name '*.cpp' -o -name '*.h')
# unless told, mmcv stays in $(VENV) as it is
MMCV_OPS ?= $(if $(wildcard $(VENV)/.mmcv-ops-1),1,0)
# pip takes a wheel that it built without these operators for one with them, and the other way round
MMCV := $(PIP) --no-cache-dir --force-reinstall --no-deps
ifeq ($(MMCV_OPS),1)
MMCV += --no-build-isolation
MMCV_TITLE := compiled against this torch: 8 to 20 minutes
else
MMCV_TITLE := without its operators
endif
# each compiler job of mmcv takes up to 2 GB of memory
export MAX_JOBS ?= $(shell nproc 2>/dev/null || echo 2)

STEP := @requirements/step.sh $(VENV)

.PHONY: setup demo clip figures test lint format docs wheel matrix

setup: $(VENV)/.installed

$(VENV)/.torch: $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "error: Python 3.10 or newer is needed, this is " + sys.version)'
	@mkdir -p $(VENV) && rm -f $(VENV)/setup.tsv
	@$(PYTHON) -m venv $(VENV)
	$(STEP) '[1/5] pip and setuptools in $(VENV)' $(PIP) --upgrade pip setuptools wheel ninja
	$(STEP) '[2/5] torch and torchvision: about 5 GB on disk' $(PIP) torch torchvision
	@touch $@

$(VENV)/.mmcv-ops-$(MMCV_OPS): $(VENV)/.torch requirements/mmcv.txt
	@rm -f $(VENV)/.mmcv-ops-*
	$(STEP) '[3/5] mmcv $(MMCV_TITLE)' $(MMCV) $$(grep ^onedl-mmcv= requirements/mmcv.txt)
	@touch $@

$(VENV)/.installed: $(VENV)/.mmcv-ops-$(MMCV_OPS) setup.py mmdefocus/version.py $(wildcard requirements/*.txt)
	$(STEP) '[4/5] mmdetection, mmpretrain and what the tests need' \
		$(PIP) $(addprefix -r requirements/,runtime.txt mmcv.txt onnx.txt clip.txt cam.txt stream.txt tests.txt)
	$(STEP) '[5/5] mmdefocus, editable' $(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup
	@$(BIN)/python tools/demo.py

clip: setup
	@$(BIN)/python tools/clip_demo.py

figures: setup
	@$(BIN)/python tools/figures.py

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

matrix:
	@requirements/matrix.sh $(MATRIX)

wheel: setup
	@rm -rf build/lib build/bdist.*
	@$(BIN)/python -W ignore setup.py --quiet bdist_wheel --with-libraries --dist-dir dist
	@ls -l dist/*.whl

docs: setup
	@$(PIP) -r requirements/docs.txt
	@$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going -c docs . docs/_build/html
	@echo "docs/_build/html/docs/index.html"
