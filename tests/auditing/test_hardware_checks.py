"""What hardware can do and hold, and who shares it: each bound checked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast import catalog
from holdfast.auditing import equipment, hardware, levels, limits, physics, prices, reach
from holdfast.auditing.equipment import known_model
from holdfast.model.architecture import Dtype, FixedWork, ModelArchitecture
from holdfast.model.findings import Severity
from holdfast.model.fleet import CapacityType
from holdfast.model.measurements import Measurement

LLAMA = "meta-llama/Llama-3.1-8B"


def row(**figures: object) -> Measurement:
    stated = {"row": 2, "unit": "u", "model": LLAMA, "accelerator": "a10g", "tensor_parallel": 4, "rate_per_s": 1.0}
    return Measurement(**(stated | figures))  # type: ignore[arg-type]


def test_a_step_reads_the_weights_but_the_input_embedding() -> None:
    model = known_model(LLAMA)
    assert isinstance(model, ModelArchitecture)

    # 8.03e9 parameters, of which 128,256 x 4,096 are the input embedding, 2 bytes each.
    assert physics.active_weight_bytes(model) == pytest.approx((8.03e9 - 128_256 * 4_096) * 2, rel=0.001)


def test_of_a_mixture_a_step_reads_the_active_experts_only() -> None:
    model = known_model("openai/gpt-oss-20b")
    assert isinstance(model, ModelArchitecture)

    # 1.80e9 dense weights of 2 bytes without the input embedding, and 4 of 32 experts at 4.25 bits.
    dense = model.parameters - model.expert_parameters - 201_088 * 2_880
    assert physics.active_weight_bytes(model) == pytest.approx(
        2 * dense + model.expert_parameters / 8 * 4.25 / 8, rel=0.01
    )


def test_the_least_latency_is_prefill_and_a_reading_of_the_weights_for_each_further_token() -> None:
    stated = row(input_tokens=16_000, output_tokens=512, latency_p95_s=1.5)
    behind = equipment.of(stated, known_model(LLAMA))
    (latency, *_) = physics.bounds(stated, behind, None)

    prefill_s = 16_000 * 2 * 6.98e9 / (4 * 70e12)  # without the head
    decode_s = 511 * (15.0e9 + 16_256 * 131_072) / (4 * 600e9)  # 131,072 bytes of KV cache a token
    assert latency.factor == pytest.approx((prefill_s + decode_s) / 1.5, rel=0.01)


@pytest.mark.parametrize(
    "latency_s, severity",
    [
        (0.70, None),  # 99 x 6.26 ms = 0.62 s of reading at least
        (0.12, Severity.SUSPICIOUS),  # 5 times: weights in 4 bits and two tokens to a pass would do it
        (0.021, Severity.SUSPICIOUS),  # 30 times: and so would 8 tokens to a pass
        (0.018, Severity.IMPOSSIBLE),  # 34 times: 4 bits and 8 tokens at once give 32
    ],
)
def test_a_row_beyond_its_hardware_is_suspicious_before_it_is_impossible(
    latency_s: float, severity: Severity | None
) -> None:
    stated = row(output_tokens=100, latency_avg_s=latency_s)

    found = limits.physical_limit([stated], known_model, "m.csv").findings

    assert [finding.severity for finding in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    "figures, impossible",
    [
        ({"max_num_seqs": 8, "rate_per_s": 8 / 0.62 * 15}, False),  # 4 bits x 4 tokens in a batch: 16
        ({"max_num_seqs": 8, "rate_per_s": 8 / 0.62 * 17}, True),
        ({"max_num_seqs": 1, "rate_per_s": 1 / 0.62 * 17}, False),  # 8 tokens to a pass of a request by itself
        ({"accelerator": "inferentia2", "max_num_seqs": 8, "rate_per_s": 8 / 0.422 * 7.5}, False),  # 8 bits: 8
        ({"accelerator": "inferentia2", "max_num_seqs": 8, "rate_per_s": 8 / 0.422 * 8.5, "tensor_parallel": 8}, True),
        ({"model": "openai/gpt-oss-20b", "latency_avg_s": 0.02}, False),  # 99 x 2.4 GB / 2.4 TB/s, in 4 bits already
    ],
)
def test_what_is_impossible_allows_for_every_shortcut_at_once(figures: dict[str, object], impossible: bool) -> None:
    figures = {"tensor_parallel": 8 if figures.get("accelerator") else 4} | figures

    found = limits.physical_limit([row(output_tokens=100, **figures)], known_model, "m.csv").findings

    assert any(finding.severity is Severity.IMPOSSIBLE for finding in found) is impossible


def test_the_rounding_of_a_printed_figure_makes_nothing_impossible() -> None:
    stated = row(output_tokens=100, max_num_seqs=8, rate_per_s=8 / 0.62 * 16.3)
    exact, printed = stated, replace(stated, last_digit={"rate_per_s": 10.0})

    severities = [limits.physical_limit([one], known_model, "m.csv").findings[0].severity for one in (exact, printed)]

    assert severities == [Severity.IMPOSSIBLE, Severity.SUSPICIOUS]


def measured(**figures: object) -> Measurement:
    """Eight requests at once, 200 tokens in and 100 out: 1.5 s by the fit of an A100 under vLLM."""
    stated = {"concurrency": 8, "input_tokens": 200, "output_tokens": 100, "rate_per_s": None, "tensor_parallel": 1}
    return row(**{"accelerator": "a100-80gb", **stated, **figures})


@pytest.mark.parametrize("share, found", [(1.5, False), (0.9, False), (0.5, True)])
def test_a_row_that_no_measured_server_comes_near_is_suspicious(share: float, found: bool) -> None:
    least = reach.fastest(measured(), equipment.of(measured(), known_model(LLAMA)))
    assert least is not None
    stated = measured(latency_avg_s=share * least.request_s, rate_per_s=8 / (share * least.request_s))

    checked = reach.reached([stated], known_model, frozenset(), "m.csv")

    assert (checked.judged, bool(checked.findings)) == (1, found)
    assert all(finding.severity is Severity.SUSPICIOUS for finding in checked.findings)
    assert not reach.reached([stated], known_model, frozenset({stated.row}), "m.csv").findings  # said already


def test_what_the_best_server_needs_is_worked_out_by_hand() -> None:
    model = known_model(LLAMA)
    least = reach.fastest(measured(), equipment.of(measured(), model))
    assert least is not None and isinstance(model, ModelArchitecture)
    device, given = catalog.accelerator("a100-80gb"), least.fitted.coefficients
    assert device.memory_gb_per_s

    weights_s = 99 * 2 * (model.parameters - 128_256 * 4_096) / (device.memory_gb_per_s * 1e9 * given.memory)
    cache_s = 99 * 8 * 250 * 131_072 / (device.memory_gb_per_s * 1e9 * given.cache)
    overhead_s = 99 * (32 * given.layer_s + 8 * given.sequence_s + given.step_s)
    assert least.request_s == pytest.approx(weights_s + cache_s + overhead_s, rel=0.001)


@pytest.mark.parametrize("lacking", ["input_tokens", "output_tokens", "tensor_parallel", "accelerator", "concurrency"])
def test_a_row_that_does_not_say_enough_is_not_held_against_measured_servers(lacking: str) -> None:
    stated = measured(latency_avg_s=0.01, **{lacking: None})

    assert reach.reached([stated], known_model, frozenset(), "m.csv").judged == 0


def test_prompts_beyond_the_peak_may_come_from_a_cache_and_answers_may_not() -> None:
    prompts = row(input_tokens=16_000, output_tokens=2, rate_per_s=30.0)
    answers = row(input_tokens=2, output_tokens=16_000, rate_per_s=330.0, latency_avg_s=1e6)

    (cached,) = limits.physical_limit([prompts], known_model, "m.csv").findings
    (made,) = limits.physical_limit([answers], known_model, "m.csv").findings

    assert (cached.severity, made.severity) == (Severity.SUSPICIOUS, Severity.IMPOSSIBLE)
    assert "prefix cache" in cached.likely


def test_images_are_bounded_by_their_operations() -> None:
    image = FixedWork("image", 1e9, flops=35e12, steps=20, activation_bytes=0.0, weight_dtype=Dtype.FP16, source="test")
    fast = row(model="image", tensor_parallel=1, rate_per_s=105.0, latency_avg_s=0.67)
    slow = row(model="image", tensor_parallel=1, rate_per_s=105 / 60, latency_avg_s=0.67)

    (finding,) = limits.physical_limit([fast], lambda _: image, "m.csv").findings

    assert finding.likely == "The rate is per minute and labelled per second."
    assert not limits.physical_limit([slow], lambda _: image, "m.csv").findings


def test_a_model_that_is_not_known_is_not_judged() -> None:
    checked = limits.physical_limit([row(model="nobody/nothing", latency_avg_s=1e-9)], known_model, "m.csv")

    assert (checked.judged, checked.findings) == (0, ())


def test_weights_beyond_the_memory_are_found() -> None:
    checked = limits.memory([row(model="meta-llama/Llama-3.3-70B-Instruct", tensor_parallel=4)], known_model, "m.csv")

    (finding,) = checked.findings
    assert finding.severity is Severity.SUSPICIOUS  # 131 GiB in 89: four bits would fit
    assert "89.4 GiB" in finding.expected


@pytest.mark.parametrize("name", ["meta/llama-3.1-8B", "LLAMA-3.1-8b", "meta-llama/llama-3.1-8b"])
def test_a_model_is_known_by_its_name_whoever_is_said_to_own_it(name: str) -> None:
    assert known_model(name) == known_model(LLAMA)


@pytest.mark.parametrize(
    "figures, severity, said",
    [
        ({"instance_type": "g5.12xlarge", "accelerator": "l4"}, Severity.IMPOSSIBLE, "carries a10g, and l4 is stated"),
        ({"instance_type": "g5.8xlarge", "tensor_parallel": 4}, Severity.SUSPICIOUS, "g5.8xlarge has room for 1"),
        (
            {"instance_type": "p4d.24xlarge", "accelerator": "a100-40gb", "tensor_parallel": 16},
            Severity.NOTE,
            "p4d.24xlarge has room for 8",
        ),
        ({"instance_type": "g5.13xlarge"}, Severity.NOTE, "the nearest is g5."),
        ({"accelerator": "a10x"}, Severity.NOTE, "no accelerator 'a10x'"),
        ({"instance_type": "g5.12xlarge", "tensor_parallel": 3}, Severity.SUSPICIOUS, "TP 3 does not divide the 32"),
    ],
)
def test_hardware_that_contradicts_itself_is_found(figures: dict[str, object], severity: Severity, said: str) -> None:
    (finding,) = hardware.hardware([row(**figures)], known_model, "m.csv").findings

    assert finding.severity is severity
    assert said in finding.message


@pytest.mark.parametrize(
    "instance, tensor_parallel, likely",
    [
        ("trn2.48xlarge", 64, None),  # 16 devices of four logical cores
        ("trn2.48xlarge", 128, "or each physical core is a rank (LNC=1)."),
        ("inf2.48xlarge", 32, "is another than stated."),
    ],
)
def test_more_ranks_than_an_instance_carries_are_suspicious(
    instance: str, tensor_parallel: int, likely: str | None
) -> None:
    device = catalog.instance_type(instance).accelerator
    stated = row(model=None, instance_type=instance, accelerator=device, tensor_parallel=tensor_parallel)

    found = hardware.hardware([stated], known_model, "m.csv").findings

    assert [finding.likely.endswith(likely) for finding in found if likely] == ([True] if likely else [])
    assert bool(found) is bool(likely)


@pytest.mark.parametrize(
    "instance, tensor_parallel, replicas, idle",
    [
        ("g5.48xlarge", 4, 1, "4 of the 8 devices"),
        ("g5.48xlarge", 4, 2, None),
        ("g5.12xlarge", 4, 1, None),
        ("inf2.48xlarge", 8, 3, None),  # 8 cores are 4 of its 12 devices
        ("inf2.48xlarge", 8, 1, "4 of the 12 devices"),
        ("trn2.48xlarge", 4, 16, None),  # a device has 4 logical cores
    ],
)
def test_idle_devices_are_counted_in_devices(
    instance: str, tensor_parallel: int, replicas: int, idle: str | None
) -> None:
    device = catalog.instance_type(instance).accelerator
    stated = row(
        model=None, instance_type=instance, accelerator=device, tensor_parallel=tensor_parallel, replicas=replicas
    )

    found = hardware.idle_devices([stated], "m.csv").findings

    assert [idle in finding.message for finding in found if idle] == ([True] if idle else [])
    assert bool(found) is bool(idle)


def ladder(unit: str, rates: list[float], **figures: object) -> list[Measurement]:
    users = [10, 20, 40, 80]
    return [
        row(row=n, unit=unit, model=None, concurrency=count, rate_per_s=rate, **figures)
        for n, (count, rate) in enumerate(zip(users, rates, strict=False), 2)
    ]


def test_a_unit_that_is_slower_than_its_equal_at_several_levels_is_found_once() -> None:
    rows = [*ladder("fast", [5, 10, 15, 16]), *ladder("slow", [5, 9.5, 10, 9])]

    (finding,) = levels.peers(rows, "m.csv").findings

    assert finding.message.startswith("slow has the devices and the configuration of fast")
    assert "-44%" in finding.message
    assert not levels.peers([*ladder("one", [5, 10]), *ladder("two", [2, 3], framework="other")], "m.csv").findings


def test_a_tail_that_shrinks_under_load_was_warm_up() -> None:
    tails = [9.5, 2.8, 5.0, 11.0]
    rows = [
        row(row=n, concurrency=users, latency_p99_s=tail_s)
        for n, (users, tail_s) in enumerate(zip([10, 20, 40, 80], tails, strict=True), 2)
    ]

    (finding,) = levels.warm_up(rows, "m.csv").findings

    assert (finding.row, finding.found) == (2, "p99 9.5 s")
    assert not levels.warm_up(rows[1:], "m.csv").findings


def test_throughput_that_falls_when_users_are_added_is_noted() -> None:
    (finding,) = levels.plateau(ladder("u", [5, 10, 12, 9]), "m.csv").findings

    assert "-25%" in finding.message
    assert not levels.plateau(ladder("u", [5, 10, 12, 11]), "m.csv").findings


def test_a_replica_over_two_instances_pays_for_both() -> None:
    price = catalog.price("p5.48xlarge", "us-east-1", CapacityType.ON_DEMAND).price_usd_per_h
    stated = row(
        model=None,
        accelerator="h100",
        instance_type="p5.48xlarge",
        tensor_parallel=8,
        pipeline_parallel=2,
        replicas=1,
        price_usd_per_h=2 * price,
    )

    assert equipment.of(stated, None).instances == 2
    assert not prices.price([stated], "us-east-1", "m.csv").findings
    assert not hardware.idle_devices([stated], "m.csv").findings
