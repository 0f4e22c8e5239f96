"""The rules answer every case exactly once, and their answers go together."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.architecture import Dtype, FixedWork
from holdfast.model.fleet import CapacityType
from holdfast.planning import advice
from holdfast.planning.advice import NEEDS, PHASES, Facts
from holdfast.planning.candidates import Holder, Load, Market, leanest

QUESTIONS = ["size", "nodes", "devices", "engine", "routing", "fallback", "migration"]

SUBSETS = [frozenset(some) for n in range(len(NEEDS) + 1) for some in itertools.combinations(NEEDS, n)]

HOLDERS = [
    (Holder.NONE, Holder.NONE),
    (Holder.NODES, Holder.NODES),
    (Holder.NODE, Holder.NODE),
    (Holder.DEVICE, Holder.DEVICE),
    (Holder.DEVICE, Holder.NODE),
]
"""The least that holds a model, and what the cheapest instance holds it on."""

FACTS = st.builds(
    lambda held, half, **more: Facts(
        holds=held[0], cheapest=held[1], slice="yes" if half and held[0] is Holder.DEVICE else "no", **more
    ),
    held=st.sampled_from(HOLDERS),
    half=st.booleans(),
    kind=st.sampled_from(["text", "fixed"]),
    billions=st.floats(0.01, 5000) | st.sampled_from([33.999, 34.0, 67.999, 68.0, 199.99, 200.0, 699.99, 700.0]),
    accelerators=st.sampled_from(["one", "several"]),
    needs=st.sampled_from(SUBSETS),
    phase=st.sampled_from(PHASES),
)


def every_case() -> list[Facts]:
    sizes = [0.5, 32.8, 34.0, 46.7, 68.0, 117.0, 200.0, 671.0, 700.0, 1026.0]
    return [
        Facts(kind, size, holds, cheapest, accelerators, half, needs, phase)
        for kind, size, (holds, cheapest), accelerators, half, needs, phase in itertools.product(
            ("text", "fixed"), sizes, HOLDERS, ("one", "several"), ("yes", "no"), SUBSETS, PHASES
        )
        if half == "no" or holds is Holder.DEVICE
    ]


@given(FACTS)
def test_every_case_has_one_answer_to_every_question(facts: Facts) -> None:
    assert list(advice.answer(facts)) == QUESTIONS


@given(FACTS)
def test_answers_do_not_contradict_each_other_or_the_needs(facts: Facts) -> None:
    rules = advice.answer(facts)
    answers = {question: rule.answer for question, rule in rules.items()}
    shape = Holder(rules["size"].shape)
    disaggregated = answers["size"].startswith("prefill-and-decode")
    spread = disaggregated or answers["size"] == "several-nodes"
    # EKS Auto Mode has neither DRA nor MIG, and does not start nodes in groups.
    if answers["nodes"] == "auto-mode":
        assert not facts.needs & {"dra", "mig"} and not spread
    assert ("dra" in facts.needs) == (answers["devices"] == "dra-driver") == (answers["nodes"] == "managed-node-groups")
    # A slice is part of one device.
    if answers["devices"] == "mig-slices":
        assert shape is Holder.DEVICE and facts.slice == "yes" and "mig" in facts.needs
    # A replica that spans nodes needs what starts them together, and an engine and a route that know of it.
    assert ("LeaderWorkerSet" in rules["nodes"].advice) == spread
    assert disaggregated == (answers["engine"] == "vllm-disaggregated") == (answers["routing"] == "disaggregated")
    assert (shape is Holder.DEVICE) == (answers["engine"] in ("vllm", "compiled"))
    assert (answers["engine"] == "vllm-pipeline") == (answers["size"] == "several-nodes")
    # Phases 1 and 1.5 are on Auto Mode.
    if answers["migration"] in ("phase-1", "phase-1.5"):
        assert answers["nodes"] == "auto-mode"
    if answers["migration"] == "phase-1.5" and facts.phase == "pilot":
        assert answers["routing"] == "kv-aware"
    # Work that is always the same has none of what only text needs.
    if facts.kind == "fixed":
        assert answers["engine"] == "compiled" and answers["routing"] == "weighted-pools" and shape is Holder.DEVICE
    if facts.accelerators == "one" and facts.kind == "text":
        assert answers["fallback"] != "second-accelerator"


@given(FACTS)
def test_a_shape_is_never_less_than_what_holds_the_model(facts: Facts) -> None:
    order = [Holder.DEVICE, Holder.NODE, Holder.NODES]
    if facts.kind == "text" and facts.holds in order:
        shape = Holder(advice.answer(facts)["size"].shape)
        assert order.index(shape) >= order.index(facts.holds)


def test_every_rule_is_the_answer_to_something() -> None:
    met = Counter(rule.name for facts in every_case() for rule in advice.answer(facts).values())
    used = {(rule.question, rule.name) for facts in every_case() for rule in advice.answer(facts).values()}
    assert used == {(rule.question, rule.name) for rule in advice.rules()}, met


def test_a_rule_gives_an_answer_a_reason_what_would_change_it_and_its_source() -> None:
    seen: dict[str, set[str]] = {}
    names = [(rule.question, rule.name) for rule in advice.rules()]
    assert len(names) == len(set(names))
    for rule in advice.rules():
        assert all((rule.answer, rule.advice, rule.why, rule.changes, rule.source)), rule.name
        earlier = {answer for question, answers in seen.items() if question != rule.question for answer in answers}
        assert rule.given <= earlier, rule.name
        assert rule.needs <= set(NEEDS) and rule.phase in ("", *PHASES) and rule.kind in ("", "text", "fixed")
        assert rule.holds | rule.cheapest <= {holder.value for holder in Holder}
        assert (rule.question == "size") == bool(rule.shape)
        seen.setdefault(rule.question, set()).add(rule.answer)
    assert list(seen) == QUESTIONS


def test_capabilities_are_of_known_accelerators_and_of_weights_that_are_stored_so() -> None:
    known = {device.name for device in catalog.accelerators()}
    assert all(names <= known for names in advice.capabilities().values())
    assert set(advice.capabilities()) - {"text", "mig", "dra"} <= {dtype.value for dtype in Dtype}


# -- with the catalogue's instances and prices --------------------------------------------------------------------


def market(region: str = "us-east-1") -> Market:
    return Market(
        [one for one in catalog.offerings(region) if one.capacity_type is CapacityType.ON_DEMAND],
        {kind.name: kind for kind in catalog.instance_types()},
        {device.name: device for device in catalog.accelerators()},
    )


def advised(model: str, *needs: str, phase: str = "production", region: str = "us-east-1") -> advice.Advice:
    return advice.advise(models.architecture(model), market(region), Load(4096, 8), needs=needs, phase=phase)


@pytest.mark.parametrize(
    ("model", "size", "routing"),
    [
        # The examples of the published tiers, and of the gaps between them.
        ("meta-llama/Llama-3.1-8B", "one-device", "round-robin"),
        ("openai/gpt-oss-20b", "one-device", "round-robin"),
        ("Qwen/Qwen3-32B-FP8", "one-device", "round-robin"),
        ("Qwen/Qwen3-32B", "one-device", "round-robin"),
        ("mistralai/Mixtral-8x7B-v0.1", "one-node", "kv-aware"),
        ("meta-llama/Llama-3.3-70B-Instruct", "one-node", "kv-aware"),
        ("meta-llama/Llama-2-70b-hf", "one-node", "kv-aware"),
        ("Qwen/Qwen3-235B-A22B", "one-node", "kv-aware"),
        ("deepseek-ai/DeepSeek-V3", "one-node", "kv-aware"),
        ("zai-org/GLM-5-FP8", "prefill-and-decode-nodes", "disaggregated"),
        ("moonshotai/Kimi-K2.5", "prefill-and-decode-nodes", "disaggregated"),
    ],
)
def test_the_models_of_the_published_tiers(model: str, size: str, routing: str) -> None:
    answers = advised(model).answers
    assert (answers["size"].answer, answers["routing"].answer) == (size, routing)


def test_without_a_node_that_holds_it_a_700b_model_goes_over_groups_of_nodes() -> None:
    made = advised("moonshotai/Kimi-K2-Instruct", region="us-west-2")
    assert made.answers["size"].answer == "prefill-and-decode-groups"
    assert [(one.instance.name, one.nodes, one.fit.pipeline_parallel) for one in made.fitting] == [
        ("p5.48xlarge", 2, 2)
    ]


@pytest.mark.parametrize("entry", models.entries(), ids=lambda entry: entry.id)
def test_candidates_hold_the_model_have_the_shape_and_are_cheapest_first(entry: models.Entry) -> None:
    made = advised(entry.id)
    prices = [one.price_usd_per_h for one in made.fitting]
    assert prices == sorted(prices)
    shape = Holder(made.answers["size"].shape)
    for one in made.fitting:
        assert one.fit.sequences >= made.load.sequences
        assert 1 <= one.devices <= one.instance.devices and one.replicas * one.devices <= one.instance.devices
        assert (one.holder is shape) or (shape is Holder.NODE and one.holder is Holder.DEVICE)
    assert made.cheaper is None or not made.fitting or made.cheaper.price_usd_per_h < prices[0]


def test_needs_leave_only_accelerators_that_can_do_it() -> None:
    for need in ("mig", "dra"):
        found = {one.instance.accelerator for one in advised("meta-llama/Llama-3.1-8B", need).fitting}
        assert found and found <= advice.capabilities()[need]


def test_where_mig_slices_are_advised_half_a_device_holds_the_model() -> None:
    made = advised("openai/gpt-oss-120b", "mig")
    assert made.answers["devices"].answer == "mig-slices"
    assert {one.instance.accelerator for one in made.fitting} <= {"h200", "b200", "b300"}  # half of 80 GB is not enough
    assert advised("meta-llama/Llama-3.3-70B-Instruct", "mig").answers["devices"].name == "mig-cannot"


def test_weights_go_only_where_they_are_served_as_they_are_stored() -> None:
    def accelerators(model: str) -> set[str]:
        return {one.instance.accelerator for one in advised(model).fitting}

    assert "inferentia2" in accelerators("meta-llama/Llama-3.1-8B")
    assert not accelerators("Qwen/Qwen3-32B-FP8") & {"inferentia2", "trainium"}
    assert not accelerators("openai/gpt-oss-20b") & {"inferentia2", "trainium", "t4"}


def test_images_are_advised_as_fixed_work_on_any_accelerator() -> None:
    work = FixedWork("sd", 1.3e9, 3.5e13, 20, 5e8, Dtype.FP16, "test")
    made = advice.advise(work, market(), Load(1, 1), needs=("multi-node",), phase="production")
    assert made.answers["size"].name == "fixed-work"
    assert {"a10g", "l4", "inferentia2", "trainium"} <= {one.instance.accelerator for one in made.fitting}


def test_where_nothing_is_sold_the_rules_answer_and_nothing_fits() -> None:
    made = advice.advise(
        models.architecture("openai/gpt-oss-20b"), replace(market(), offerings=()), Load(4096, 8), phase="pilot"
    )
    assert list(made.answers) == QUESTIONS
    assert (made.fitting, made.cheaper, made.tried, made.facts.holds) == ((), None, 0, Holder.NONE)


def test_of_instances_with_the_same_devices_the_cheapest_is_shown() -> None:
    shown = leanest(advised("openai/gpt-oss-20b").fitting)
    kinds = [(one.instance.accelerator, one.instance.devices) for one in shown]
    assert len(kinds) == len(set(kinds)) > 8
    assert [one.instance.name for one in shown][:2] == ["g6.xlarge", "g5.xlarge"]
