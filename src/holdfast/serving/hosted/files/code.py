"""Python code that came with a model, and would run when it is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files.sources import Source, read

_MEND = "give --trust-remote-code if you trust its authors"


def files(names: Iterable[str]) -> frozenset[str]:
    """Modules of Python that a model may import: in its folder, and in those of a pipeline's parts."""
    return frozenset(name for name in names if name.endswith(".py") and name.count("/") <= 1)


def refuse(source: Source, config: Mapping[str, Any], configs: Iterable[str], *, compiled: bool) -> None:
    """Raise InputError where one of these configurations, or a pipeline's index, names code of the model's own.

    Artifacts for Neuron are programs too (TorchScript around what runs on the cores), whoever compiled them.
    """
    if compiled and source.remote:
        raise InputError("has artifacts for Neuron, which are programs", where=source.place, mend=_MEND)
    for name in sorted(configs):
        if name.endswith(".json"):
            told = read(source, name) if name.rpartition("/")[2] in _CONFIGS else {}
            if isinstance(told, dict) and told.get("auto_map"):
                raise InputError(f"names Python code of its own in {name}", where=source.place, mend=_MEND)
    if isinstance(config.get("_class_name"), list):
        raise InputError("is a pipeline of its own code", where=source.place, mend=_MEND)
    for part, told in config.items():
        if isinstance(told, list) and told and f"{part}/{told[0]}.py" in source.names:
            raise InputError(f"names Python code of its own for {part}", where=source.place, mend=_MEND)


_CONFIGS = frozenset(
    {
        "config.json",
        "tokenizer_config.json",
        "preprocessor_config.json",
        "processor_config.json",
        "generation_config.json",
    }
)
"""Those in which transformers and diffusers look for auto_map; a tokenizer.json of 30 MB is not among them."""
