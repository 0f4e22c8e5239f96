"""The files of a fleet that an operator keeps."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import kustomization
from holdfast.manifests.fleet import plan_map, resource
from holdfast.manifests.manifest import BASE, File, Manifest, Object
from holdfast.manifests.operator import rights
from holdfast.model.plan import Plan

FOLDER = "fleet"

_RIGHTS = {"Role", "RoleBinding"}
"""Who grants rights must have them, and the operator has as few as it can."""


def is_the_operators(found: Object) -> bool:
    """Whether the operator applies such an object: it is in the fleet's namespace, and grants nothing."""
    return "namespace" in found["metadata"] and found["kind"] not in _RIGHTS


def files(plan: Plan, base: Sequence[File]) -> tuple[File, ...]:
    """The resource, its plan, and those objects of the base that people apply."""
    found: list[Manifest] = [
        resource.manifest(plan, f"{FOLDER}/fleet.yaml"),
        plan_map.manifest(plan, f"{FOLDER}/plan.yaml"),
        *rights.of_fleet(plan, FOLDER),
    ]
    found += [
        Manifest(f"{FOLDER}/{file.path.removeprefix(f'{BASE}/')}", file.object, file.note)
        for file in base
        if isinstance(file, Manifest) and not is_the_operators(file.object)
    ]
    return *found, kustomization.of_folder(FOLDER, found)
