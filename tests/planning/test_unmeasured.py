"""Estimates beside measurements of the same configuration."""

import pytest

from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import UnitEvidence
from holdfast.planning.unmeasured import against_measured


def known(unit: str, limit_per_s: float, error: float | None = None) -> UnitEvidence:
    return UnitEvidence(unit, limit_per_s, 1.0, 1, None, None, "row", "page", estimate_error=error)


@pytest.mark.parametrize("guess_per_s, tensor_parallel, told", [(25.3, 4, True), (12.0, 4, False), (25.3, 8, False)])
def test_an_estimate_far_above_what_its_equal_was_measured_at_is_told(
    fleet: InferenceFleet, guess_per_s: float, tensor_parallel: int, told: bool
) -> None:
    other = fleet.unit("quad").model_copy(update={"name": "other", "tensor_parallel": tensor_parallel})
    both = fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"units": (fleet.unit("quad"), other)})})

    found = against_measured(both, [known("other", guess_per_s, 0.24)], [known("quad", 9.0)])

    assert [one.message for one in found] == (
        [
            "The estimate of 'other', 25.3/s, is 2.8 times what was measured of 'quad', the same devices and "
            "configuration: 9/s."
        ]
        if told
        else []
    )
