"""A shape of 8B in the server's slots: what a GPU holds, where it breaks, and how near to the roofline that is."""

from __future__ import annotations

import pytest
import torch
from benchmarks import gpu_serving

from gpu.conftest import RESULTS
from holdfast.serving.hosted.devices.torch_device import TorchDevice

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize("framework", ["eager", "compile"])
def test_an_8b_shape_is_swept_to_its_breaking_point_under_the_roofline(gpu: TorchDevice, framework: str) -> None:
    needed_gib = 16 + 2
    if torch.cuda.mem_get_info(gpu.place)[0] < needed_gib * 2**30:
        pytest.skip(f"an 8B model in 16 bits needs {needed_gib} GiB")

    result = gpu_serving.main(["--device", "cuda", "--framework", framework, "--most", "64", "--out", str(RESULTS)])

    levels = result["levels"]
    assert result["model"]["parameters"] == pytest.approx(8.03e9, rel=0.01)
    assert [level["concurrency"] for level in levels] == [2**number for number in range(len(levels))]
    assert result["breaking_point"]["cause"] in {"itl", "ttft", "plateau", "memory", "none"}
    for level in levels:
        if level["roofline"] is not None:
            # Nothing is faster than the peaks: a share above 1 is an error of the clock or of the formula.
            assert 0.02 < level["roofline"]["share"] <= 1.0
