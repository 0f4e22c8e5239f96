"""Load that several pods send together to a pool, as an Indexed Job, and the Job that joins their runs.

All pods begin at one moment by their nodes' clocks, which is an annotation: of a suspended Job that has not started the
annotations of its pods may be changed (KEP-2926, stable since Kubernetes 1.27), its arguments may not.
"""

from __future__ import annotations

from holdfast.manifests.jobs import job, pod, requests
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import OwnPods, Runs

KIND = "load"
MERGE = "merge"
START_AT = "holdfast.dev/start-at"

_SHARDS = 2
"""Two machines: one alone could be what was measured. A core sends thousands of requests a second
(docs/benchmarks.md), so that more are needed for bandwidth alone."""

_DURATION = "5min"
_SEED = 1
"""All shards of a load need the same."""


def manifest(placement: Placement, own: OwnPods, runs: Runs) -> Manifest:
    """`holdfast load --shard` in each pod, at the traffic that the plan expects of the pool."""
    shard = f"{placement.unit.name}/{KIND}/shard-$(JOB_COMPLETION_INDEX)"
    arguments = [
        "load",
        requests.target(placement),
        *requests.arguments(placement),
        f"--rate={_rate_per_s(placement):.6g}/s",
        f"--duration={_DURATION}",
        f"--seed={_SEED}",
        f"--shard=$(JOB_COMPLETION_INDEX)/{_SHARDS}",
        "--start-at=$(START_AT)",
        f"--out={pod.RUNS}/{shard}",
    ]
    begins: Object = {
        "name": "START_AT",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{START_AT}']"}},
    }
    template = pod.template(placement.fleet, own, runs, arguments, folder=shard, environment=[begins])
    template["spec"]["topologySpreadConstraints"] = [_apart(placement)]
    note = f"Starts with an annotation {START_AT} on its pods (README.md); without it every pod fails."
    return job.manifest(placement, KIND, template, shards=_SHARDS, note=note)


def merge(placement: Placement, own: OwnPods, runs: Runs) -> Manifest:
    """`holdfast merge` of the shards' runs; its log shows the table."""
    folder = f"{placement.unit.name}/{KIND}"
    shards = [f"{pod.RUNS}/{folder}/shard-{index}" for index in range(_SHARDS)]
    whole = f"{placement.unit.name}/whole"
    template = pod.template(
        placement.fleet,
        own,
        runs,
        ["merge", *shards, f"--out={pod.RUNS}/{whole}"],
        folder=whole,
        needs=folder,
    )
    return job.manifest(placement, MERGE, template, note="Starts when all shards of the load are there.")


def _rate_per_s(placement: Placement) -> float:
    """What the plan sends there; the limit of one replica where that is nothing."""
    return placement.pool.expected_per_s or placement.pool.limit_per_s


def _apart(placement: Placement) -> Object:
    """Senders that share a network card or a core measure each other."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"batch.kubernetes.io/job-name": job.name(placement, KIND)}},
    }
