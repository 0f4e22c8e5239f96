"""The files of the jobs that measure in the cluster."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import kustomization
from holdfast.manifests.jobs import job, limit, load, place, readme, surroundings
from holdfast.manifests.manifest import File
from holdfast.manifests.placement import Placement
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """Jobs for each pool and what they need; a README that says what is missing where the fleet does not tell."""
    own, runs = plan.fleet.spec.cluster.holdfast, place.of(plan.fleet)
    if own is None:
        return (readme.missing("which image of holdfast to run: give `cluster.holdfast.image`"),)
    if runs is None:
        return (readme.missing("where runs are kept: give `cluster.holdfast.runs`, or the model's `source.s3`"),)
    found: list[File] = [*surroundings.manifests(plan, runs)]
    for placement in placed:
        found += [
            limit.manifest(placement, own, runs),
            load.manifest(placement, own, runs),
            load.merge(placement, own, runs),
        ]
    return *found, kustomization.of_folder(job.FOLDER, found), readme.of(plan, placed, runs)
