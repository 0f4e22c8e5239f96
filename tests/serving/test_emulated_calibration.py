"""Step times from measurements: recovered where they are known, and near enough where they were published."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.errors import InputError
from holdfast.model.measurements import Measurement, read_measurements
from holdfast.serving.emulated import calibration, step_fit, unmeasured
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.calibration import Split
from holdfast.serving.emulated.step_fit import Held
from holdfast.serving.emulated.step_time import LinearStep
from holdfast.serving.emulated.unmeasured import Wanted

PUBLISHED = Path(__file__).parents[2] / "examples" / "gpt-oss-20b-g5" / "measurements.csv"
ROWS = read_measurements(PUBLISHED.read_text(encoding="utf-8"), where=PUBLISHED.name)
UNITS = tuple(dict.fromkeys(row.unit for row in ROWS))
TRUE = LinearStep(0.01, 0.0004, 0.00005, 1e-7)
DEVICE = ContinuousBatching(
    TRUE, max_num_seqs=256, max_num_batched_tokens=2048, max_model_len=4096, kv_blocks=20000, max_queued=100
)
NOTHING = Split(0.0, 0.0, "nothing")


def wanted(unit: str) -> Wanted:
    row = next(row for row in ROWS if row.unit == unit)
    assert row.instance_type is not None
    instance = catalog.instance_type(row.instance_type)
    return Wanted(
        models.architecture("openai/gpt-oss-20b"),
        instance,
        catalog.accelerator(instance.accelerator),
        tensor_parallel=row.tensor_parallel,
    )


def test_the_file_has_the_24_published_points() -> None:
    assert (len(ROWS), len(UNITS)) == (24, 4)


@pytest.mark.parametrize("unit", UNITS)
def test_the_emulated_sweep_is_within_15_percent_of_published_rate_and_latency_up_to_120(unit: str) -> None:
    levels = calibration.levels([row for row in ROWS if row.unit == unit], where=PUBLISHED.name, up_to=120)
    device = unmeasured.profile(wanted(unit)).device
    assert isinstance(device, ContinuousBatching)
    result = calibration.calibrate(device, levels, unmeasured.split(wanted(unit), 200), where=PUBLISHED.name)
    assert [each.level.clients for each in result.checks] == [10, 20, 40, 80, 120]
    for each in result.checks:
        # Visible with `pytest -s`.
        print(f"{unit} {each.level.clients}: {each.rate_miss:+.1%} {each.latency_miss:+.1%}")  # noqa: T201
        assert abs(each.rate_miss) < 0.15
        assert abs(each.latency_miss) < 0.15


def loop(clients: int, prompt: int, outputs: int) -> Measurement:
    """What a device with TRUE would publish."""
    held = Held(clients, 0.0, prompt, outputs)
    latency_s = step_fit.residences_s(TRUE, [held])[0]
    return Measurement(
        row=clients,
        unit="u",
        concurrency=clients,
        rate_per_s=clients / latency_s,
        latency_avg_s=latency_s,
        input_tokens=prompt,
        output_tokens=outputs,
    )


def test_levels_of_different_lengths_give_back_all_four_coefficients() -> None:
    rows = [loop(n, p, o) for n in (1, 10, 60) for p, o in ((100, 50), (1000, 50), (200, 400))]
    fit = step_fit.fit_all([level.held for level in calibration.levels(rows, where="f")])
    assert fit.worst_miss < 1e-6
    assert (fit.step.base_s, fit.step.per_sequence_s) == pytest.approx((0.01, 0.0004), rel=1e-3)
    assert (fit.step.per_prefill_token_s, fit.step.per_kv_token_s) == pytest.approx((0.00005, 1e-7), rel=1e-2)


def test_an_emulated_sweep_of_such_a_fit_is_near_what_made_it() -> None:
    levels = calibration.levels([loop(n, 200, 100) for n in (1, 8, 64)], where="f")
    assert calibration.calibrate(DEVICE, levels, NOTHING, where="f").worst_miss < 0.03


def test_a_loop_that_was_not_full_is_emulated_with_clients_that_pause() -> None:
    (level, _) = calibration.levels(
        [
            Measurement(
                1, "u", concurrency=100, rate_per_s=8.0, latency_avg_s=9.0, input_tokens=200, output_tokens=100
            ),
            Measurement(2, "u", concurrency=10, rate_per_s=2.0, latency_avg_s=5.0, input_tokens=200, output_tokens=100),
        ],
        where="f",
    )
    assert level.held.in_flight == pytest.approx(72)
    assert level.think_s == pytest.approx(100 / 8 - 9)


def test_what_the_slope_leaves_is_all_that_prefill_and_cache_get() -> None:
    levels = calibration.levels([loop(n, 200, 100) for n in (1, 8, 64)], where="f")
    result = calibration.calibrate(DEVICE, levels, Split(1.0, 0.0, "a bad guess"), where="f")
    assert isinstance(result.device.step, LinearStep)
    assert result.device.step.per_sequence_s == pytest.approx(0.0, abs=1e-12)
    assert "all that the slope leaves" in result.basis


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latency_avg_s": None, "concurrency": None}, "two of concurrency"),
        ({"input_tokens": None}, "needs input_tokens"),
        ({"replicas": 2}, "of 2 replicas"),
        ({}, "cannot be fitted"),
    ],
)
def test_rows_that_are_no_level_are_named(change: dict[str, object], words: str) -> None:
    fields: dict[str, object] = {
        "concurrency": 4, "rate_per_s": 2.0, "latency_avg_s": 2.0, "input_tokens": 10, "output_tokens": 10,
    }  # fmt: skip
    with pytest.raises(InputError, match=words):
        calibration.levels([Measurement(row=3, unit="u", **{**fields, **change})], where="f")  # type: ignore[arg-type]


def test_latency_that_falls_with_load_cannot_be_fitted() -> None:
    rows = [
        Measurement(n, "u", concurrency=n, latency_avg_s=10.0 / n, input_tokens=10, output_tokens=10) for n in (1, 2, 4)
    ]
    with pytest.raises(InputError, match="cannot be fitted"):
        calibration.calibrate(DEVICE, calibration.levels(rows, where="f"), NOTHING, where="f")


def test_a_unit_that_nobody_measured_steps_as_the_roofline_says() -> None:
    instance = catalog.instance_type("g6e.xlarge")
    profile = unmeasured.profile(
        Wanted(models.architecture("meta-llama/Llama-3.1-8B"), instance, catalog.accelerator(instance.accelerator))
    )
    assert isinstance(profile.device, ContinuousBatching)
    step = profile.device.step
    # 16 GB of weights over 864 GB/s: no step is shorter than reading them.
    assert 0.0186 < step.step_s(1, 0, 200) < 0.035
    assert step.step_s(64, 0, 64 * 1000) > step.step_s(64, 0, 64 * 100)
    assert step.step_s(1, 2048, 200) > 3 * step.step_s(1, 0, 200)
    assert profile.device.kv_blocks * 16 > 100_000
    assert "estimate" in profile.source


def test_a_model_that_does_not_fit_is_refused() -> None:
    instance = catalog.instance_type("g5.xlarge")
    with pytest.raises(InputError, match="does not fit"):
        unmeasured.profile(
            Wanted(models.architecture("meta-llama/Llama-3.3-70B-Instruct"), instance, catalog.accelerator("a10g"))
        )
