# make demo   builds the miniature benchmark, audits it, and judges thirteen editing methods on it; then
#             some methods on another model and its own benchmark, side by side with the first
# make table  every method on both bundled models: single edits and streams of a hundred, in less than an hour
# make test   all tests, in as many processes as there are processors
# make check  linters, types and tests
# make docs   writes the documentation as a site into site/; a link that leads nowhere is an error
# make rows   draws docs/rows.png anew; a test says when it must be
# make picture   draws docs/report.png anew, of what `make demo` came to
# Each makes .venv on its first call and installs anew when pyproject.toml or constraints.txt change.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INSTALLED := $(VENV)/installed
INSTALLED_DEV := $(VENV)/installed-dev
BUILD := demo/miniature

.PHONY: demo table table-mllm table-qwen test lint check docs picture rows clean

demo: $(INSTALLED)
	$(BIN)/mmedit-build run miniature --workers 2 --work $(BUILD)
	$(BIN)/mmedit-eval base --out demo/answers --limit 500 \
		--questions $(BUILD)/sources/vqa/v2_OpenEnded_mscoco_val2014_questions.json \
		--annotations $(BUILD)/sources/vqa/v2_mscoco_val2014_annotations.json \
		--images $(BUILD)/sources/images/val2014
	$(BIN)/mmedit-build audit $(BUILD)/dataset --page demo/audit.html
	$(BIN)/mmedit-eval --method ft,ft-vision,lora,ike,remember,serac,ke,mend,memit,alphaedit,ultraedit,grace,t-patcher \
		--dataset $(BUILD)/dataset --out demo/eval --cache demo/cache
	$(BIN)/mmedit-build run miniature-qwen --workers 2 --work demo/miniature-qwen
	$(BIN)/mmedit-eval --method ft,ike,memit --task vqa --model miniature/qwen --dataset demo/miniature-qwen/dataset \
		--out demo/eval-qwen --cache demo/cache
	$(BIN)/mmedit-eval report demo/eval demo/eval-qwen --out demo/two-models

table: $(INSTALLED)
	$(MAKE) --jobs 2 table-mllm table-qwen
	$(BIN)/mmedit-eval report table/eval-mllm table/eval-qwen --out table/report

table-mllm table-qwen: table-%: $(INSTALLED)
	$(BIN)/mmedit-build run $@ --work table/$*
	$(BIN)/mmedit-eval --method all --model miniature/$* --dataset table/$*/dataset --limit 75 \
		--out table/eval-$* --cache table/cache
	$(BIN)/mmedit-eval --method all --model miniature/$* --dataset table/$*/dataset --stream 10,100 --orders 1 \
		--out table/eval-$* --cache table/cache

test: $(INSTALLED_DEV)
	$(BIN)/python -m pytest --numprocesses logical --dist worksteal

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

docs: $(INSTALLED_DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

picture: $(INSTALLED_DEV)
	$(BIN)/python -m benchmarks.picture demo/eval/report.html --out docs/report.png

rows: $(INSTALLED)
	$(BIN)/python -m mmedit_build.miniature picture --out docs/rows.png

clean:
	rm -rf build dist demo runs site table *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing mmedit into $(VENV): a few minutes, most of them for torch."
	$(PIP) -e .
	touch $@

# The development tools include all that the demo needs.
$(INSTALLED_DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing mmedit with its development tools into $(VENV): a few minutes, most of them for torch."
	$(PIP) -e ".[dev]"
	touch $(INSTALLED) $@
