"""Units that nobody measured, planned on the roofline estimate and marked so."""

from dataclasses import replace

import pytest

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.document import read_fleet
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet, parse_slo
from holdfast.planning import estimated, estimated_grid, parallelism, tp_rule

LLAMA = models.architecture("meta-llama/Llama-3.1-8B")

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


def unit(fleet: InferenceFleet, name: str, **changed: object) -> DeploymentUnit:
    return fleet.unit(name).model_copy(update=changed)


def test_evidence_of_an_estimate_says_that_it_is_one_and_how_far_it_errs(llama: InferenceFleet) -> None:
    found = estimated.evidence(llama, LLAMA, [llama.unit("quad")], {}, catalog.equipment_of(llama))

    (known,), (finding,) = found.known, found.findings
    assert known.limit_source.startswith("an estimate, not measured: ")
    assert "median error of a step" in known.limit_source
    assert known.tokens_out_per_s == pytest.approx(100 * known.limit_per_s)
    assert known.latency_s is not None and known.latency_s <= 6
    assert (known.price_usd_per_h, known.price_source) == (5.672, "price of the fleet document")
    assert known.estimate_error == pytest.approx(0.2412)
    assert finding.message == (
        "Unit 'quad' is planned on an estimate (median error of a step 24%, from its nearest kin a100-40gb): p95, ttft "
        "p95 are judged by the mean, for no spread of lengths is declared; what queues add to a tail is not in it."
    )


def test_what_does_not_fit_or_is_too_slow_is_left_out_with_its_reason(llama: InferenceFleet) -> None:
    slow = llama.model_copy(update={"spec": llama.spec.model_copy(update={"slo": parse_slo("p95<10ms")})})
    large = models.architecture("meta-llama/Llama-3.3-70B-Instruct")
    equipment = catalog.equipment_of(llama)

    for fleet, model, words in ((slow, LLAMA, "s or more, above 10ms"), (llama, large, "the model does not fit")):
        found = estimated.evidence(fleet, model, [llama.unit("quad")], {}, equipment)
        (finding,) = found.findings
        assert (found.known, found.lacking) == ((), ())
        assert finding.message.startswith("Unit 'quad' is left out of the plan: by its estimate, ")
        assert words in finding.message


def test_a_parallelism_that_does_not_divide_the_model_is_one_sentence(llama: InferenceFleet) -> None:
    with pytest.raises(InputError, match="tensor parallelism 3 does not divide the 32 attention heads"):
        odd = unit(llama, "quad", tensor_parallel=3)
        estimated.evidence(llama, LLAMA, [odd], {}, catalog.equipment_of(llama))


def test_what_cannot_be_estimated_is_left_out_with_what_is_lacking(llama: InferenceFleet) -> None:
    equipment = catalog.equipment_of(llama)
    instance, device = equipment["quad"]
    unknown = {"quad": (instance, replace(device, memory_gb_per_s=None))}
    free = unit(llama, "quad", price_usd_per_h=None)
    workload = llama.spec.workload.model_copy(update={"input_tokens": None})
    vague = llama.model_copy(update={"spec": llama.spec.model_copy(update={"workload": workload})})

    for fleet, asked, known, words in (
        (llama, free, equipment, "unit 'quad' has no price (the catalogue has none for g5.12xlarge); give it, e.g."),
        (llama, llama.unit("quad"), unknown, "no source states the memory bandwidth and the FLOP/s of a10g to estim"),
        (vague, llama.unit("quad"), equipment, "the workload does not say how long its requests are"),
    ):
        found = estimated.evidence(fleet, LLAMA, [asked], {}, known)
        (finding,), (lack,) = found.findings, found.lacking
        assert found.known == ()
        assert f"Unit 'quad' is left out of the plan: nothing was measured of it, and {words}" in finding.message
        assert lack.where.startswith("spec.")


def test_the_grid_of_estimates_has_every_tp_that_divides_and_fits_the_instance(llama: InferenceFleet) -> None:
    cells = estimated_grid.cells(llama, LLAMA, llama.spec.units, {}, catalog.equipment_of(llama))

    shapes = {
        (c.configuration.instance_type, c.configuration.tensor_parallel, c.configuration.max_num_seqs) for c in cells
    }
    assert shapes == {
        *(("g5.12xlarge", tp, batch) for tp in (1, 2, 4) for batch in (None, 8, 16, 32)),
        *(("g5.48xlarge", tp, batch) for tp in (1, 2, 4, 8) for batch in (None, 8, 16, 32)),
    }
    assert all(cell.estimated and cell.replicas_per_instance >= 1 for cell in cells)
    (choice,) = tp_rule.choose(cells)
    assert choice.cell is not None
    table = parallelism.of_cells(cells, [choice])["grid"]
    assert table.notes[-1] == "28 of 28 configurations are estimates, not measured; their latencies are means."


def test_a_batch_that_memory_does_not_hold_does_not_fit() -> None:
    fleet = read_fleet(FLEET.replace("{mean: 500}", "{mean: 16000}"), where="fleet.yaml")

    cells = estimated_grid.cells(fleet, LLAMA, [fleet.unit("quad")], {}, catalog.equipment_of(fleet))

    # Of 22.35 GiB 15 are weights, and 16,100 tokens are 1.97 GiB of KV cache.
    (one,) = [c for c in cells if (c.configuration.tensor_parallel, c.configuration.max_num_seqs) == (1, 32)]
    assert one.why_not == "memory holds 2 of 32 sequences"


def test_a_larger_request_is_more_work_and_one_that_does_not_fit_is_refused(llama: InferenceFleet) -> None:
    effort = estimated.work(LLAMA, catalog.equipment_of(llama))
    quad = llama.unit("quad")

    small, asked, answered = (effort(quad, *tokens) for tokens in ((100, 50), (500, 50), (500, 200)))
    assert 0 < small.replica_s < asked.replica_s < answered.replica_s
    assert 0 < small.latency_s < asked.latency_s < answered.latency_s
    with pytest.raises(InputError, match="tokens does not fit"):
        effort(quad, 1e6, 100)


def test_images_have_no_batch_to_choose() -> None:
    model = models.architecture("stabilityai/stable-diffusion-2-1-base")
    document = FLEET.replace("{api: completions, inputTokens: {mean: 500}, outputTokens: {mean: 100}}", "{api: images}")
    fleet = read_fleet(
        document.replace("tensorParallel: 4", "tensorParallel: 1").replace(", ttft: {p95: 2s}", ""), where="f"
    )

    (cell,) = estimated_grid.cells(fleet, model, fleet.spec.units[:1], {}, catalog.equipment_of(fleet))
    (known,) = estimated.evidence(fleet, model, fleet.spec.units[:1], {}, catalog.equipment_of(fleet)).known

    assert cell.configuration.max_num_seqs is None
    assert known.tokens_out_per_s is None
    assert known.replicas_per_instance == 4


MOE = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: moe}
spec:
  model: {id: deepseek-ai/DeepSeek-V3}
  workload: {api: chat, inputTokens: {mean: 3000}, outputTokens: {mean: 500}}
  slo: {latency: {p95: 60s}}
  demand: {rate: 1/s}
  region: us-west-2
  units:
    - {name: stages, accelerator: h100, instanceType: p5.48xlarge, framework: vllm, tensorParallel: 8,
       pipelineParallel: 2}
    - {name: group, accelerator: h100, instanceType: p5.48xlarge, framework: vllm, tensorParallel: 16}
    - {name: apart, accelerator: h100, instanceType: p5.48xlarge, framework: vllm, tensorParallel: 16,
       disaggregated: {prefill: 1, decode: 1}}
"""


def test_an_estimate_over_several_instances_costs_them_all_and_says_what_it_assumes() -> None:
    fleet = read_fleet(MOE, where="fleet.yaml")
    offerings, equipment = catalog.offerings_of(fleet), catalog.equipment_of(fleet)
    model = models.architecture(fleet.spec.model.id)

    found = estimated.evidence(fleet, model, fleet.spec.units, offerings, equipment)

    stages, group = found.known
    for known in (stages, group):
        assert known.instances_per_replica == 2
        assert known.price_usd_per_h == pytest.approx(2 * offerings["stages"].price_usd_per_h)
        assert "across 2 p5.48xlarge at 3,200 Gbit/s each, an assumption" in known.limit_source
    assert "across 2 p5.48xlarge" in found.findings[0].message
    # Prefill and decode apart: that is for measurements to say.
    assert [lack.what for lack in found.lacking] == [
        "unit 'apart' serves prefill and decode apart, which is not estimated"
    ]
    assert "measure it with holdfast limit" in found.findings[-1].message
    assert not estimated_grid.cells(fleet, model, [fleet.unit("apart")], offerings, equipment)
    with pytest.raises(InputError, match="prefill and decode apart"):
        estimated.work(model, equipment)(fleet.unit("apart"), 100, 100)


def test_the_grid_of_a_unit_over_several_instances_has_stages_that_fill_one() -> None:
    fleet = read_fleet(MOE, where="fleet.yaml")

    cells = estimated_grid.cells(
        fleet, models.architecture(fleet.spec.model.id), [fleet.unit("stages")], {}, catalog.equipment_of(fleet)
    )

    packed = {cell.configuration.tensor_parallel: cell.instances_per_replica for cell in cells}
    assert packed == {1: 1, 2: 1, 4: 1, 8: 2}
