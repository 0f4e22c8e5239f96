"""The files of the account's Terraform."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from holdfast.manifests.addons import tree as addons
from holdfast.manifests.compute import nodes
from holdfast.manifests.images import tree as images
from holdfast.manifests.manifest import File, Object, TextFile
from holdfast.manifests.placement import Placement
from holdfast.manifests.terraform import quotas, workloads
from holdfast.model.cluster import Nodes
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan

FOLDER = "terraform"

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
    kinds = {nodes.kind(placement) for placement in placed}
    return {
        "region": spec.region,
        "cluster_name": spec.cluster.name,
        "kubernetes_version": spec.cluster.kubernetes_version,
        "zones": sorted({zone for placement in placed for zone in nodes.zones(placement)}),
        "karpenter": Nodes.KARPENTER in kinds,
        "auto_mode": Nodes.AUTO_MODE in kinds,
        "hybrid": Nodes.HYBRID in kinds,
        "load_balancer_controller": "aws-load-balancer-controller"
        in [chart.name for chart in addons.charts(plan, placed)],
        "efa_instance_types": sorted({placement.instance.name for placement in placed if placement.fabric_interfaces}),
        "bucket": {"name": workloads.bucket(fleet)},
        "workloads": workloads.rights(fleet),
        "repositories": list(images.names(placed)),
        "vcpus": quotas.vcpus([placement for placement in placed if nodes.kind(placement) is not Nodes.HYBRID]),
    }


def _check(cluster_name: str) -> None:
    """Raises InputError for a name that EKS, or a role that is named by it, cannot have."""
    if "." in cluster_name or len(cluster_name) > _LONGEST:
        raise InputError(
            f"{cluster_name!r} cannot be the name of an EKS cluster whose roles are named by it",
            where="spec.cluster.name",
            mend=f"use at most {_LONGEST} characters a-z, 0-9 and -",
        )
