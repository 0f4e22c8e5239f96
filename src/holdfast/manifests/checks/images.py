"""What containers run: versions that do not move under a running service."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from holdfast.manifests.checks.objects import text
from holdfast.manifests.checks.trees import Container, Tree
from holdfast.model.findings import ObjectFinding

_INSTALLS = re.compile(r"\b(pip3?|uv pip|apt-get|apt|apk|yum|dnf|npm|conda)\s+(install|add)\b|curl[^|]*\|\s*(ba|z)?sh")
_MOVING = ("", "latest", "nightly", "main", "master", "stable", "edge", "dev")


def containers(tree: Tree) -> Sequence[Container]:
    return tree.containers


def pinned(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """Each image has a version or a digest."""
    image, path = text(container.spec, "image"), (*container.path, "image")
    owner = container.workload.owner
    if not image:
        yield owner.wrong(container.path, "", "an image", f"{container.name} has no image", "name one with a version")
        return
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and tag in _MOVING:
        what = f"the image of {container.name}, {image}, is not pinned: a restart may bring another version"
        yield owner.doubtful(path, tag or "no tag", "a version or digest", what, "give it a version or a digest")


def installed(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """Nothing is installed when a container starts: each start would depend on somebody else's server."""
    for key in ("command", "args"):
        words = container.spec.get(key)
        script = " ".join(str(word) for word in words) if isinstance(words, list) else ""
        match = _INSTALLS.search(script)
        if match:
            what = f"{container.name} runs {match[0]!r} at its start"
            path = (*container.path, key)
            yield container.workload.owner.doubtful(
                path, match[0], "an image", what, "build an image with what it needs"
            )
