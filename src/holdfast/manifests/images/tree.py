"""The files that container images are built by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.manifests.manifest import File, TextFile
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import own_server
from holdfast.model.plan import Plan

FOLDER = "images"

HOLDFAST = "holdfast"

_BUILD = Path(__file__).parent / "build"
_BESIDE = ("Makefile", "README.md")


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """A Dockerfile for each image of `names`, and how they are built."""
    wanted = [f"{name}.Dockerfile" for name in names(placed)]
    return tuple(
        TextFile(f"{FOLDER}/{name}", (_BUILD / name).read_text(encoding="utf-8")) for name in [*wanted, *_BESIDE]
    )


def names(placed: Sequence[Placement]) -> tuple[str, ...]:
    """The images that the fleet's pools, its jobs and its operator run, as far as they are not published by others."""
    own = {
        own_server.IMAGES[placement.accelerator.vendor]
        for placement in placed
        if placement.unit.own_framework is not None
    }
    return (HOLDFAST, *sorted(own))
