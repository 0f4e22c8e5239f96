"""Where the runs of jobs are kept: a prefix in S3, or a volume that several nodes write to."""

from __future__ import annotations

from holdfast.model.cluster import Runs
from holdfast.model.fleet import InferenceFleet


def of(fleet: InferenceFleet) -> Runs | None:
    """As the fleet says, else beside its model's files; None where neither is known.

    The rendered Terraform lets the jobs' service account read and write there.
    """
    own, source = fleet.spec.cluster.holdfast, fleet.spec.model.source.s3
    if own is not None and own.runs is not None:
        return own.runs
    if source is None:
        return None
    bucket = source.removeprefix("s3://").partition("/")[0]
    return Runs(s3=f"s3://{bucket}/results/{fleet.metadata.name}")
