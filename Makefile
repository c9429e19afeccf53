# Two commands do all the set-up: `make bench` measures, `make test` checks.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SELDOM := '/tests/|/transformers/models/(?!auto|qwen)'  # files that few import: those compile them
RAY := build/ray

.PHONY: atlas bench fleet test lint types unit test-slow timed gate benchmarks self-test docs site refresh clean

bench: $(VENV)/.runs  ## virtual environment, install, the main job
	$(BIN)/vlbench run --scenario multi-image

test: lint types unit  ## virtual environment, install, lint, types, tests

lint: $(VENV)/.develops
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.develops
	$(BIN)/mypy

unit: $(VENV)/.develops
	$(BIN)/python -m compileall -q vlbench implementations  # the tests' processes keep nothing that they compile
	$(BIN)/pytest -n 2 --dist worksteal --ignore tests/benchmarks

test-slow: $(VENV)/.develops  ## what takes long and seldom tells, and some with processes that start as users start them
	$(BIN)/python -m compileall -q vlbench implementations
	$(BIN)/pytest -n 2 --dist worksteal -m slow --ignore tests/benchmarks
	VLBENCH_TESTS_COLD=1 $(BIN)/pytest -n 2 -m cold tests/traps

timed: $(VENV)/.develops  ## verdicts on real times, end to end, on a machine that does nothing else
	$(BIN)/pytest -m timed

gate: $(VENV)/.develops  ## our towers against results/baselines: counters exactly, times for information
	$(BIN)/vlbench gate
	$(BIN)/vlbench gate --times advisory --baseline results/baselines/times/qwen2.5-vl-tiny.json

atlas: $(VENV)/.develops  ## the vision towers of the transformers that is installed against results/atlas: 80 seconds
	$(BIN)/vlbench atlas --check

benchmarks: $(VENV)/.develops  ## speed and memory claims, by pytest-benchmark, one process
	$(BIN)/pytest tests/benchmarks --benchmark-only

self-test: $(VENV)/.runs  ## false alarms and power on this machine, which should do nothing else: 20 minutes
	$(BIN)/vlbench self-test --markdown docs/self-test.md

docs: $(VENV)/.develops  ## the generated documentation
	$(BIN)/python -m docs.generate

site: $(VENV)/.develops  ## the pages as a site in build/site, which a browser reads from there; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

fleet: $(RAY)/.runs  ## parts of a plan on a Ray of this machine, whose workers are killed and held up: five minutes
	$(RAY)/bin/python -m pytest -m "slow or not slow" tests/api/test_ray_tasks.py tests/api/test_fleet.py

refresh: $(VENV)/.develops  ## every stored result, baseline and figure afresh: over three hours on a machine that does nothing else
	$(BIN)/python -m results.refresh

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.runs: $(VENV)/.venv pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(VENV)/.develops: $(VENV)/.venv pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m compileall -qq -j 2 -x $(SELDOM) $(VENV)/lib || true  # a template in Python is no Python
	touch $@ $(VENV)/.runs

# Ray in an environment of its own, laid upon that of the tests, which stays as it is.
$(RAY)/.runs: $(VENV)/.develops
	$(BIN)/python -m venv $(RAY)
	below=$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))"); \
	here=$$($(RAY)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))"); \
	echo "import site; site.addsitedir('$$below')" > "$$here/below.pth"
	$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[ray]"
	touch $@
