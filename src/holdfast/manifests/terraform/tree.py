"""The files of the account's Terraform."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from holdfast.manifests.images import tree as images
from holdfast.manifests.manifest import File, Object, TextFile
from holdfast.manifests.placement import Placement
from holdfast.manifests.terraform import quotas, workloads
from holdfast.model.cluster import Nodes
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan

FOLDER = "terraform"

_KUBERNETES = "1.33"
"""What the rendered objects are checked against, and the oldest that they are for."""

_LONGEST = 64 - len("AmazonEKSAutoNodeRole-")
"""Characters of a cluster's name: IAM allows 64 for a role's."""

_ACCOUNT = Path(__file__).parent / "account"
_SUFFIXES = (".tf", ".md")


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """The configuration, which no plan changes, and the values of its variables, which are all that a plan decides."""
    values = json.dumps(variables(plan, placed), indent=2, sort_keys=True) + "\n"
    written = sorted(
        file for file in _ACCOUNT.rglob("*") if file.suffix in _SUFFIXES and ".terraform" not in file.parts
    )
    return (
        TextFile(f"{FOLDER}/terraform.tfvars.json", values),
        *(
            TextFile(f"{FOLDER}/{file.relative_to(_ACCOUNT).as_posix()}", file.read_text(encoding="utf-8"))
            for file in written
        ),
    )


def variables(plan: Plan, placed: Sequence[Placement]) -> Object:
    """What the plan says of the variables in account/variables.tf; one that is not here keeps its default.

    `node_groups` are the pools' nodes: area compute writes them, to a file of their own.
    """
    fleet = plan.fleet
    spec = fleet.spec
    _check(spec.cluster.name)
    kinds = {_nodes(placement) for placement in placed}
    return {
        "region": spec.region,
        "cluster_name": spec.cluster.name,
        "kubernetes_version": _KUBERNETES,
        "zones": sorted({zone for placement in placed for zone in placement.unit.zones or spec.zones}),
        "karpenter": Nodes.KARPENTER in kinds,
        "auto_mode": Nodes.AUTO_MODE in kinds,
        "hybrid": Nodes.HYBRID in kinds,
        "load_balancer_controller": Nodes.AUTO_MODE not in kinds,
        "efa_instance_types": sorted({placement.instance.name for placement in placed if _talks(placement)}),
        "bucket": {"name": workloads.bucket(fleet)},
        "workloads": workloads.rights(fleet),
        "repositories": list(images.names(placed)),
        "vcpus": quotas.vcpus([placement for placement in placed if _nodes(placement) is not Nodes.HYBRID]),
    }


def _check(cluster_name: str) -> None:
    """Raises InputError for a name that EKS, or a role that is named by it, cannot have."""
    if "." in cluster_name or len(cluster_name) > _LONGEST:
        raise InputError(
            f"{cluster_name!r} cannot be the name of an EKS cluster whose roles are named by it",
            where="spec.cluster.name",
            mend=f"use at most {_LONGEST} characters a-z, 0-9 and -",
        )


def _nodes(placement: Placement) -> Nodes:
    return placement.unit.nodes or placement.fleet.spec.cluster.nodes


def _talks(placement: Placement) -> bool:
    """Whether a replica's servers talk to each other across nodes: they span them, or hand their KV caches over."""
    unit = placement.unit
    return unit.devices_per_server > placement.instance.resource_count or unit.disaggregated is not None
