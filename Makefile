PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
BIN = .venv/bin

.PHONY: help setup demo select weights test test-all test-gpu bench-gpu lint lock bench install-mini schema

help:
	@echo "make demo          install, run the demo, and print the path of its report"
	@echo "make select        pick a detector for the normal images in a folder: make select IMAGES=path/to/folder"
	@echo "make weights       download the networks that make select takes where they are on this machine (2 GB)"
	@echo "make test          install, lint, and run all tests except whole studies of real images"
	@echo "make test-all      the same with whole studies of real images"
	@echo "make test-gpu      run the tests that need a GPU, for a machine with one (two, for all of them)"
	@echo "make setup         install into .venv from requirements.lock"
	@echo "make lint          ruff, mypy, snakefmt, snakemake --lint"
	@echo "make bench         run the benchmarks (but those that need images or weights: precision, diffusion_precision, seeds)"
	@echo "make bench-gpu     measure this machine's GPU, and append the figures to benchmarks/RESULTS.md"
	@echo "make lock          write requirements.lock anew from pyproject.toml"
	@echo "make schema        write config/config.schema.json and config/README.md from the code"
	@echo "make install-mini  copy newly trained small models to models/mini"

# Installs only when the lock differs from the one that was installed last.
setup:
	@cmp -s requirements.lock .venv/requirements.lock || { \
		echo "Installing requirements.lock into .venv (about 6 GB with the CUDA build of torch, a few minutes) ..."; \
		$(PYTHON) -m venv --clear .venv \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . \
		&& cp requirements.lock .venv/requirements.lock; }

demo: setup
	$(BIN)/snakemake --cores $(CORES)
	@echo "The report: $$PWD/results/report.html"

select: setup
	@test -n "$(IMAGES)" || { echo "Which images? make select IMAGES=path/to/folder" >&2; exit 2; }
	$(BIN)/snakemake --cores $(CORES) --configfile config/my_images.yaml --config images="$(IMAGES)" -- inspect all detectors
	@echo "The detector: $$PWD/results_my_images/mine/detector"
	@echo "What it finds, and at how many false alarms: $$PWD/results_my_images/mine/detector/page.html"
	@echo "Ask it: $(BIN)/python -m swsa_core.detect results_my_images/mine/detector path/to/new/images -o scores.csv"

weights: setup
	@test -n "$(IMAGES)" || { echo "Which images? make weights IMAGES=path/to/folder" >&2; exit 2; }
	$(BIN)/snakemake --cores 1 --configfile config/my_images.yaml --config images="$(IMAGES)" -- weights

test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not study and not gpu"

test-all: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not gpu"

# One test at a time: some fill the card.
test-gpu: setup
	$(BIN)/python -m pytest -m gpu

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

bench: setup
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/diffusion.py
	$(BIN)/python benchmarks/dag.py
	$(BIN)/python benchmarks/evaluate.py
	$(BIN)/python benchmarks/coverage.py
	$(BIN)/python benchmarks/paper_size.py

bench-gpu: setup
	$(BIN)/python benchmarks/gpu.py --append

lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --extra dev pyproject.toml -o requirements.lock

schema: setup
	$(BIN)/python -m swsa_core.config

install-mini:
	cp resources/mini_models/*.safetensors resources/mini_models/*.json models/mini/
