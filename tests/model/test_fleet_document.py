"""The InferenceFleet document: what it reads, and the sentence it answers a mistake with."""

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model import codec
from holdfast.model.document import json_schema, read_declared, read_fleet
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType, InferenceFleet, Loss, format_slo, parse_slo

FLEET = """\
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: pair}
spec:
  model: {id: some/model}
  workload: {api: chat, inputTokens: {mean: 200, stddev: 20}, outputTokens: {mean: 100}}
  slo: {latency: {p95: 900ms}, ttft: {p99: 2s}, utilization: 80%}
  demand: {rate: 105/min, peak: 20/s}
  units:
    - {name: g6, accelerator: l4, instanceType: g6.xlarge, framework: vllm, price: $0.8048/h, capacityType: spot}
    - {name: inf2, accelerator: inferentia2, instanceType: inf2.48xlarge, framework: nxd, tensorParallel: 8, devices: 4}
"""


def test_quantities_are_in_the_units_that_their_names_say() -> None:
    spec = read_fleet(FLEET, where="f.yaml").spec

    assert (spec.demand.rate_per_s, spec.demand.planned_per_s) == (1.75, 20.0)
    assert spec.slo.latency.bounds() == (("p95", 0.9),)
    assert (spec.slo.error_rate, spec.slo.utilization) == (0.01, 0.8)
    assert (spec.units[0].price_usd_per_h, spec.units[0].capacity_type) == (0.8048, CapacityType.SPOT)


def test_devices_of_a_replica_are_tp_times_pp_unless_given() -> None:
    fleet = read_fleet(
        FLEET.replace("framework: vllm, price", "framework: vllm, tensorParallel: 2, pipelineParallel: 3, price"),
        where="f",
    )

    assert (fleet.unit("g6").devices_per_replica, fleet.unit("inf2").devices_per_replica) == (6, 4)


@pytest.mark.parametrize(
    "right, wrong, line, said",
    [
        ("framework: nxd", "framwork: nxd", 11, "unknown key 'spec.units.1.framwork'; did you mean 'framework'."),
        ("demand:", "demnad:", 8, "unknown key 'spec.demnad'; did you mean 'demand'."),
        (
            "p95: 900ms",
            "p95: 0.9",
            7,
            "'spec.slo.latency.p95': the number 0.9 has no unit; write a duration like '0.9s'",
        ),
        (
            "p95: 900ms",
            "p95: 0s",
            7,
            "'spec.slo.latency': a bound of 0 on p95 can never hold; give a positive duration.",
        ),
        (
            "rate: 105/min",
            "rate: 0/s",
            8,
            "'spec.demand': the demand is below one request in ten days; there is nothing to plan.",
        ),
        ("peak: 20/s", "peak: 1/s", 8, "'spec.demand': peak is below rate; give the highest rate as peak."),
        (", outputTokens: {mean: 100}", "", 6, "'spec.workload': the chat API needs inputTokens and outputTokens"),
        (
            "api: chat",
            "api: images",
            6,
            "'spec.workload': the images API has no inputTokens or outputTokens; remove them.",
        ),
        ("name: inf2", "name: g6", 4, "'spec': two units are named 'g6'; give each its own name."),
        ("devices: 4", "minReplicas: 3, maxReplicas: 2", 11, "'spec.units.1': minReplicas 3 is above maxReplicas 2."),
        ("name: pair", "name: Pair_1", 3, "'metadata.name': string should match pattern"),
        ("  model: {id: some/model}\n", "", 4, "'spec.model' is missing; add it."),
        (
            "kind: InferenceFleet\n",
            "kind: InferenceFleet\nkind: Other\n",
            3,
            "this is not YAML (the key 'kind' is given twice)",
        ),
        ("kind: InferenceFleet\n", "kind: InferenceFleet\n? [a]\n: b\n", 3, "this is not YAML (found unhashable key)"),
        ("metadata: {", "metadata: [", 3, "this is not YAML"),
    ],
)
def test_a_mistake_is_answered_with_line_key_and_mend(right: str, wrong: str, line: int, said: str) -> None:
    assert right in FLEET
    with pytest.raises(InputError) as caught:
        read_fleet(FLEET.replace(right, wrong, 1), where="f.yaml")

    assert str(caught.value).startswith(f"f.yaml:{line}: {said}")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "just words\n"])
def test_a_file_without_a_fleet_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="this file holds no InferenceFleet"):
        read_fleet(text, where="f.yaml")


def test_an_slo_that_bounds_no_latency_is_refused() -> None:
    with pytest.raises(InputError, match="the SLO bounds no latency"):
        read_fleet(FLEET.replace("latency: {p95: 900ms}, ttft: {p99: 2s}, ", ""), where="f.yaml")


def test_a_fleet_read_back_from_json_is_equal() -> None:
    fleet = read_fleet(FLEET, where="f.yaml")

    assert codec.loads(InferenceFleet, codec.dumps(fleet), where="f.json") == fleet


def test_a_fleet_read_back_from_its_own_yaml_is_equal() -> None:
    fleet = read_fleet(FLEET, where="f.yaml")

    assert read_fleet(yaml.safe_dump(codec.to_jsonable(fleet)), where="g.yaml") == fleet


def test_the_schema_accepts_the_document_and_refuses_a_bare_number() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    document = yaml.safe_load(FLEET)
    bare = yaml.safe_load(FLEET.replace("rate: 105/min", "rate: 105"))

    validator.check_schema(json_schema())
    assert validator.is_valid(document)
    assert not validator.is_valid(bare)


def test_an_unknown_unit_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        read_fleet(FLEET, where="f.yaml").unit("absent")


@pytest.mark.parametrize(
    "flag, written",
    [
        ("p95<1.5s", "p95<1.5s, errors<1%"),
        ("p95 <= 900ms, ttft p99<2s, errors<0.1%", "p95<900ms, ttft p99<2s, errors<0.1%"),
        ("itl_p95<50ms, error rate<2%, utilization<80%", "itl p95<50ms, errors<2%, utilization<80%"),
    ],
)
def test_an_slo_flag_is_read_and_written_in_the_same_words(flag: str, written: str) -> None:
    slo = parse_slo(flag)

    assert format_slo(slo) == written
    assert parse_slo(format_slo(slo)) == slo


@pytest.mark.parametrize(
    "flag, said",
    [
        ("", "bounds no latency"),
        ("errors<1%", "bounds no latency"),
        ("p95", "is not a bound"),
        ("p97<1s", "is not something an SLO bounds"),
        ("speed p95<1s", "is not something an SLO bounds"),
        ("p95<1.5", "has no unit"),
        ("p95<1s, errors<200%", "more than 100%"),
    ],
)
def test_an_slo_flag_that_bounds_nothing_is_refused(flag: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_slo(flag)


PLANNED = """\
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: planned}
spec:
  model: {id: some/model}
  workload:
    api: completions
    inputTokens: {mean: 560}
    outputTokens: {mean: 140}
    sizes:
      - {share: 80%, inputTokens: 200, outputTokens: 100}
      - {share: 20%, inputTokens: 2000, outputTokens: 300}
  slo: {latency: {p95: 2s}}
  demand: {rate: 10/s, day: [DAY]}
  zones: [us-west-2a, us-west-2b]
  units:
    - {name: g5, accelerator: a10g, instanceType: g5.xlarge, framework: vllm, price: $1/h, startup: 4m,
       capacityTypes: [spot, on-demand], prices: {spot: $0.4/h}}
    - {name: g6, accelerator: l4, instanceType: g6.xlarge, framework: vllm, zones: [us-west-2b]}
  capacity: {survive: [zone, spot], maxPools: 2, quotas: {G: 92 vCPU, G spot: 64 vCPU}, headroom: 10%}
  routing: {bySize: true}
""".replace("DAY", ", ".join(["4/s"] * 23 + ["20/s"]))


def test_what_bounds_a_plan_is_read_and_written_back_the_same() -> None:
    fleet = read_fleet(PLANNED, where="f")
    spec = fleet.spec

    assert spec.demand.periods_per_s == (4.0,) * 23 + (20.0,)
    assert spec.demand.planned_per_s == 20.0
    assert spec.units[0].ways == (CapacityType.ON_DEMAND, CapacityType.SPOT)
    assert (spec.units[0].prices_usd_per_h, spec.units[0].startup_s) == ({CapacityType.SPOT: 0.4}, 240.0)
    assert (spec.capacity.survive, spec.capacity.max_pools) == ((Loss.ZONE, Loss.SPOT), 2)
    assert spec.capacity.quotas == {"G": 92, "G spot": 64}
    assert codec.loads(InferenceFleet, codec.dumps(fleet), where="f") == fleet
    jsonschema.Draft202012Validator(json_schema()).validate(codec.to_jsonable(fleet))


def test_survival_has_short_forms() -> None:
    short = {text: read_fleet(FLEET + f"  capacity: {{survive: {text}}}\n", where="f") for text in ("none", "one-pool")}

    assert {text: fleet.spec.capacity.survive for text, fleet in short.items()} == {
        "none": (),
        "one-pool": (Loss.POOL,),
    }
    assert [codec.to_jsonable(fleet)["spec"]["capacity"]["survive"] for fleet in short.values()] == ["none", "one-pool"]


@pytest.mark.parametrize(
    "right, wrong, said",
    [
        (
            "survive: [zone, spot]",
            "survive: [zoen]",
            "should be 'zone', 'accelerator', 'spot' or 'pool' (found 'zoen')",
        ),
        (
            "survive: [zone, spot]",
            "survive: all",
            "neither none nor one-pool, nor a list of zone, accelerator, spot, pool",
        ),
        ("survive: [zone, spot]", "survive: 3", "neither none nor one-pool"),
        ("survive: [zone, spot]", "survive: [zone, zone]", "survive names a kind of loss twice"),
        ("maxPools: 2", "maxPools: 0", "greater than or equal to 1"),
        ("G: 92 vCPU", "H: 92 vCPU", "'spec.capacity.quotas.H': input should be 'G', 'P'"),
        ("G: 92 vCPU", "G: 92", "the number 92 has no unit; write a quota like '192 vCPU'"),
        ("G: 92 vCPU", "G: 92.5 vCPU", "is not a whole number of vCPUs"),
        ("share: 80%", "share: 70%", "the shares of the sizes add up to 90%; make them 100%"),
        (
            "inputTokens: 2000",
            "inputTokens: 4000",
            "the sizes have 960 inputTokens on average, and inputTokens has a mean",
        ),
        ("[4/s, ", "[", "a day has 24 rates, one for each hour, and 23 are given"),
        ("[4/s, ", "[0/s, ", "an hour of the day has no demand to plan for"),
        ("rate: 10/s", "rate: 10/s, peak: 30/s", "both peak and day are given"),
        ("rate: 10/s", "rate: 50/s", "every hour of the day is below rate"),
        ("[spot, on-demand]", "[spot]", "capacityType on-demand is not among capacityTypes"),
        ("{spot: $0.4/h}", "{on-demand: $0.4/h}", "the on-demand price is `price`"),
        ("{spot: $0.4/h}", "{reserved: $0.4/h}", "prices has reserved, which is not among capacityTypes"),
        ("zones: [us-west-2a, us-west-2b]", "zones: []", "capacity.survive has zone, and zones does not say"),
        ("zones: [us-west-2b]", "zones: [us-west-2z]", "unit 'g6' is in zone us-west-2z"),
        ("bySize: true", "bySize: 1", "should be a valid boolean"),
    ],
)
def test_a_bound_that_cannot_be_is_one_sentence(right: str, wrong: str, said: str) -> None:
    assert right in PLANNED

    with pytest.raises(InputError) as caught:
        read_fleet(PLANNED.replace(right, wrong, 1), where="f.yaml")

    assert said in str(caught.value)
    assert str(caught.value).startswith("f.yaml:")


def test_routing_by_size_needs_sizes() -> None:
    with pytest.raises(InputError, match=r"no workload\.sizes to route by"):
        read_fleet(FLEET + "  routing: {bySize: true}\n", where="f")


LEFT_OPEN = """\
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: open}
spec:
  model: {id: some/model}
  workload: {api: completions, inputTokens: {mean: 200}, outputTokens: {mean: 100}}
  slo: {latency: {p95: 2s}}
  demand: {rate: 10/s}
  units:
    - {name: stated, accelerator: a10g, instanceType: g5.xlarge, framework: vllm}
    - name: open
      accelerator: a10g
      instanceType: g5.48xlarge
      framework: vllm
      tensorParallel: auto
      maxNumSeqs: auto
"""


def test_what_a_unit_leaves_to_the_plan_is_kept_apart_from_the_fleet() -> None:
    declared = read_declared(LEFT_OPEN, where="f")

    assert declared.auto == {"open": {"tensorParallel", "maxNumSeqs"}}
    assert (declared.fleet.unit("open").tensor_parallel, declared.fleet.unit("open").max_num_seqs) == (1, None)
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(LEFT_OPEN))


@pytest.mark.parametrize(
    "text, said",
    [
        (LEFT_OPEN, r"f:15: tensorParallel is auto, which only `holdfast plan` can settle; write the number that"),
        (LEFT_OPEN.replace("tensorParallel: auto", "tensorParallel: 2"), "f:16: maxNumSeqs is auto"),
    ],
)
def test_elsewhere_nothing_may_be_left_to_the_plan(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_fleet(text, where="f")


@pytest.mark.parametrize(
    "found, instead, said",
    [
        ("maxNumSeqs: auto", "devices: 2", r"f:16: devices follow from tensorParallel, which is auto; remove devices"),
        ("maxNumSeqs: auto", "pipelineParallel: auto", "f:16: .*pipelineParallel"),
        ("tensorParallel: auto", "tensorParallel: automatic", "f:15: .*found 'automatic'"),
        ("name: open\n", "title: open\n", "unknown key 'spec.units.1.title'"),
    ],
)
def test_what_cannot_be_left_to_the_plan_is_refused_with_its_line(found: str, instead: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_declared(LEFT_OPEN.replace(found, instead), where="f")


@given(st.recursive(st.none() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=2)))
def test_units_that_are_none_are_refused_and_nothing_else_happens(units: object) -> None:
    document = {**yaml.safe_load(LEFT_OPEN), "spec": {"units": units}}

    with pytest.raises(InputError):
        read_declared(yaml.safe_dump(document), where="f")
