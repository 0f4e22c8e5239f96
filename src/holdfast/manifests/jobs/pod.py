"""The pod of a job: holdfast, and before and after it what brings and keeps runs where they are in S3.

The exit code of holdfast is the job's: 1 says that the answer is no. It is kept over the upload, which happens in any
case. Pods have the fleet's name as a label: with it its pools' network policies let them in.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import names
from holdfast.manifests.manifest import Object
from holdfast.manifests.serving import model_files
from holdfast.model.cluster import OwnPods, Runs
from holdfast.model.fleet import InferenceFleet

RUNS = "/runs"
COMPONENT = "app.kubernetes.io/component"
COMPONENT_OF_JOBS = "load"

_EXIT = "/scratch/exit-code"
_KEEPING_EXIT = f'holdfast "$@"; echo $? > {_EXIT}'
_FETCH = 'aws s3 cp --recursive --no-progress "$1" "$2"'
_KEEP = f'aws s3 cp --recursive --no-progress "$1" "$2" && exit "$(cat {_EXIT})"'
_LOCKED_DOWN = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_USER = 1000
_MEMORY = "2Gi"
"""An assumption: a level keeps 40 bytes of each request in memory (docs/architecture.md), and rows go to the disk."""


def account(fleet: InferenceFleet) -> str:
    """The jobs' service account, which may write runs."""
    return names.label(fleet.metadata.name, "load")


def labels(fleet: InferenceFleet) -> dict[str, str]:
    """Of the pods. They have no `instance`, which Services select by: no request goes to them."""
    return {
        "app.kubernetes.io/name": fleet.metadata.name,
        "app.kubernetes.io/part-of": fleet.metadata.name,
        COMPONENT: COMPONENT_OF_JOBS,
    }


def template(
    fleet: InferenceFleet,
    own: OwnPods,
    runs: Runs,
    arguments: Sequence[str],
    *,
    folder: str,
    needs: str = "",
    cores: int = 1,
    environment: Sequence[Object] = (),
) -> Object:
    """The pod's template.

    folder: where it writes, below the place of runs; needs: the folder that it reads there first.
    cores:  of processor that it asks for.
    """
    work = _container("holdfast", own.image, environment, cores)
    if runs.s3 is None:
        containers: Object = {"containers": [work | {"command": ["holdfast"], "args": list(arguments)}]}
    else:
        kept = runs.s3.rstrip("/")
        fetch = [_aws(fleet, "fetch", _FETCH, f"{kept}/{needs}", f"{RUNS}/{needs}")] if needs else []
        measured = work | {"command": ["/bin/sh", "-c"], "args": [_KEEPING_EXIT, "holdfast", *arguments]}
        keep = _aws(fleet, "keep", _KEEP, f"{RUNS}/{folder}", f"{kept}/{folder}")
        containers = {"initContainers": [*fetch, measured], "containers": [keep]}
    spec = {
        "restartPolicy": "Never",
        "serviceAccountName": account(fleet),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": _volumes(fleet, runs),
    }
    # A sender that is moved to another node would be a hole in the load.
    annotations = {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    return {"metadata": {"labels": labels(fleet), "annotations": annotations}, "spec": spec | containers}


def claim(fleet: InferenceFleet) -> str:
    """The name of the volume claim of runs."""
    return names.label(fleet.metadata.name, "runs")


def _container(name: str, image: str, environment: Sequence[Object], cores: int) -> Object:
    return {
        "name": name,
        "image": image,
        "env": [*environment, *({"name": name, "value": "/scratch"} for name in ("HOME", "TMPDIR"))],
        "resources": {"requests": {"cpu": str(cores), "memory": _MEMORY}, "limits": {"memory": _MEMORY}},
        "securityContext": _LOCKED_DOWN,
        "volumeMounts": [{"name": "runs", "mountPath": RUNS}, {"name": "scratch", "mountPath": "/scratch"}],
    }


def _aws(fleet: InferenceFleet, name: str, script: str, source: str, destination: str) -> Object:
    region = [{"name": "AWS_REGION", "value": fleet.spec.region}]
    # Init containers and those after them do not add up: what holdfast asks for is enough for this.
    return _container(name, model_files.AWS_CLI, region, 1) | {
        "command": ["/bin/bash", "-c"],
        "args": [script, name, source, destination],
    }


def _volumes(fleet: InferenceFleet, runs: Runs) -> list[Object]:
    kept: Object = {"emptyDir": {}}
    if runs.storage_class is not None:
        kept = {"persistentVolumeClaim": {"claimName": claim(fleet)}}
    return [{"name": "runs"} | kept, {"name": "scratch", "emptyDir": {}}]
