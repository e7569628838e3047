# The front door. Every word is one job; CONTRIBUTING.md says when to use which.
PYTHON ?= python3
BIN := .venv/bin
FUZZ_TARGETS ?= requests answers config predictions
FUZZ_ARGS ?= -max_total_time=300  # options of libFuzzer, for each target
BENCH_ARGS ?=  # of `make bench`, for example --quick or --case small
CALIBRATE_ARGS ?=  # of `make calibrate`, for example --runs 3000 or --only errors

.PHONY: install demo test check bench calibrate fuzz models clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[workers,dev]'
	touch $@

demo: install
	$(BIN)/canary demo

test: install
	tests/install-packages
	$(BIN)/pytest

check: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/canary check routing.yaml
	$(MAKE) test

bench: install
	tests/install-packages benchmarks/packages.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

calibrate: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.calibration $(CALIBRATE_ARGS)

fuzz: install
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	set -e; for target in $(FUZZ_TARGETS); do $(BIN)/python -m tests.fuzz $$target $(FUZZ_ARGS); done

models: install
	$(BIN)/python -m model_workers.train

clean:
	rm -rf .venv artefacts build *.egg-info
