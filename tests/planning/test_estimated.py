"""Units that nobody measured, planned on the roofline estimate and marked so."""

from dataclasses import replace

import pytest

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.document import read_fleet
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet, Slo, parse_slo
from holdfast.performance.estimate import Estimate, Point, estimate
from holdfast.planning import estimated, estimated_grid, grid, parallelism

LLAMA = models.architecture("meta-llama/Llama-3.1-8B")
A10G = catalog.accelerator("a10g")

FLEET = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: llama}
spec:
  model: {id: meta-llama/Llama-3.1-8B}
  workload: {api: completions, inputTokens: {mean: 500}, outputTokens: {mean: 100}}
  slo: {latency: {p95: 6s}, ttft: {p95: 2s}}
  demand: {rate: 10/s}
  units:
    - {name: quad, accelerator: a10g, instanceType: g5.12xlarge, framework: vllm, tensorParallel: 4, price: $5.672/h}
    - {name: eight, accelerator: a10g, instanceType: g5.48xlarge, framework: vllm, tensorParallel: 8, price: $16.288/h}
"""


@pytest.fixture
def llama() -> InferenceFleet:
    return read_fleet(FLEET, where="fleet.yaml")


@pytest.fixture
def made() -> Estimate:
    return estimate(LLAMA, A10G, tensor_parallel=4, input_tokens=500, output_tokens=100, max_num_seqs=32)


def unit(fleet: InferenceFleet, name: str, **changed: object) -> DeploymentUnit:
    return fleet.unit(name).model_copy(update=changed)


def bounded(made: Estimate, **bounds: float) -> Slo:
    return parse_slo(", ".join(f"{name.replace('_', ' ')}<{value}s" for name, value in bounds.items()))


def test_a_bound_between_two_points_is_met_in_between_and_by_littles_law(made: Estimate) -> None:
    low, high = made.points[2], made.points[3]
    bound_s = (low.latency_s + high.latency_s) / 2

    found = estimated.reach(made, bounded(made, p95=bound_s))

    assert found is not None and not found.broken
    assert low.concurrency < found.in_flight < high.concurrency
    assert found.latency_s == pytest.approx(bound_s)
    assert found.in_flight == pytest.approx(found.rate_per_s * found.latency_s)
    assert low.rate_per_s < found.rate_per_s < high.rate_per_s


def test_the_tightest_bound_decides(made: Estimate) -> None:
    low, high = made.points[2], made.points[3]
    ttft_s = low.ttft_s + 0.1 * (high.ttft_s - low.ttft_s)

    found = estimated.reach(made, bounded(made, p95=high.latency_s, ttft_p95=ttft_s))

    assert found is not None
    assert found.in_flight == pytest.approx(low.concurrency + 0.1 * (high.concurrency - low.concurrency))


def test_a_generous_bound_is_met_by_the_whole_batch(made: Estimate) -> None:
    found = estimated.reach(made, bounded(made, avg=1000))

    assert found is not None
    assert (found.in_flight, found.rate_per_s) == (made.points[-1].concurrency, made.points[-1].rate_per_s)


def test_a_bound_that_one_request_alone_breaks_is_named(made: Estimate) -> None:
    found = estimated.reach(made, bounded(made, p95=0.001))

    assert found is not None
    assert found.broken.startswith("latency avg ")
    assert found.broken.endswith("s above 1ms of p95")


def test_a_bound_that_the_estimate_has_no_figure_for_is_not_judged(made: Estimate) -> None:
    def image(point: Point) -> Point:
        return replace(point, itl_s=None)

    alone = replace(made, points=tuple(map(image, made.points)))

    assert estimated.reach(alone, bounded(made, itl_p95=1e-6)) == estimated.reach(made, bounded(made, avg=1000))


def test_evidence_of_an_estimate_says_that_it_is_one_and_how_far_it_errs(llama: InferenceFleet) -> None:
    (known,), (finding,) = estimated.evidence(llama, LLAMA, [llama.unit("quad")], {}, catalog.equipment_of(llama))

    assert known.limit_source.startswith("an estimate, not measured: ")
    assert "median error of a step" in known.limit_source
    assert known.tokens_out_per_s == pytest.approx(100 * known.limit_per_s)
    assert known.latency_s is not None and known.latency_s <= 6
    assert (known.price_usd_per_h, known.price_source) == (5.672, "price of the fleet document")
    assert finding.message == "Planned on estimates, not measurements: quad. Measure before you buy."


def test_what_does_not_fit_or_is_too_slow_is_left_out_with_its_reason(llama: InferenceFleet) -> None:
    slow = llama.model_copy(update={"spec": llama.spec.model_copy(update={"slo": parse_slo("p95<10ms")})})
    large = models.architecture("meta-llama/Llama-3.3-70B-Instruct")
    equipment = catalog.equipment_of(llama)

    for fleet, model, words in ((slow, LLAMA, "above 10ms of p95"), (llama, large, "the model does not fit")):
        known, (finding,) = estimated.evidence(fleet, model, [llama.unit("quad")], {}, equipment)
        assert known == ()
        assert finding.message.startswith("Unit 'quad' is left out of the plan: by its estimate, ")
        assert words in finding.message


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"tensor_parallel": 3}, "tensor parallelism 3 does not divide the 32 attention heads"),
        ({"price_usd_per_h": None}, "has no price"),
    ],
)
def test_what_cannot_be_estimated_is_one_sentence(
    llama: InferenceFleet, changed: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        estimated.evidence(llama, LLAMA, [unit(llama, "quad", **changed)], {}, catalog.equipment_of(llama))


def test_the_grid_of_estimates_has_every_tp_that_divides_and_fits_the_instance(llama: InferenceFleet) -> None:
    cells = estimated_grid.cells(llama, LLAMA, llama.spec.units, {}, catalog.equipment_of(llama))

    shapes = {
        (c.configuration.instance_type, c.configuration.tensor_parallel, c.configuration.max_num_seqs) for c in cells
    }
    assert shapes == {
        *(("g5.12xlarge", tp, batch) for tp in (1, 2, 4) for batch in (8, 16, 32)),
        *(("g5.48xlarge", tp, batch) for tp in (1, 2, 4, 8) for batch in (8, 16, 32)),
    }
    assert all(cell.estimated and cell.replicas_per_instance >= 1 for cell in cells)
    (choice,) = grid.choose(cells)
    assert choice.cell is not None
    table = parallelism.of_cells(cells, [choice])["grid"]
    assert table.notes[-1] == "21 of 21 configurations are estimates, not measured; their latencies are means."


def test_a_batch_that_memory_does_not_hold_does_not_fit() -> None:
    fleet = read_fleet(FLEET.replace("{mean: 500}", "{mean: 16000}"), where="fleet.yaml")

    cells = estimated_grid.cells(fleet, LLAMA, [fleet.unit("quad")], {}, catalog.equipment_of(fleet))

    # Of 22.35 GiB 15 are weights, and 16,100 tokens are 1.97 GiB of KV cache.
    (one,) = [c for c in cells if (c.configuration.tensor_parallel, c.configuration.max_num_seqs) == (1, 32)]
    assert one.why_not == "memory holds 2 of 32 sequences"


def test_a_larger_request_is_more_work_and_one_that_does_not_fit_is_refused(llama: InferenceFleet) -> None:
    seconds = estimated.work(LLAMA, catalog.equipment_of(llama))
    quad = llama.unit("quad")

    assert 0 < seconds(quad, 100, 50) < seconds(quad, 500, 50) < seconds(quad, 500, 200)
    with pytest.raises(InputError, match="tokens does not fit"):
        seconds(quad, 1e6, 100)


def test_images_have_no_batch_to_choose() -> None:
    model = models.architecture("stabilityai/stable-diffusion-2-1-base")
    document = FLEET.replace("{api: completions, inputTokens: {mean: 500}, outputTokens: {mean: 100}}", "{api: images}")
    fleet = read_fleet(
        document.replace("tensorParallel: 4", "tensorParallel: 1").replace(", ttft: {p95: 2s}", ""), where="f"
    )

    (cell,) = estimated_grid.cells(fleet, model, fleet.spec.units[:1], {}, catalog.equipment_of(fleet))
    (known,), _ = estimated.evidence(fleet, model, fleet.spec.units[:1], {}, catalog.equipment_of(fleet))

    assert cell.configuration.max_num_seqs is None
    assert known.tokens_out_per_s is None
    assert known.replicas_per_instance == 4
