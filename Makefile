# Two commands do all the set-up: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CHECKOV := .venv-checkov
SCANNED := tests/manifests/golden src/holdfast/manifests/terraform src/holdfast/manifests/images
SERVED := tests/serving/hosted
OUT ?= holdfast-demo

.PHONY: demo test test-serve test-faults test-cluster test-gpu check checkov coverage clean

demo: $(VENV)/.installed
	$(BIN)/holdfast demo --out $(OUT)

test: $(VENV)/.installed-dev
	$(BIN)/pytest -m "not live" --numprocesses 2 --ignore $(SERVED)
	$(BIN)/pytest -m live --numprocesses 2 --dist loadscope --ignore $(SERVED)

# The model server, which needs PyTorch: on Linux pip may bring gigabytes of it, so that `make test` does without.
test-serve: $(VENV)/.installed-serve
	$(BIN)/pytest $(SERVED) --numprocesses 2 --dist loadscope

# The operator, failed by its API server at every turn: all the runs of which `make test` plays some.
test-faults: $(VENV)/.installed-dev
	HOLDFAST_FAULT_SEEDS=200 $(BIN)/pytest tests/control/test_operator_faults.py --numprocesses 2

# For a control plane without nodes of its own: scenarios make nodes and take them away. No kubelet is needed.
test-cluster: $(VENV)/.installed-dev
	@test -n "$(KUBECONFIG)" || { echo "give a control plane: make test-cluster KUBECONFIG=FILE" >&2; exit 2; }
	HOLDFAST_TEST_KUBECONFIG="$(abspath $(KUBECONFIG))" $(BIN)/pytest tests/cluster -m cluster

# On a machine with an NVIDIA GPU, of 24 GB or more for the sweep, whose results go to benchmarks/results.
test-gpu: $(VENV)/.installed-serve
	HOLDFAST_TEST_GPU=1 $(BIN)/pytest tests/gpu -m gpu

coverage: $(VENV)/.installed-serve
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report --skip-covered --skip-empty

check: $(VENV)/.installed-serve
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

checkov: $(CHECKOV)/.installed
	$(CHECKOV)/bin/checkov --config-file src/holdfast/manifests/checks/checkov.yaml $(SCANNED:%=--directory %)

clean:
	rm -rf $(VENV) $(CHECKOV) build dist holdfast-demo holdfast-runs .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[simulate]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/.installed-serve: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[serve,page]'
	touch $@

# Apart from the others, because it pins many of its dependencies. A minute, once.
$(CHECKOV)/.installed: .ci/checkov.txt
	$(PYTHON) -m venv $(CHECKOV)
	$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement .ci/checkov.txt
	touch $@
