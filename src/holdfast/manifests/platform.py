"""What of a tree no operator writes: objects of the whole cluster, and rights, which only who has them may grant.

They carry a label, so that people can apply them by themselves and leave the rest to the operator.
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.manifests.kustomization import OVERLAY
from holdfast.manifests.manifest import File, Manifest, Object

LABEL = "holdfast.dev/applied-by"
PLATFORM = "platform"

COMMAND = f"kubectl apply --server-side -k overlays/{OVERLAY} -l {LABEL}={PLATFORM}"
"""Applies them, in the folder of a tree."""

_RIGHTS = {"Role", "RoleBinding"}


def owns(found: Object) -> bool:
    """Whether the object is the platform team's to apply."""
    return "namespace" not in found["metadata"] or found["kind"] in _RIGHTS


def labelled(file: File) -> File:
    """The file, with the label if it is one of those."""
    if not isinstance(file, Manifest) or not owns(file.object):
        return file
    described = file.object["metadata"]
    labels = described["labels"] | {LABEL: PLATFORM}
    return replace(file, object=file.object | {"metadata": described | {"labels": labels}})
