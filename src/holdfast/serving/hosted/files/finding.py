"""From what a person asked for to files that can be loaded: which, of what, whether they may, and whether they are
whole."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.model.errors import InputError, UnreachableError
from holdfast.serving.hosted.files import code, networks, pipelines, purposes, whole
from holdfast.serving.hosted.files.model_files import ModelFiles
from holdfast.serving.hosted.files.needs import Needs
from holdfast.serving.hosted.files.purposes import Evidence
from holdfast.serving.hosted.files.sources import OnDisk, Source, read_object
from holdfast.serving.hosted.tasks import Task

log = logging.getLogger("holdfast.serving")


def find(
    model: str,
    *,
    task: Task | None = None,
    local_only: bool = False,
    trust_remote_code: bool = False,
    revision: str | None = None,
    variant: str | None = None,
) -> ModelFiles:
    """The files of a folder, or of the Hub's model with this id, of which only what is needed is downloaded.

    task:       None reads it off the files.
    local_only: nothing is asked over the network; so too with HF_HUB_OFFLINE.
    revision:   of the Hub's model: branch, tag or commit; None is its main branch.
    variant:    of the weights, e.g. fp16; None takes the full ones where there are any.

    Raises InputError. Blocks: it may download for minutes.
    """
    if variant is not None and not re.fullmatch(r"[A-Za-z0-9_]+", variant):
        raise InputError(f"{variant!r} is no variant of weights", mend="give a word such as fp16")
    source = _source(model, local_only=local_only, revision=revision)
    kind = _kind(source)
    tag = purposes.tag_in(_readme(source)) if task is None and not kind.pipeline else ""
    pooled = "modules.json" in source.names and not kind.pipeline
    chosen = purposes.task_of(Evidence(kind.config, kind.pipeline, pooled, tag), task, source.place)
    pooled = pooled and chosen is Task.EMBEDDINGS
    wanted = _needs(source, kind, chosen, pooled=pooled, variant=variant)
    if variant is not None and wanted.variant != variant and not kind.compiled:
        raise InputError(f"has no weights of the variant {variant}", where=source.place, mend="leave out the variant")
    if trust_remote_code:
        wanted |= Needs(code.files(source.names), frozenset())
    source.fetch(wanted.configs)
    if not trust_remote_code:
        code.refuse(source, kind.config, wanted.configs, compiled=kind.compiled)
    source.fetch(wanted.weights)
    whole.check(source, wanted)
    source.settle()
    return ModelFiles(model, source.folder, chosen, kind.config, kind.compiled, trust_remote_code, wanted.variant)


@dataclass(frozen=True)
class _Kind:
    """pipeline: of diffusers, else of transformers. decoder: a compiled language model. config: as in ModelFiles."""

    config: Mapping[str, Any]
    pipeline: bool = False
    compiled: bool = False
    decoder: bool = False


def _source(model: str, *, local_only: bool, revision: str | None) -> Source:
    folder = Path(model).expanduser() if model.startswith("~/") else Path(model)
    if model and os.path.isdir(folder):  # noqa: PTH112 (any text is an answer, also one that no path can have)
        if revision is not None:
            raise InputError("is a folder, which has no revisions", where=model, mend="leave out --revision")
        return OnDisk(folder)
    if model and os.path.exists(folder):  # noqa: PTH110
        raise InputError("is no folder", where=model, mend="give the folder of a model, or its id on the Hub")
    from holdfast.serving.hosted.files import hub

    if not hub.is_name(model):
        raise InputError(
            f"{model[:100]!r} is neither a folder nor an id of the Hub", mend="give a folder, or organisation/name"
        )
    if revision is not None and (".." in revision or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", revision)):
        raise InputError(f"{revision[:100]!r} is no revision", where=model, mend="give a branch, a tag or a commit")
    if local_only or hub.is_offline():
        return hub.InCache(model, revision)
    try:
        return hub.OnHub(model, revision)
    except UnreachableError as error:
        try:
            cached = hub.InCache(model, revision)
        except InputError:
            raise error from None
        log.warning("%s So the commit %s is served, which was downloaded before.", error, cached.folder.name)
        return cached


def _kind(source: Source) -> _Kind:
    if "model_index.json" in source.names:
        index = read_object(source, "model_index.json")
        parts = pipelines.artifacts(source)
        if not parts:
            return _Kind(index, pipeline=True)
        compiled = {part: _compiled_for(source, f"{part}/config.json") for part in sorted(parts)}
        return _Kind({**index, "neuron": compiled}, pipeline=True, compiled=True)
    if "config.json" not in source.names:
        raise _no_model(source)
    config = read_object(source, "config.json")
    if {"neuron_config.json", "model.pt"} <= source.names:
        neuron = read_object(source, "neuron_config.json")
        return _Kind({**config, "neuron": neuron}, compiled=True, decoder=True)
    if any(name.endswith(".neuron") and "/" not in name for name in source.names):
        return _Kind({**config, "neuron": _compiled_for(source, "config.json")}, compiled=True)
    return _Kind(config)


def _needs(source: Source, kind: _Kind, task: Task, *, pooled: bool, variant: str | None) -> Needs:
    match kind:
        case _Kind(pipeline=True, compiled=True):
            return pipelines.compiled(source, kind.config)
        case _Kind(pipeline=True):
            return pipelines.pipeline(source, kind.config, variant)
        case _Kind(decoder=True):
            return networks.decoder(source, kind.config["neuron"])
        case _Kind(compiled=True):
            return networks.traced(source, task, pooled=pooled)
        case _:
            return networks.network(source, task, pooled=pooled, variant=variant)


def _compiled_for(source: Source, name: str) -> dict[str, Any]:
    neuron = read_object(source, name).get("neuron") if name in source.names else None
    if not isinstance(neuron, dict):
        raise InputError(
            f"has artifacts for Neuron, and a {name} that does not say what they were compiled for",
            where=source.place,
            mend="compile it anew with holdfast compile",
        )
    return neuron


def _readme(source: Source) -> str:
    if "README.md" not in source.names:
        return ""
    source.fetch(["README.md"])
    with (source.folder / "README.md").open(encoding="utf-8", errors="replace") as file:
        return file.read(100_000)


def _no_model(source: Source) -> InputError:
    if "adapter_config.json" in source.names:
        return InputError("is an adapter, no whole model", where=source.place, mend="merge it into its base model")
    if any(name.endswith(".gguf") for name in source.names):
        return InputError("has GGUF weights alone", where=source.place, mend="give the model they were made of")
    return InputError("has neither config.json nor model_index.json", where=source.place, mend=source.mend)
