# The front door. Every word is one job; CONTRIBUTING.md says when to use which.
PYTHON ?= python3
BIN := .venv/bin
FUZZ_TARGETS ?= requests answers config predictions
FUZZ_ARGS ?= -max_total_time=300  # options of libFuzzer, for each target
BENCH_ARGS ?=  # of `make bench`, for example --quick or --case small
CRASH_ARGS ?= --every 25 --twice  # of `make crash`, for example --all or --story paused
COMPATIBILITY_ARGS ?=  # of `make compatibility`, for example --only mlserver or --write
CALIBRATE_ARGS ?=  # of `make calibrate`, for example --runs 3000 or --only errors

# For the images: Python and system as in their Dockerfiles, the versions of constraints.txt, and the
# hashes of every file of theirs that the index offers, for any machine.
COMPILE := .lock/bin/uv pip compile --quiet --upgrade --python-version 3.12 --python-platform linux \
	--generate-hashes --no-annotate --custom-compile-command 'make lock' --constraint constraints.txt
IMAGES := gateway model_workers

.PHONY: install demo test check bench calibrate compatibility crash fuzz models retrain dashboards screenshots
.PHONY: lock sbom clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[workers,dev]'
	touch $@

demo: install
	$(BIN)/canary demo $(if $(STORY),--story $(STORY))

test: install
	tests/install-packages
	$(BIN)/pytest --numprocesses auto

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

compatibility: install
	$(BIN)/model-worker train
	$(BIN)/python -m tests.compatibility $(COMPATIBILITY_ARGS)

crash: install
	$(BIN)/python -m tests.crash $(CRASH_ARGS) 2> /dev/null

fuzz: install
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	set -e; for target in $(FUZZ_TARGETS); do $(BIN)/python -m tests.fuzz $$target $(FUZZ_ARGS); done

models: install
	$(BIN)/model-worker train && $(BIN)/model-worker compare

retrain: install
	@BIN=$(BIN) scripts/retrain

dashboards: install
	$(BIN)/python -m monitoring.grafana

screenshots: install
	tests/install-packages
	$(BIN)/python -m tests.browser.screenshots

lock:
	$(PYTHON) -m venv .lock && .lock/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	$(COMPILE) pyproject.toml gateway/requirements.in --output-file gateway/requirements.txt
	$(COMPILE) model_workers/requirements.in --output-file model_workers/requirements.txt

sbom: $(IMAGES:%=build/%.cdx.json)

build/%.cdx.json: %/requirements.txt
	$(PYTHON) -m venv .lock && .lock/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
	rm -rf build/$*.venv && $(PYTHON) -m venv --without-pip build/$*.venv
	.lock/bin/pip --python build/$*.venv install --quiet --disable-pip-version-check --require-hashes -r $<
	.lock/bin/pip --python build/$*.venv uninstall --quiet --yes setuptools
	.lock/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
		--output-reproducible --output-file $@ build/$*.venv
	rm -rf build/$*.venv

clean:
	rm -rf .venv .lock artefacts build *.egg-info
