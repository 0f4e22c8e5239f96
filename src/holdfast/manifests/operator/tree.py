"""The files of the operator."""

from __future__ import annotations

from holdfast.manifests import kustomization
from holdfast.manifests.manifest import File, TextFile
from holdfast.manifests.operator import deployment, resource_definition, rights, surroundings
from holdfast.model.plan import Plan

_CRD = f"{surroundings.FOLDER}/resource-definition.yaml"


def files(plan: Plan) -> tuple[File, ...]:
    """The resource always; the operator where the fleet says which image to run."""
    own = plan.fleet.spec.cluster.holdfast
    found: list[File] = [resource_definition.manifest(_CRD)]
    if own is None:
        text = (
            "# No operator\n\nThe fleet does not say which image of holdfast to run: give `cluster.holdfast.image`.\n"
        )
        missing = TextFile(f"{surroundings.FOLDER}/README.md", text)
        return *found, kustomization.of_folder(surroundings.FOLDER, found), missing
    found += [*surroundings.manifests(plan), *rights.manifests(), deployment.manifest(own)]
    return *found, kustomization.of_folder(surroundings.FOLDER, found)
