"""TP x batch: which configuration the TP rule takes, and what an instance of it gives."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.fleet import InferenceFleet
from holdfast.model.hardware import Accelerator, InstanceType, Offering
from holdfast.model.measurements import Measurement
from holdfast.model.packing import Packing
from holdfast.planning import parallelism
from holdfast.planning.grid import Configuration, GridCell, of_measurements
from holdfast.planning.tp_rule import choose

A10G = Accelerator("a10g", "nvidia", 22.35, 600, 70, 1, 1, None, "nvidia.com/gpu", "", ("g5",), "", "high")
NEURON = replace(A10G, name="inferentia2", cores_per_device=2)
TRAINIUM2 = replace(A10G, name="trainium2", cores_per_device=8, cores_per_rank=2)


def cell(
    tp: int, batch: int, rate: float, *, why_not: str = "", price: float | None = 16.0, latency: float = 1.0
) -> GridCell:
    shape = Configuration("a10g with vllm", "g5.48xlarge", tp, 1, batch)
    peak = rate * 2
    return GridCell(
        shape,
        "quad",
        8,
        tp,
        rate,
        None,
        latency,
        "p95",
        peak,
        None,
        price,
        why_not,
        "m.csv:2",
        Packing(8 // tp) if tp <= 8 else None,
    )


def equipment(
    hardware: dict[str, InstanceType], device: Accelerator = A10G
) -> dict[str, tuple[InstanceType, Accelerator]]:
    return {name: (instance, device) for name, instance in hardware.items()}


def row(number: int, tp: int, batch: int, rate: float, p95_s: float, unit: str = "quad") -> Measurement:
    return Measurement(
        row=number, unit=unit, tensor_parallel=tp, max_num_seqs=batch, rate_per_s=rate, latency_p95_s=p95_s
    )


def test_the_smallest_tp_that_meets_the_slo_wins_and_of_it_the_most_per_dollar() -> None:
    cells = [
        cell(1, 8, 1.0, why_not="latency p95 3 s above 2 s", latency=3.0),
        cell(1, 16, 1.2, why_not="latency p95 4 s above 2 s", latency=4.0),
        cell(2, 8, 3.0),
        cell(2, 16, 4.0),
        cell(4, 16, 10.0),
    ]

    (choice,) = choose(cells)

    assert choice.cell == cells[3]
    # tp2-bs16: four replicas of 4/s for 16 USD/h; tp4-bs16: two of 10/s.
    assert choice.why == (
        "TP 2 is the smallest that fits and meets the SLO (TP 1: latency p95 3 s above 2 s at best). "
        "Of it g5.48xlarge bs16-tp2 gives the most per dollar: 1 requests/s per USD/h, against 0.75 of g5.48xlarge "
        "bs8-tp2. g5.48xlarge bs16-tp4 would give 25% more per dollar; the rule prefers the smaller TP, whose replicas "
        "are smaller."
    )


def test_without_a_price_the_most_per_device_wins() -> None:
    (choice,) = choose([cell(2, 8, 3.0, price=None), cell(2, 16, 4.0, price=None)])

    assert choice.cell is not None
    assert choice.cell.configuration.max_num_seqs == 16
    assert "no price is known" in choice.why


def test_when_nothing_will_do_that_is_the_answer() -> None:
    (choice,) = choose(
        [cell(1, 8, 1.0, why_not="latency p95 3 s above 2 s"), cell(16, 8, 0.0, why_not="needs 16 of 8 devices")]
    )

    assert choice.cell is None
    assert "latency p95 3 s above 2 s" in choice.why
    assert "needs 16 of 8 devices" in choice.why


def test_platforms_do_not_compete() -> None:
    other = cell(4, 8, 9.0)
    other = replace(other, configuration=replace(other.configuration, platform="l4 with vllm"))

    assert [choice.name for choice in choose([cell(2, 8, 1.0), other])] == ["a10g with vllm", "l4 with vllm"]


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 2, 4, 8]), st.sampled_from([8, 16, 32]), st.floats(0.1, 50), st.booleans()),
        min_size=1,
        max_size=12,
        unique_by=lambda one: one[:2],
    )
)
def test_the_rule_is_kept_whatever_the_figures(shapes: list[tuple[int, int, float, bool]]) -> None:
    cells = [cell(tp, batch, rate, why_not="" if holds else "slow") for tp, batch, rate, holds in shapes]

    (choice,) = choose(cells)

    holding = [one for one in cells if one.holds]
    if not holding:
        assert choice.cell is None
        return
    assert choice.cell is not None
    least = min(one.configuration.tensor_parallel for one in holding)
    assert choice.cell.configuration.tensor_parallel == least
    rivals = [one for one in holding if one.configuration.tensor_parallel == least]
    assert choice.cell.per_dollar == max(one.per_dollar or 0 for one in rivals)


def test_rows_become_a_cell_per_configuration_at_their_highest_load_within_the_slo(
    fleet: InferenceFleet, offerings: dict[str, Offering], hardware: dict[str, InstanceType]
) -> None:
    rows = [row(2, 4, 8, 5.0, 1.5), row(3, 4, 8, 7.0, 2.5), row(4, 2, 8, 3.0, 2.2), row(5, 2, 8, 2.5, 2.1)]

    four, two = of_measurements(fleet, rows, offerings, equipment(hardware), "m.csv")

    assert (four.configuration.name, four.rate_per_s, four.peak_per_s) == ("g5.48xlarge bs8-tp4", 5.0, 7.0)
    assert (four.replicas_per_instance, four.bought_per_s, four.per_dollar) == (2, 10.0, 0.625)
    assert (four.holds, four.source) == (True, "m.csv:2")
    # No row holds: the one that comes nearest speaks for the configuration.
    assert (two.rate_per_s, two.latency_s, two.replicas_per_instance) == (2.5, 2.1, 4)
    assert two.why_not == "latency p95 2.1 s above 2 s"


def test_a_configuration_that_the_instance_has_no_devices_for_does_not_do(
    fleet: InferenceFleet, offerings: dict[str, Offering], hardware: dict[str, InstanceType]
) -> None:
    (found,) = of_measurements(fleet, [row(2, 4, 8, 5.0, 1.5, unit="single")], offerings, equipment(hardware), "m.csv")

    assert (found.why_not, found.replicas_per_instance) == ("needs 4 of 1 devices", 0)


def test_on_neuron_a_rank_is_a_core(
    fleet: InferenceFleet, offerings: dict[str, Offering], hardware: dict[str, InstanceType]
) -> None:
    (found,) = of_measurements(fleet, [row(2, 6, 8, 5.0, 1.5)], offerings, equipment(hardware, NEURON), "m.csv")

    # Six ranks are three devices of two cores: two replicas on eight devices, and two devices idle.
    assert (found.devices_per_replica, found.replicas_per_instance, found.idle_devices) == (3, 2, 2)


def test_on_trainium2_a_rank_is_a_logical_core_of_two(
    fleet: InferenceFleet, offerings: dict[str, Offering], hardware: dict[str, InstanceType]
) -> None:
    (found,) = of_measurements(fleet, [row(2, 6, 8, 5.0, 1.5)], offerings, equipment(hardware, TRAINIUM2), "m.csv")

    # Six ranks are two devices of four logical cores: four replicas on eight devices.
    assert (found.devices_per_replica, found.replicas_per_instance, found.idle_devices) == (2, 4, 0)


def test_rows_of_several_replicas_are_shared_among_them(
    fleet: InferenceFleet, hardware: dict[str, InstanceType]
) -> None:
    whole = replace(row(2, 4, 8, 12.0, 1.0), replicas=2, price_usd_per_h=16.0)

    (found,) = of_measurements(fleet, [whole], {}, equipment(hardware), "m.csv")

    assert (found.rate_per_s, found.bought_per_s, found.price_usd_per_h) == (6.0, 12.0, 16.0)


def test_rows_of_other_hardware_and_without_a_rate_are_no_part_of_the_grid(
    fleet: InferenceFleet, offerings: dict[str, Offering], hardware: dict[str, InstanceType]
) -> None:
    rows = [
        replace(row(2, 4, 8, 5.0, 1.0), instance_type="p4d.24xlarge"),
        replace(row(3, 4, 8, 5.0, 1.0), rate_per_s=None, concurrency=8),
        row(4, 4, 8, 5.0, 1.0, unit="stranger"),
    ]

    assert of_measurements(fleet, rows, offerings, equipment(hardware), "m.csv") == ()


def test_the_grid_shows_every_configuration_and_which_was_chosen() -> None:
    cells = [cell(4, 8, 3.0), cell(2, 16, 2.0, why_not="latency p95 3 s above 2 s"), cell(4, 16, 4.0)]

    table = parallelism.of_cells(cells, choose(cells))["grid"]

    assert table.column("TP") == (2, 4, 4)
    assert table.column("batch") == (16, 8, 16)
    assert table.column("verdict") == ("latency p95 3 s above 2 s", "meets the SLO", "chosen")
    assert table.column("RPS per $") == (None, 2 * 3 / 16, 2 * 4 / 16)
    assert table.notes[0].startswith("a10g with vllm: TP 4 is the smallest")


def test_scaling_efficiency_is_the_speed_up_over_the_ratio_of_the_degrees() -> None:
    cells = [cell(2, 8, 10.0), cell(4, 8, 15.0), cell(4, 16, 12.0), cell(8, 8, 20.0)]

    table = parallelism.tp_scaling(cells)

    # Peaks are 20, 30 and 40: 1.5 times for twice the devices, 2 times for four times.
    assert table.column("TP") == (2, 4, 8)
    assert table.column("speed-up") == pytest.approx((1.0, 1.5, 2.0))
    assert table.column("efficiency") == pytest.approx((100.0, 75.0, 50.0))


def test_whole_instances_are_held_against_the_first_and_idle_devices_are_counted() -> None:
    base = cell(8, 8, 10.0, price=2.0)
    three = replace(cell(2, 8, 10.0, price=3.0), devices=7, packing=Packing(3))

    table = parallelism.data_parallel([base, three])

    assert table.rows[0][1:] == (1, 8, 0, 10.0, 2.0, 5.0, 1.0, 1.0, 1.0)
    assert table.rows[1][1:] == pytest.approx((3, 7, 1, 30.0, 3.0, 10.0, 3.0, 1.5, 2.0))


def test_one_configuration_makes_no_grid_and_one_degree_no_scaling() -> None:
    whole = [cell(8, 8, 1.0)]

    assert parallelism.of_cells(whole, choose(whole)) == {}


def test_a_configuration_over_several_instances_is_priced_and_counted_with_all_of_them(
    fleet: InferenceFleet, offerings: dict[str, Offering], hardware: dict[str, InstanceType]
) -> None:
    rows = [row(2, 4, 8, 5.0, 1.5), replace(row(3, 4, 8, 15.0, 1.5), pipeline_parallel=4)]

    one, spread = cells = of_measurements(fleet, rows, offerings, equipment(hardware), "m.csv")

    assert (spread.replicas_per_instance, spread.instances_per_replica, spread.bought_devices) == (1, 2, 16)
    assert (spread.bought_usd_per_h, spread.per_dollar, spread.idle_devices) == (32.0, 15 / 32, 0)
    table = parallelism.grid(cells, choose(cells))
    columns = [column.name for column in table.columns]
    shown = [dict(zip(columns, each, strict=True)) for each in table.rows]
    assert [(each["instances per replica"], each["price"]) for each in shown] == [(1, 16.0), (2, 32.0)]
    assert "instances per replica" not in {column.name for column in parallelism.grid([one], choose([one])).columns}
    (whole,) = parallelism.data_parallel([spread]).rows
    assert whole[1:6] == (1, 16, 0, 15.0, 32.0)
