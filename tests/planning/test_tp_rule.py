"""The TP rule for units: what it settles that they leave to the plan, and what it says of what they declare."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.document import read_declared
from holdfast.model.errors import InputError
from holdfast.model.fleet import InferenceFleet
from holdfast.model.hardware import Accelerator, InstanceType, Offering
from holdfast.model.measurements import Measurement
from holdfast.model.packing import Packing
from holdfast.planning import parallelism
from holdfast.planning.grid import Configuration, GridCell, of_measurements
from holdfast.planning.tp_rule import choose, otherwise, settle

A10G = Accelerator("a10g", "nvidia", 22.35, 600, 70, 1, 1, None, "nvidia.com/gpu", "", ("g5",), "", "high")
NEURON = replace(A10G, name="inferentia2", cores_per_device=2)
TP, BATCH = "tensorParallel", "maxNumSeqs"


def cell(tp: int, batch: int | None, rate: float, *, why_not: str = "", estimated: bool = False) -> GridCell:
    shape = Configuration("a10g with vllm", "g5.48xlarge", tp, 1, batch)
    return GridCell(
        shape,
        "quad",
        8,
        tp,
        rate,
        None,
        3.0,
        "p95",
        rate,
        None,
        16.0,
        why_not,
        "m.csv:2",
        Packing(8 // tp) if tp <= 8 else None,
        estimated,
    )


def equipment(
    hardware: dict[str, InstanceType], device: Accelerator = A10G
) -> dict[str, tuple[InstanceType, Accelerator]]:
    return {name: (instance, device) for name, instance in hardware.items()}


def test_a_unit_gets_what_the_rule_takes_for_what_it_leaves_to_the_plan(
    fleet: InferenceFleet, hardware: dict[str, InstanceType]
) -> None:
    cells = [cell(1, 8, 1.0, why_not="latency p95 3 s above 2 s"), cell(2, 8, 3.0), cell(2, 16, 4.0), cell(4, 8, 5.0)]

    both = settle(fleet, {"quad": frozenset({TP, BATCH})}, cells, equipment(hardware))
    one = settle(fleet, {"quad": frozenset({TP})}, cells, equipment(hardware))

    quad = both.fleet.unit("quad")
    assert (quad.tensor_parallel, quad.max_num_seqs, quad.devices_per_replica) == (2, 16, 2)
    assert (one.fleet.unit("quad").tensor_parallel, one.fleet.unit("quad").max_num_seqs) == (2, None)
    assert both.fleet.unit("single") == fleet.unit("single")
    (finding,) = both.findings
    assert finding.message.startswith(
        "Unit 'quad' leaves tensorParallel and maxNumSeqs to the plan, which takes tensorParallel 2, maxNumSeqs 16. "
        "TP 2 is the smallest that fits and meets the SLO (TP 1: latency p95 3 s above 2 s at best)."
    )


def test_on_neuron_the_devices_follow_from_the_cores(fleet: InferenceFleet, hardware: dict[str, InstanceType]) -> None:
    found = settle(fleet, {"quad": frozenset({TP})}, [cell(8, 8, 3.0)], equipment(hardware, NEURON))

    assert found.fleet.unit("quad").devices_per_replica == 4


def test_a_number_that_the_unit_does_state_binds_the_choice(
    fleet: InferenceFleet, hardware: dict[str, InstanceType]
) -> None:
    cells = [cell(2, 8, 3.0), cell(4, 8, 4.0), cell(4, 16, 5.0)]

    found = settle(fleet, {"quad": frozenset({BATCH})}, cells, equipment(hardware))

    # quad states TP 4.
    quad = found.fleet.unit("quad")
    assert (quad.tensor_parallel, quad.max_num_seqs) == (4, 16)


def test_where_nothing_will_do_the_nearest_is_taken_so_that_the_plan_can_say_by_how_much(
    fleet: InferenceFleet, hardware: dict[str, InstanceType]
) -> None:
    slow = "latency p95 3 s above 2 s"
    cells = [replace(cell(1, 8, 1.0, why_not=slow), latency_s=5.0), cell(2, 8, 3.0, why_not=slow)]

    found = settle(fleet, {"quad": frozenset({TP})}, cells, equipment(hardware))

    assert found.fleet.unit("quad").tensor_parallel == 2
    assert "which finds none that does and shows tensorParallel 2. No configuration will" in found.findings[0].message


def test_a_unit_that_nothing_is_known_of_cannot_be_left_to_the_plan(
    fleet: InferenceFleet, hardware: dict[str, InstanceType]
) -> None:
    with pytest.raises(InputError, match="unit 'single' leaves tensorParallel to the plan, which has nothing to choo"):
        settle(fleet, {"single": frozenset({TP})}, [cell(2, 8, 3.0)], equipment(hardware))


def test_rows_of_a_unit_that_leaves_its_tp_to_the_plan_must_state_theirs(
    fleet: InferenceFleet, offerings: dict[str, Offering], hardware: dict[str, InstanceType]
) -> None:
    rows = [Measurement(row=7, unit="quad", rate_per_s=1.0, latency_p95_s=1.0)]

    with pytest.raises(InputError, match=r"m.csv:7: the row of 'quad' states no tensor_parallel"):
        of_measurements(fleet, rows, offerings, equipment(hardware), "m.csv", {"quad": frozenset({TP})})


shapes = st.lists(
    st.tuples(st.sampled_from([1, 2, 4, 8]), st.sampled_from([8, 16, 32]), st.floats(0.1, 50), st.booleans()),
    min_size=1,
    max_size=12,
    unique_by=lambda one: one[:2],
)


@given(shapes, st.booleans())
def test_what_is_settled_is_in_the_grid_and_what_holds_goes_first(
    drawn: list[tuple[int, int, float, bool]], estimated: bool
) -> None:
    text = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: one}
spec:
  model: {id: some/model}
  workload: {api: completions, inputTokens: {mean: 200}, outputTokens: {mean: 100}}
  slo: {latency: {p95: 2s}}
  demand: {rate: 10/s}
  units:
    - {name: quad, accelerator: a10g, instanceType: g5.48xlarge, framework: vllm,
       tensorParallel: auto, maxNumSeqs: auto}
"""
    declared = read_declared(text, where="f")
    cells = [cell(tp, b, rate, why_not="" if holds else "no", estimated=estimated) for tp, b, rate, holds in drawn]
    instance = InstanceType("g5.48xlarge", "g5", "a10g", 8, 4, 16.0, None, None, None, "nvidia.com/gpu", 8)

    found = settle(declared.fleet, declared.auto, cells, {"quad": (instance, A10G)})

    unit = found.fleet.unit("quad")
    (taken,) = [one for one in drawn if one[:2] == (unit.tensor_parallel, unit.max_num_seqs)]
    if any(holds for *_, holds in drawn):
        assert taken[3]
        assert taken[0] == min(tp for tp, _, _, holds in drawn if holds)


def test_a_unit_declared_otherwise_gets_a_note_with_what_the_rule_would_bring(fleet: InferenceFleet) -> None:
    (finding,) = otherwise(fleet, [cell(2, 16, 3.0), cell(4, 8, 4.0)])

    # TP 2: four replicas of 3/s at 16 USD/h; TP 4: two of 4/s.
    assert finding.message == (
        "Unit 'quad' is planned with tensorParallel 4; the TP rule takes tensorParallel 2 (g5.48xlarge bs16-tp2), "
        "which gives 50% more per dollar."
    )


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (cell(4, 8, 8.0), ", which gives 25% less per dollar in smaller replicas."),
        (cell(4, 8, 4.0, why_not="latency p95 3 s above 2 s"), ", for as declared latency p95 3 s above 2 s."),
        (cell(8, 8, 4.0), "(g5.48xlarge bs16-tp2)."),
    ],
)
def test_the_note_tells_the_worse_and_the_unknown_too(fleet: InferenceFleet, declared: GridCell, words: str) -> None:
    (finding,) = otherwise(fleet, [cell(2, 16, 3.0), declared])

    assert finding.message.endswith(words)


def test_there_is_no_note_where_the_fleet_has_the_rules_choice_already(fleet: InferenceFleet) -> None:
    two = fleet.unit("quad").model_copy(update={"name": "pair", "tensor_parallel": 2})
    spec = fleet.spec.model_copy(update={"units": (*fleet.spec.units, two)})

    assert otherwise(fleet.model_copy(update={"spec": spec}), [cell(2, 16, 3.0), cell(4, 8, 4.0)]) == ()


def test_a_batch_that_gives_no_more_is_said_to() -> None:
    (choice,) = choose([cell(2, 8, 3.0), cell(2, 16, 3.0)])

    assert choice.cell == cell(2, 8, 3.0)
    assert "0.75 requests/s per USD/h, and g5.48xlarge bs16-tp2 gives no more." in choice.why


def test_the_grid_marks_what_was_chosen_for_a_unit_and_says_why_once(
    fleet: InferenceFleet, hardware: dict[str, InstanceType]
) -> None:
    cells = [cell(2, 8, 3.0), cell(4, 8, 4.0)]
    found = settle(fleet, {"quad": frozenset({TP})}, cells, equipment(hardware))

    table = parallelism.of_cells(cells, choose(cells), found.choices)["grid"]

    assert table.column("verdict") == ("chosen for quad", "meets the SLO")
    assert [note.partition(":")[0] for note in table.notes] == ["quad"]
