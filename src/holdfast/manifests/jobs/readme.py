"""README of the jobs: the commands that start each, and what to do before."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.jobs import job, limit, load
from holdfast.manifests.manifest import TextFile
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Runs
from holdfast.model.plan import Plan

PATH = f"{job.FOLDER}/README.md"


def of(plan: Plan, placed: Sequence[Placement], runs: Runs) -> TextFile:
    namespace, first = plan.fleet.metadata.namespace, placed[0]
    kept = runs.s3 or f"a volume of storage class {runs.storage_class}"
    held = "\n".join(
        f"kubectl -n {namespace} annotate scaledobject {target.name} "
        f"autoscaling.keda.sh/paused-replicas={target.servers_per_replica}"
        for target in first.scale_targets
    )
    start = f'{{"spec":{{"suspend":false,"template":{{"metadata":{{"annotations":{{"{load.START_AT}":"TIME"}}}}}}}}}}'
    text = f"""# Measuring fleet {plan.fleet.metadata.name} in the cluster

    kubectl apply -k {job.FOLDER}

makes the Jobs and starts none of them. Delete a Job before it is applied anew, and its run before it is measured
anew; runs are kept in {kept}. Each pool has a folder; the commands below are of {first.unit.name}.

## The limit of one replica

Take the pool's traffic away (its weight to 0), hold it at one replica, measure, and let it go:

    {held.replace(chr(10), chr(10) + "    ")}
    kubectl -n {namespace} patch job {job.name(first, limit.KIND)} --type=merge -p '{{"spec":{{"suspend":false}}}}'
    kubectl -n {namespace} wait --for=condition=complete --timeout=1h job/{job.name(first, limit.KIND)}

and remove the annotation (`paused-replicas-`). A pool that a HorizontalPodAutoscaler scales is held by its
`maxReplicas`.
A Job that fails is never complete, and `kubectl logs` of its pod has the sentence: exit code 1 says that not even the
lowest rate holds.
While other traffic reaches the pool, or more replicas come, what is found is no replica's limit.

## Load

All pods begin together, some minutes ahead so that each of them is there:

    TIME=$(date -u -d '+5 minutes' +%FT%TZ)
    kubectl -n {namespace} patch job {job.name(first, load.KIND)} --type=merge \\
      -p "$(sed "s/TIME/$TIME/" <<< '{start}')"
    kubectl -n {namespace} wait --for=condition=complete --timeout=30m job/{job.name(first, load.KIND)}
    kubectl -n {namespace} patch job {job.name(first, load.MERGE)} --type=merge -p '{{"spec":{{"suspend":false}}}}'

The load goes to the pool beside its usual traffic. Rate, duration and shards are in `load.yaml`.
"""
    return TextFile(PATH, text)


def missing(what: str) -> TextFile:
    """In the place of jobs that cannot be rendered."""
    return TextFile(PATH, f"# No jobs\n\nThe fleet does not say {what}.\n")
