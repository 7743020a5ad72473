# make setup: a virtual environment with the pinned stack and this package, editable; compiles nothing
# make setup MMCV_OPS=1: the same with all operators of mmcv, which are compiled; 0 goes back
# make demo:  pre-training, detector training and pictures on handwritten digits
# make test:  lint and the test suite
# make docs:  the site of the docs, in docs/_build/html; a warning is an error
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check --quiet --constraint requirements/constraints.txt
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

# $(call timed,TITLE,COMMAND) shows the title, runs the command and shows how long that took
timed = @echo '$(1)'; start=$$(date +%s); $(2) && seconds=$$(($$(date +%s) - start)) && \
	printf '      %d:%02d minutes\n' $$((seconds / 60)) $$((seconds % 60)) && \
	printf '%s\t%d\n' '$(1)' $$seconds >> $(VENV)/setup.tsv

.PHONY: setup demo test lint format docs

setup: $(VENV)/.installed

$(VENV)/.torch: requirements/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "error: Python 3.10 or newer is needed, this is " + sys.version)'
	@mkdir -p $(VENV) && rm -f $(VENV)/setup.tsv
	$(call timed,[1/5] virtual environment in $(VENV),$(PYTHON) -m venv $(VENV) && $(PIP) --upgrade pip setuptools wheel ninja)
	$(call timed,[2/5] torch and torchvision: about 5 GB on disk,$(PIP) torch torchvision)
	@touch $@

$(VENV)/.mmcv-ops-$(MMCV_OPS): $(VENV)/.torch requirements/mmcv.txt
	@rm -f $(VENV)/.mmcv-ops-*
	$(call timed,[3/5] mmcv $(MMCV_TITLE),$(MMCV) onedl-mmcv)
	@touch $@

$(VENV)/.installed: $(VENV)/.mmcv-ops-$(MMCV_OPS) setup.py mmdefocus/version.py $(wildcard requirements/*.txt)
	$(call timed,[4/5] mmdetection and mmpretrain and what the tests need,$(PIP) $(addprefix -r requirements/,runtime.txt mmcv.txt onnx.txt tests.txt))
	$(call timed,[5/5] mmdefocus as it is edited,$(PIP) --no-build-isolation --no-deps --editable .)
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
