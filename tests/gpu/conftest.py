"""Tests that need an NVIDIA GPU: `make test-gpu` runs them. Elsewhere there are none to be skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.serving.hosted.devices import choose
from holdfast.serving.hosted.devices.torch_device import TorchDevice

collect_ignore_glob = [] if os.environ.get("HOLDFAST_TEST_GPU") else ["test_gpu_*.py"]
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


@pytest.fixture(scope="session")
def gpu() -> TorchDevice:
    """Raises InputError where there is none: asked for, a test that cannot run fails."""
    device = choose.choose("cuda")
    assert isinstance(device, TorchDevice)
    return device
