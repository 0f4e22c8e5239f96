"""Scalers that cannot scale are told of."""

from __future__ import annotations

from typing import Any

import pytest

from control.accounts import WELL, account
from holdfast.control.operator.seeing import scalers
from holdfast.control.operator.seeing.seen import Seen
from holdfast.control.operator.telling.conditions import conditions

Object = dict[str, Any]


def says(kind: str, status: str, reason: str) -> Object:
    return {"status": {"conditions": [{"type": kind, "status": status, "reason": reason, "message": f"{reason}."}]}}


@pytest.mark.parametrize(
    ("scaled", "autoscaler", "told"),
    [
        (says("Ready", "True", "ScaledObjectReady"), says("ScalingActive", "True", "ValidMetricFound"), ()),
        ({}, {}, ()),  # nobody has looked at them yet
        (
            says("Ready", "False", "ScaledObjectCheckFailed"),
            {},
            ("ScaledObject sd-inf2 does not scale: ScaledObjectCheckFailed",),
        ),
        (
            {},
            says("ScalingActive", "False", "FailedGetExternalMetric"),
            ("HorizontalPodAutoscaler keda-hpa-sd-inf2 does not scale: FailedGetExternalMetric",),
        ),
        (
            {},
            says("AbleToScale", "False", "FailedGetScale"),
            ("HorizontalPodAutoscaler keda-hpa-sd-inf2 does not scale: FailedGetScale",),
        ),
        ({}, says("ScalingActive", "False", "ScalingDisabled"), ()),  # at 0 replicas
    ],
)
def test_what_a_scaler_says_of_itself_is_read(scaled: Object, autoscaler: Object, told: tuple[str, ...]) -> None:
    found = Seen({}, managed={("ScaledObject", "sd-inf2"): scaled}, autoscalers={"keda-hpa-sd-inf2": autoscaler})
    assert scalers.troubles(found) == told


def test_a_fleet_whose_scaler_fails_is_degraded() -> None:
    look = account(*WELL, unscaled=("ScaledObject sd-inf2 does not scale: no metric",))
    degraded = next(one for one in conditions(look, ()) if one.type == "Degraded")
    assert (degraded.status, degraded.reason) == ("True", "ScalerFailed")
    assert degraded.message == "ScaledObject sd-inf2 does not scale: no metric."
