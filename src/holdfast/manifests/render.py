"""A plan to the files of a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.manifests import kustomization, namespace, readme
from holdfast.manifests.addons import tree as addons
from holdfast.manifests.checks import exceptions
from holdfast.manifests.compute import tree as compute
from holdfast.manifests.fleet import tree as fleet
from holdfast.manifests.images import tree as images
from holdfast.manifests.jobs import tree as jobs
from holdfast.manifests.manifest import BASE, File
from holdfast.manifests.observing import tree as observing
from holdfast.manifests.operator import tree as operator
from holdfast.manifests.placement import Placement, placements
from holdfast.manifests.routing import tree as routing
from holdfast.manifests.scaling import tree as scaling
from holdfast.manifests.serving import tree as serving
from holdfast.manifests.terraform import tree as terraform
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.model.plan import Plan, PlanStatus


def render(plan: Plan, hardware: Mapping[str, tuple[InstanceType, Accelerator]]) -> tuple[File, ...]:
    """The files of a tree that carries out `plan`, by path; the same arguments give the same bytes.

    hardware: instance type and accelerator of each of the plan's pools, by unit name.

    Raises InputError when the plan is infeasible or empty, its data plane is local, its edge is not stated, or one of
    its pools cannot be rendered; the message names the unit and the mend.
    """
    placed = placed_on(plan, hardware)
    serving_files = base(plan, placed)
    files = [
        *serving_files,
        kustomization.of_folder(BASE, serving_files),
        kustomization.overlay(plan, BASE),
        *(file for area in (addons, jobs, terraform, images) for file in area.files(plan, placed)),
        *operator.files(plan),
        *fleet.files(plan, serving_files),
    ]
    return tuple(sorted([*files, readme.file(plan, files), exceptions.file()], key=lambda file: file.path))


def placed_on(plan: Plan, hardware: Mapping[str, tuple[InstanceType, Accelerator]]) -> tuple[Placement, ...]:
    """The plan's pools on their hardware, by unit name. Raises InputError as `render` does."""
    _check(plan)
    return routing.shared_out(plan, placements(plan, hardware))


def base(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """The files of all that serves, without their list."""
    areas = (compute, serving, routing, scaling, observing)
    return namespace.manifest(plan), *(file for area in areas for file in area.files(plan, placed))


def _check(plan: Plan) -> None:
    if plan.status is not PlanStatus.FEASIBLE:
        raise InputError(f"the plan is infeasible ({'; '.join(plan.reasons)})", mend="mend the fleet and plan anew")
    if not plan.pools:
        raise InputError("the plan has no pools", mend="plan anew")
    if plan.fleet.spec.data_plane is DataPlane.LOCAL:
        raise InputError(
            "the fleet's dataPlane is local, and there is nothing to render for it",
            mend="run it with `holdfast up`, or set dataPlane: alb",
        )
