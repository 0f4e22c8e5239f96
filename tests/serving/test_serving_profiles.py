"""The built-in profiles against the published figures that they come from."""

from __future__ import annotations

import pytest

from holdfast.model.errors import InputError
from holdfast.model.measurements import Measurement
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.engine import Job
from holdfast.serving.emulated.profiles import Profile, load_profile, profile_names
from holdfast.serving.emulated.slots import FixedWork
from holdfast.serving.emulated.step_fit import fit_table
from holdfast.serving.emulated.step_time import LinearStep

LANGUAGE = ("gpt-oss-20b-g5-8xlarge", "gpt-oss-20b-g5-12xlarge")


def fitted_points(profile: Profile) -> list[Measurement]:
    assert profile.fit is not None
    return [point for point in profile.published if (point.concurrency or 0) <= profile.fit.highest_concurrency]


def closed_loop_per_s(profile: Profile, concurrency: int, horizon_s: float = 400.0) -> float:
    """Requests per second of the profile's own engine, on virtual time, after a fifth of it to settle."""
    assert profile.fit is not None
    prompt, outputs = int(profile.fit.prompt_tokens), int(profile.fit.output_tokens)
    engine = profile.device.engine()
    for key in range(concurrency):
        engine.submit(Job(key, prompt, outputs), 0.0)
    submitted, done = concurrency, 0
    while (now_s := engine.next_s()) < horizon_s:
        for step in engine.advance(now_s):
            for _ in step.finished:
                engine.submit(Job(submitted, prompt, outputs), now_s)
                submitted += 1
                done += now_s > horizon_s / 5
    return done / (horizon_s * 4 / 5)


@pytest.mark.parametrize(
    ("name", "per_minute"),
    [
        ("sd21-inf2-neuronx", 105),
        ("sd21-trn1-neuronx", 130),
        ("sd21-g5-triton", 90),
        ("sd21-g6-triton", 61),
        ("sd21-g5-cuda", 60),
    ],
)
def test_image_units_complete_the_published_count_per_minute(name: str, per_minute: int) -> None:
    device = load_profile(name).device
    assert isinstance(device, FixedWork)
    engine = device.engine()
    engine.submit(Job(0, 0, 1), 0.0)
    engine.submit(Job(1, 0, 1), 0.0)
    done = 0
    while (now_s := engine.next_s()) <= 60.001:
        done += len(engine.advance(now_s))
        engine.submit(Job(done + 1, 0, 1), now_s)
    assert done == per_minute


@pytest.mark.parametrize("name", LANGUAGE)
def test_stored_coefficients_are_the_fit_to_the_published_table(name: str) -> None:
    profile = load_profile(name)
    assert isinstance(profile.device, ContinuousBatching)
    step = profile.device.step
    assert isinstance(step, LinearStep)
    assert profile.fit is not None
    fit = fit_table(
        fitted_points(profile),
        prompt_tokens=profile.fit.prompt_tokens,
        output_tokens=profile.fit.output_tokens,
        per_prefill_token_s=step.per_prefill_token_s,
    )
    assert step.base_s == pytest.approx(fit.step.base_s, rel=1e-4)
    assert step.per_sequence_s == pytest.approx(fit.step.per_sequence_s, rel=1e-4)
    assert profile.fit.worst_miss == pytest.approx(fit.worst_miss, abs=5e-4)


@pytest.mark.parametrize("name", LANGUAGE)
def test_emulated_sweep_is_within_15_percent_of_every_published_rate(name: str) -> None:
    profile = load_profile(name)
    misses = {}
    for point in fitted_points(profile):
        assert point.concurrency is not None
        assert point.rate_per_s is not None
        misses[point.concurrency] = closed_loop_per_s(profile, point.concurrency) / point.rate_per_s - 1
    # Visible with `pytest -s`.
    print(f"\n{name}: " + ", ".join(f"{level}: {miss:+.1%}" for level, miss in misses.items()))  # noqa: T201
    assert set(misses) == {10, 20, 40, 80, 120}
    assert max(abs(miss) for miss in misses.values()) < 0.15


@pytest.mark.parametrize("name", LANGUAGE)
def test_output_tokens_of_the_fit_are_the_published_tokens_per_request(name: str) -> None:
    profile = load_profile(name)
    assert profile.fit is not None
    per_request = [(point.output_tokens_per_s or 0.0) / (point.rate_per_s or 1.0) for point in fitted_points(profile)]
    assert profile.fit.output_tokens == pytest.approx(sum(per_request) / len(per_request), abs=0.5)


def test_a_fit_recovers_the_line_that_made_the_points() -> None:
    points = [
        Measurement(row=1, unit="u", concurrency=n, rate_per_s=n / (100 * (0.01 + n * (0.0002 + 0.0001 * 2))))
        for n in (1, 7, 30, 100)
    ]
    fit = fit_table(points, prompt_tokens=200, output_tokens=100, per_prefill_token_s=0.0001)
    assert (fit.step.base_s, fit.step.per_sequence_s) == pytest.approx((0.01, 0.0002))
    assert fit.worst_miss < 1e-9


def test_a_fit_spreads_its_worst_miss_over_three_points() -> None:
    fit = fit_table(
        fitted_points(load_profile("gpt-oss-20b-g5-12xlarge")),
        prompt_tokens=200,
        output_tokens=127,
        per_prefill_token_s=0.00005,
    )
    # Chebyshev: a line is the best one when its worst miss occurs three times with alternating sign.
    worst = [miss for miss in fit.misses if abs(miss) == pytest.approx(fit.worst_miss, rel=1e-3)]
    assert [miss > 0 for miss in worst] == [True, False, True]


@pytest.mark.parametrize("levels", [[], [10], [10, 10]])
def test_a_fit_needs_two_levels(levels: list[int]) -> None:
    points = [Measurement(row=1, unit="u", concurrency=level, rate_per_s=1.0) for level in levels]
    with pytest.raises(ValueError, match="two levels"):
        fit_table(points, prompt_tokens=1, output_tokens=1, per_prefill_token_s=0.0)


def test_a_prefill_cost_above_the_slope_is_refused() -> None:
    points = fitted_points(load_profile("gpt-oss-20b-g5-8xlarge"))
    with pytest.raises(ValueError, match="lower the prefill cost"):
        fit_table(points, prompt_tokens=200, output_tokens=126, per_prefill_token_s=0.01)


def test_every_profile_names_its_source_its_caveats_and_a_cold_start_of_minutes() -> None:
    assert len(profile_names()) == 7
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name
        assert profile.source
        assert len(profile.caveats) >= 3
        assert 120 <= profile.cold_start_s <= 900
        assert profile.published


def test_an_unknown_unit_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="sd21-inf2-neuronx"):
        load_profile("sd21-inf2")


def test_scaling_divides_service_and_cold_start() -> None:
    profile = load_profile("sd21-inf2-neuronx").scaled(10)
    assert isinstance(profile.device, FixedWork)
    assert profile.device.service_s == pytest.approx(60 / 105 / 10)
    assert profile.cold_start_s == pytest.approx(60)
