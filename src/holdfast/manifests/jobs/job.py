"""The Job around such a pod: suspended until somebody starts it, and never begun anew."""

from __future__ import annotations

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement

FOLDER = "jobs"


def name(placement: Placement, kind: str) -> str:
    return names.label(placement.fleet.metadata.name, placement.unit.name, kind)


def manifest(placement: Placement, kind: str, template: Object, *, shards: int = 1, note: str = "") -> Manifest:
    """The Job of that kind for a pool; with several shards each pod has its index."""
    indexed = {"completionMode": "Indexed", "completions": shards, "parallelism": shards} if shards > 1 else {}
    described = metadata.of_pool(placement) | {"name": name(placement, kind)}
    described["labels"]["app.kubernetes.io/instance"] = name(placement, kind)
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": described,
        # A search or a sender that began anew in another pod would measure something else under the same name.
        "spec": {"suspend": True, "backoffLimit": 0, "template": template} | indexed,
    }
    return Manifest(f"{FOLDER}/{placement.unit.name}/{kind}.yaml", job, note)
