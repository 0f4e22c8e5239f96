"""The HPA's arithmetic."""

from __future__ import annotations

import pytest

from holdfast.simulation.autoscaler import Autoscaler
from holdfast.simulation.scenario import AutoscalerModel

MODEL = AutoscalerModel.model_validate({"lag": "0s"})


def fed(rate_per_s: float, *, model: AutoscalerModel = MODEL, until_s: int = 120) -> Autoscaler:
    scaler = Autoscaler(model, 2.0, 1, 50)
    for t_s in range(15, until_s + 1, 15):
        scaler.scrape(t_s, round(rate_per_s * t_s))
    return scaler


@pytest.mark.parametrize(
    ("rate", "current", "desired"),
    [
        (20.0, 9, 10),  # 20 / 2
        (20.0, 10, 10),
        (21.5, 10, 10),  # within 10 %
        (23.0, 10, 12),
        (200.0, 10, 15),  # at most half as many again in a minute
        (200.0, 1, 3),  # or two more
        (0.0, 1, 1),
    ],
)
def test_it_follows_the_rate_within_its_bounds(rate: float, current: int, desired: int) -> None:
    assert fed(rate).desired(120.0, current) == desired


def test_it_shrinks_only_to_the_most_that_was_wanted_lately() -> None:
    scaler = fed(20.0)
    assert scaler.desired(120.0, 10) == 10
    for t_s in range(135, 600, 15):
        scaler.scrape(t_s, 2400)
        if t_s <= 420:
            assert scaler.desired(t_s, 10) == 10, t_s
    assert scaler.desired(600.0, 10) == 9


def test_a_metric_that_is_not_scraped_any_more_changes_nothing() -> None:
    assert fed(20.0).desired(1000.0, 3) == 3


def test_the_lag_hides_what_is_new() -> None:
    late = AutoscalerModel.model_validate({"lag": "100s"})
    assert fed(20.0, model=late, until_s=60).desired(60.0, 3) == 3
