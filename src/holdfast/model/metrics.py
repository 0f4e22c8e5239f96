"""The names under which the fleet is measured: what the operator exports, and where servers' histograms have bounds.

Rules and dashboards (`manifests.observing`) ask for these names. The operator exports them, one sample for each fleet
or pool, and only its leader does. Names follow Prometheus' advice: the unit at the end, `_total` on counters
(prometheus.io/docs/practices/naming).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a metric's samples do; the values are Prometheus' words."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric. labels: their names, in order; buckets_s: upper bounds of a histogram, in seconds."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    text: str
    buckets_s: tuple[float, ...] = ()


FLEET = ("fleet_namespace", "fleet")
"""Which fleet. Not `namespace`: Prometheus gives that label to the pod that was read, which is the operator's."""

POOL = (*FLEET, "pool")
"""Which pool of it, by the name of its unit."""

FLEET_MODE = Metric(
    "holdfast_fleet_mode", Kind.GAUGE, (*FLEET, "mode"), "1 for the routing mode that the fleet is in, 0 for the other."
)
FLEET_CONDITION = Metric(
    "holdfast_fleet_condition",
    Kind.GAUGE,
    (*FLEET, "type"),
    "1 while the condition of the InferenceFleet is True: Ready, Degraded, FailedOver, Stale.",
)
FLEET_COST = Metric(
    "holdfast_fleet_cost_usd_per_hour",
    Kind.GAUGE,
    FLEET,
    "Price of the replicas that are there, in US dollars per hour.",
)
FLEET_OBSERVED = Metric(
    "holdfast_fleet_observed_timestamp_seconds",
    Kind.GAUGE,
    FLEET,
    "When the fleet was last seen whole: API server and metrics both answered. Unix time.",
)
POOL_READY = Metric("holdfast_pool_ready_replicas", Kind.GAUGE, POOL, "Replicas that take traffic.")
POOL_DESIRED = Metric("holdfast_pool_desired_replicas", Kind.GAUGE, POOL, "Replicas that are asked for.")
POOL_WEIGHT = Metric("holdfast_pool_weight", Kind.GAUGE, POOL, "Weight of the pool's traffic, as it was applied.")
POOL_SHORTAGE = Metric(
    "holdfast_pool_shortage", Kind.GAUGE, POOL, "1 while the pool is believed to get no capacity, else 0."
)
POOL_SHORTAGES = Metric(
    "holdfast_pool_shortages_total", Kind.COUNTER, POOL, "Times that the pool was found short of capacity."
)
DECISIONS = Metric(
    "holdfast_decisions_total",
    Kind.COUNTER,
    (*FLEET, "result"),
    "Decisions by what became of them: applied, unchanged, refused (it would break an invariant), failed.",
)
REACTION = Metric(
    "holdfast_reaction_seconds",
    Kind.HISTOGRAM,
    FLEET,
    "From the event of a shortage to the weights that were patched for it.",
    (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 60.0),
)
LEADING = Metric("holdfast_operator_leading", Kind.GAUGE, (), "1 in the replica of the operator that leads, else 0.")

OPERATOR = (
    FLEET_MODE,
    FLEET_CONDITION,
    FLEET_COST,
    FLEET_OBSERVED,
    POOL_READY,
    POOL_DESIRED,
    POOL_WEIGHT,
    POOL_SHORTAGE,
    POOL_SHORTAGES,
    DECISIONS,
    REACTION,
    LEADING,
)
"""All that the operator exports."""

LATENCY = "vllm:e2e_request_latency_seconds"
TTFT = "vllm:time_to_first_token_seconds"
ITL = "vllm:inter_token_latency_seconds"
"""Histograms of servers, under vLLM's names (vLLM 0.33.0, vllm/v1/metrics/loggers.py)."""

# fmt: off
VLLM_BUCKETS_S = {
    LATENCY: (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0,
              960.0, 1920.0, 7680.0),
    TTFT: (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
           160.0, 640.0, 2560.0),
    ITL: (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
}
# fmt: on
"""Upper bounds of vLLM's buckets, as in vllm/v1/metrics/loggers.py (read 2026-11-21 at commit 005a810, where ITL was
called time_per_output_token)."""

SERVER_BUCKETS_S = {LATENCY: VLLM_BUCKETS_S[TTFT], TTFT: VLLM_BUCKETS_S[TTFT]}
"""Those of holdfast's own servers: vLLM's for the time to first token throughout, as its end-to-end buckets start at
0.3 s, which is coarse for images and under a time scale."""
