"""InferencePool: all replicas of a fleet as one backend, of which an endpoint picker chooses for each request.

It stands for all of the fleet's pools: a prefix that is cached anywhere is worth more than the plan's weights, which
are not applied here. The picker weighs queues and caches of the replicas that are ready, so that what a pool gets
follows from what it can take, and a pool without capacity gets nothing.

API: inference.networking.k8s.io/v1 (Gateway API Inference Extension v1.6.0, 2026-08-10).
"""

from __future__ import annotations

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.routing import endpoint_picker
from holdfast.manifests.serving import engine, labels
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan

GROUP = "inference.networking.k8s.io"


def name(fleet: InferenceFleet) -> str:
    return names.label(fleet.metadata.name)


def manifest(plan: Plan) -> Manifest:
    """The pool. Without its picker a gateway sends requests anywhere, except where not every server takes them."""
    roles = endpoint_picker.has_roles(plan)
    pool = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "InferencePool",
        "metadata": metadata.of_fleet(plan, name(plan.fleet)),
        "spec": {
            "selector": {"matchLabels": {labels.POOL: plan.fleet.metadata.name}},
            "targetPorts": [{"number": engine.PORT}],
            "appProtocol": "http",
            "endpointPickerRef": {
                "group": "",
                "kind": "Service",
                "name": endpoint_picker.name(plan.fleet),
                "port": {"number": endpoint_picker.PORT},
                "failureMode": "FailClose" if roles else "FailOpen",
            },
        },
    }
    note = (
        "All pools are behind this one: the picker chooses by queue and cached prefix, and the plan's weights do not "
        "apply.\n"
    )
    note += (
        "FailClose: without the picker a request might reach a server that only prefills."
        if roles
        else "FailOpen: while the picker restarts, requests go to any ready replica."
    )
    return Manifest(f"{endpoint_picker.FOLDER}/inference-pool.yaml", pool, note)
