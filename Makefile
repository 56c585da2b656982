# Two commands: `make demo` and `make test`. Each makes .venv if there is none.
PYTHON ?= python3
# cpu: PyTorch's CPU build. gpu: the registry's default build, which brings CUDA on Linux.
BUILD ?= cpu
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)
BIN := .venv/bin
INSTALLED := .venv/installed-$(BUILD)

.PHONY: demo test lint types pytest torture bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     a lottery-ticket campaign on MNIST-1D, about three minutes with the install"
	@echo "make test     the tests, the linter and the type checker"
	@echo "make torture  the slow proofs: kills, power cuts (as root), how often a verdict is false"
	@echo "make bench    timings of the trainer and its baselines; ARGS=... goes to pytest (tests/benchmarks/__init__.py)"
	@echo "make clean    remove .venv and caches (saved runs stay)"

demo: $(INSTALLED)
	$(BIN)/tickets run runs/mnist1d.toml

# The type checker uses one processor, beside the tests.
test: lint
	$(MAKE) --no-print-directory -j2 types pytest

# Threads of PyTorch that wait for work would keep a processor busy that the other worker's tests need.
pytest: export OMP_WAIT_POLICY = passive
pytest: $(INSTALLED)
	$(BIN)/python -m pytest -m "not torture and not bench" -n 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

torture: $(INSTALLED)
	$(BIN)/python -m pytest -m torture --timeout 0

# What pytest-benchmark prints is of whole calls; the tables at the end are what is meant.
bench: $(INSTALLED)
	$(BIN)/python -m pytest tests/benchmarks -m bench --timeout 0 -rs \
	  --benchmark-quiet --benchmark-min-time=0.5 --benchmark-min-rounds=5 $(ARGS)

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); tickets needs Python 3.11 or later: make PYTHON=python3.12 ..." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(MAKE) --no-print-directory torch-$(BUILD)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	rm -f .venv/installed-*
	touch $@

.PHONY: torch-cpu torch-gpu
# On Linux the registry's default build of PyTorch brings gigabytes of CUDA. The CPU build has the version
# "+cpu": pip takes it from wherever it is configured to look, and where it finds none, uv knows PyTorch's own
# index. Elsewhere the default build is the CPU build.
torch-cpu:
	@if $(BIN)/python -c 'import torch' 2>/dev/null; then \
	  echo "PyTorch is there already"; \
	elif [ "$$(uname -s)" != Linux ]; then \
	  $(BIN)/python -m pip install --quiet "$(TORCH)"; \
	elif $(BIN)/python -m pip install --quiet --constraint constraints.txt "$(TORCH)+cpu" 2>/dev/null; then \
	  :; \
	elif $(BIN)/python -m pip install --quiet uv && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu --constraint constraints.txt "$(TORCH)"; then \
	  :; \
	else \
	  echo "no CPU build of $(TORCH) could be installed; 'make BUILD=gpu ...' takes the default build (several GB)" >&2; exit 1; \
	fi

torch-gpu:
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "$(TORCH)"
