"""The search for a pool's breaking point, as a Job."""

from __future__ import annotations

from holdfast.manifests.jobs import job, pod, requests
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import OwnPods, Runs
from holdfast.model.fleet import format_slo

KIND = "limit"
_WORKERS = 2


def manifest(placement: Placement, own: OwnPods, runs: Runs) -> Manifest:
    """`holdfast limit` against the pool's Service, under the fleet's SLO."""
    folder = f"{placement.unit.name}/{KIND}"
    arguments = [
        "limit",
        requests.target(placement),
        *requests.arguments(placement),
        f"--slo={format_slo(placement.fleet.spec.slo)}",
        f"--workers={_WORKERS}",
        f"--out={pod.RUNS}/{folder}",
        "--json",
    ]
    template = pod.template(placement.fleet, own, runs, arguments, folder=folder, cores=_WORKERS)
    note = (
        "Finds the limit of the pool as it is: hold it at one replica first, and take its traffic away (README.md).\n"
        "It fails with exit code 1 if not even the lowest rate holds."
    )
    if placement.unit.disaggregated is not None:
        note += "\nThe pool's Service knows nothing of prefill: decode servers do both here, and are slower for it."
    return job.manifest(placement, KIND, template, note=note)
