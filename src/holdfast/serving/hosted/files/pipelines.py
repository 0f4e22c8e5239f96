"""Files that a diffusion pipeline needs, as it is or compiled by optimum-neuron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files import needs
from holdfast.serving.hosted.files.needs import Needs
from holdfast.serving.hosted.files.sources import Source

_LEFT_OUT = frozenset({"safety_checker"})


def pipeline(source: Source, index: Mapping[str, Any], variant: str | None) -> Needs:
    """Of a diffusion pipeline: each component that model_index.json names, but a safety checker."""
    found = Needs(frozenset({"model_index.json"}), frozenset())
    for part in parts(index, source.place):
        inside = _inside(source, part)
        if not inside:
            raise InputError(
                f"lacks the folder {part} that its model_index.json names", where=source.place, mend=source.mend
            )
        found |= Needs(inside, frozenset())
        if f"{part}/config.json" in inside:
            found |= needs.weights(source, f"{part}/", variant)
    return found


def compiled(source: Source, index: Mapping[str, Any]) -> Needs:
    """Of a diffusion pipeline compiled by optimum-neuron, whose parts are not quite those of its model_index.json."""
    there = artifacts(source)
    if "vae_decoder" not in there or not {"unet", "transformer"} & there:
        raise InputError(
            f"has artifacts for Neuron of {', '.join(sorted(there))} alone: no unet or transformer, or no vae_decoder",
            where=source.place,
            mend="give a folder that holdfast compile wrote",
        )
    found = Needs(frozenset({"model_index.json"}), frozenset(f"{part}/model.neuron" for part in there))
    for part in there | set(parts(index, source.place)):
        found |= Needs(_inside(source, part), needs.ranks(source, f"{part}/"))
    return found


def artifacts(source: Source) -> set[str]:
    """Subfolders with an artifact for Neuron."""
    return {name.partition("/")[0] for name in source.names if name.endswith("/model.neuron") and name.count("/") == 1}


def parts(index: Mapping[str, Any], place: str) -> list[str]:
    """Components that model_index.json names, less those that it leaves empty and the safety checker."""
    found = []
    for name, told in index.items():
        match told:
            case [str(), str()] if not name.startswith("_") and name not in _LEFT_OUT:
                if not needs.PLAIN.fullmatch(name):
                    raise InputError(
                        f"names the component {name[:80]!r}", where=f"{place}: model_index.json", mend=needs.FROM
                    )
                found.append(name)
            case _:
                pass
    return found


def _inside(source: Source, part: str) -> frozenset[str]:
    return frozenset(f"{part}/{name}" for name in needs.CONFIGS if f"{part}/{name}" in source.names)
