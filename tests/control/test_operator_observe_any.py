"""Whatever the cluster holds, there is an observation of it that keeps its own rules, and only one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from control.operator_objects import APPLIED, NOW_S, PLACED, READING, at, event, workload
from holdfast.control.operator.seeing.interruptions import EVENTS, TAINTS
from holdfast.control.operator.seeing.observe import Standing, observe
from holdfast.control.operator.seeing.seen import Seen

NODES = st.sampled_from(["n1", "n2", "n3", "n4"])
TIMES = st.one_of(st.none(), st.integers(-7000, 100).map(lambda ago_s: at(NOW_S + ago_s)))
STATUS = st.sampled_from(["True", "False", "Unknown"])


def some_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def one_of(*names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


def conditions(*types: str) -> st.SearchStrategy[Any]:
    reasons = one_of("Unschedulable", "Drifted", "")
    each = some_of(type=one_of(*types), status=STATUS, reason=reasons, lastTransitionTime=TIMES)
    return st.one_of(st.none(), st.lists(each, max_size=4))


LABELS = st.fixed_dictionaries(
    {"app.kubernetes.io/instance": one_of("sd-inf2", "sd-apart", "sd-groups", "sd-own", "another")},
    optional={
        "llm-d.ai/role": one_of("prefill", "decode"),
        "leaderworkerset.sigs.k8s.io/group-index": one_of("0", "1", "2"),
        "leaderworkerset.sigs.k8s.io/worker-index": one_of("0", "1"),
    },
)
META = some_of(creationTimestamp=TIMES, deletionTimestamp=TIMES, labels=LABELS, annotations=st.none())
PODS = some_of(
    metadata=META,
    spec=some_of(nodeName=NODES),
    status=some_of(
        phase=one_of("Pending", "Running", "Failed"), conditions=conditions("Ready", "PodScheduled", "DisruptionTarget")
    ),
)
TAINT = some_of(key=one_of(*TAINTS, "other"), timeAdded=TIMES)
NODE = some_of(metadata=META, spec=st.one_of(st.none(), some_of(taints=st.one_of(st.none(), st.lists(TAINT)))))
CLAIM_NAMES = one_of("ml-sd-inf2-aaaaa", "ml-sd-own-bbbbb", "c")
CLAIM = some_of(
    metadata=META,
    status=some_of(nodeName=NODES, conditions=conditions("Launched", "Initialized", "DisruptionReason")),
)
EVENT = some_of(
    reason=one_of(
        *EVENTS,
        "InsufficientCapacityError",
        "NotTriggerScaleUp",
        "ScaleUpFailed",
        "FailedScheduling",
        "SuccessfulDelete",
    ),
    note=st.one_of(st.none(), one_of("in backoff after failed scale-up", "")),
    regarding=some_of(
        kind=one_of("Node", "NodeClaim", "Pod"), name=st.one_of(NODES, CLAIM_NAMES), namespace=one_of("ml", "default")
    ),
    eventTime=TIMES,
    deprecatedLastTimestamp=TIMES,
    series=st.one_of(st.none(), some_of(lastObservedTime=TIMES)),
    metadata=META,
)
WORKLOADS = st.dictionaries(
    one_of("sd-inf2", "sd-groups", "sd-own"), st.one_of(st.none(), st.integers(0, 5)), max_size=3
).map(lambda asked: dict(workload(name, replicas) for name, replicas in asked.items()))
SEEN = st.builds(
    Seen,
    fleet=st.just({}),
    managed=WORKLOADS,
    pods=st.lists(PODS, max_size=12).map(tuple),
    nodes=st.dictionaries(NODES, NODE, max_size=4),
    node_claims=st.dictionaries(CLAIM_NAMES, CLAIM, max_size=3),
    events=st.lists(EVENT, max_size=6).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(SEEN, st.integers(0, 5), st.randoms(use_true_random=False))
def test_any_mixture_of_objects_is_an_observation_and_their_order_is_nothing(
    what: Seen, lasting: int, shuffle: random.Random
) -> None:
    before = {placement.unit.name: Standing(lasting, NOW_S - 100) for placement in PLACED}
    found = observe(PLACED, what, READING, APPLIED, before, NOW_S)
    for pool in found.pools:
        assert 0 <= pool.draining <= pool.ready
        assert 0 <= pool.starting <= pool.pending
        assert (pool.gone_at_s == 0) or pool.draining
        assert len(pool.shortages) <= 1
    pods, events = list(what.pods), list(what.events)
    shuffle.shuffle(pods)
    shuffle.shuffle(events)
    again = replace(
        what,
        pods=tuple(pods),
        events=tuple(events),
        nodes=dict(reversed(list(what.nodes.items()))),
        node_claims=dict(reversed(list(what.node_claims.items()))),
    )
    assert observe(PLACED, again, READING, APPLIED, before, NOW_S) == found


@settings(max_examples=50, deadline=None)
@given(SEEN)
def test_one_more_event_of_anything_else_changes_nothing(what: Seen) -> None:
    other = event("Pulled", "Pod", "sd-inf2-0", NOW_S, namespace="ml")
    more = replace(what, events=(*what.events, other))
    assert observe(PLACED, more, READING, APPLIED, {}, NOW_S) == observe(PLACED, what, READING, APPLIED, {}, NOW_S)
