"""Files that a model of transformers needs, as it is or compiled by optimum-neuron."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files import needs
from holdfast.serving.hosted.files.needs import Needs
from holdfast.serving.hosted.files.sources import Source, read
from holdfast.serving.hosted.tasks import Task

_PROCESSORS = frozenset({"preprocessor_config.json", "processor_config.json"})
_TEXTS = frozenset({Task.TEXT_GENERATION, Task.TEXT_CLASSIFICATION, Task.EMBEDDINGS})
_MODULES = "give another model; served are Transformer, Pooling, Normalize"


def network(source: Source, task: Task, *, pooled: bool, variant: str | None) -> Needs:
    """Of one model of transformers."""
    return _interface(source, task, pooled=pooled) | needs.weights(source, "", variant)


def traced(source: Source, task: Task, *, pooled: bool) -> Needs:
    """Of one model that optimum-neuron compiled: config.json with what for, and one artifact."""
    artifacts = sorted(name for name in source.names if name.endswith(".neuron") and "/" not in name)
    if len(artifacts) != 1:
        raise InputError(
            f"has {len(artifacts)} artifacts for Neuron ({', '.join(artifacts)}), one is wanted",
            where=source.place,
            mend="give a folder that holdfast compile wrote",
        )
    return _interface(source, task, pooled=pooled) | Needs(frozenset(), needs.ranks(source, "") | set(artifacts))


def decoder(source: Source, compiled: Mapping[str, Any]) -> Needs:
    """Of a language model compiled by optimum-neuron: its graph is model.pt, its weights are split, or whole."""
    found = _interface(source, Task.TEXT_GENERATION, pooled=False) | Needs(
        frozenset({"neuron_config.json"}), frozenset({needs.there(source, "model.pt")})
    )
    for below in ("checkpoint/", ""):
        shards = needs.ranks(source, below)
        if shards:
            ranks = range(_cores(compiled, source.place))
            needs.all_there(source, {needs.RANK.format(below=below, rank=rank) for rank in ranks})
            return found | Needs(frozenset(), shards)
    if "model.safetensors" in source.names or "model.safetensors.index.json" in source.names:
        return found | needs.weights(source, "", None)
    elsewhere = compiled.get("checkpoint_id")
    raise InputError(
        f"has no weights beside its compiled graph{f'; they are those of {elsewhere}' if elsewhere else ''}",
        where=source.place,
        mend="compile it from the model's own folder with holdfast compile",
    )


def _interface(source: Source, task: Task, *, pooled: bool) -> Needs:
    """What stands between a request and the network."""
    names = {name for name in source.names if name in needs.CONFIGS or (name.endswith(".tiktoken") and "/" not in name)}
    names |= {name for name in source.names if re.fullmatch(r"additional_chat_templates/[^/]+\.jinja", name)}
    if task in _TEXTS and not any(name in needs.TOKENIZERS or name.endswith(".tiktoken") for name in names):
        raise InputError("lacks a tokenizer (tokenizer.json)", where=source.place, mend=source.mend)
    if task not in _TEXTS and not names & _PROCESSORS:
        raise InputError("lacks preprocessor_config.json", where=source.place, mend=source.mend)
    if pooled:
        names |= {"modules.json"} | _modules(source)
        names |= source.names & {"sentence_bert_config.json", "config_sentence_transformers.json"}
    return Needs(frozenset(names), frozenset())


def _modules(source: Source) -> set[str]:
    """Configurations of sentence-transformers' modules. Raises InputError for one that is not applied here."""
    where = f"{source.place}: modules.json"
    listed = read(source, "modules.json")
    found = set()
    for module in listed if isinstance(listed, list) else [listed]:
        match module:
            case {"type": str(kind), "path": str(path)} if not path or needs.PLAIN.fullmatch(path):
                if not kind.startswith("sentence_transformers."):
                    raise InputError(f"the module {kind[:80]} is code of the model's own", where=where, mend=_MODULES)
                name = kind.rpartition(".")[2]
            case _:
                raise InputError("is no list of modules with type and path", where=where, mend=needs.FROM)
        if name == "Pooling":
            found.add(needs.there(source, f"{path}/config.json"))
        elif name != "Normalize" and (name != "Transformer" or path):
            told = f"{name} in {path}" if path else name
            raise InputError(f"the module {told} is not served", where=where, mend=_MODULES)
    return found


def _cores(compiled: Mapping[str, Any], place: str) -> int:
    cores = compiled.get("tp_degree", 1)
    if type(cores) is not int or not 1 <= cores <= 1024:
        where = f"{place}: neuron_config.json"
        raise InputError(f"has an impossible tp_degree {str(cores)[:20]}", where=where, mend=needs.FROM)
    return cores
