"""Which files are needed to run a model, out of the names that there are; the rest is never asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files.sources import Source, read

TOKENIZERS = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "vocab.txt",
        "vocab.json",
        "spiece.model",
        "sentencepiece.bpe.model",
        "tekken.json",
    }
)
"""One of these says how a text becomes tokens."""

CONFIGS = TOKENIZERS | {
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
    "scheduler_config.json",
}
"""Small files that transformers and diffusers look for beside a part of a model."""
_STEMS = ("model", "diffusion_pytorch_model")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
RANK = "{below}weights/tp{rank}_sharded_checkpoint.safetensors"
FROM = "take the model's files from where they were published"
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Needs:
    """configs: small files, read and checked before anything large is fetched. weights: safetensors, or compiled
    artifacts.

    indexes: of those weights that lie in several files. variant: as ModelFiles has it.
    """

    configs: frozenset[str]
    weights: frozenset[str]
    indexes: frozenset[str] = frozenset()
    variant: str | None = None

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.configs | other.configs,
            self.weights | other.weights,
            self.indexes | other.indexes,
            self.variant or other.variant,
        )


def weights(source: Source, below: str, variant: str | None) -> Needs:
    """The safetensors of a folder: one file, or those of an index. Of several variants the one that was asked for,
    else the full one, else fp16. Raises InputError where there are none."""
    for tried in (variant, None, "fp16") if variant else (None, "fp16"):
        for stem in _STEMS:
            one = f"{below}{stem}.{tried}.safetensors" if tried else f"{below}{stem}.safetensors"
            if one in source.names:
                return Needs(frozenset(), frozenset({one}), variant=tried)
            index = f"{below}{stem}.safetensors.index.{tried}.json" if tried else f"{one}.index.json"
            if index in source.names:
                shards = {below + name for name in shards_in(read(source, index), f"{source.place}: {index}").values()}
                all_there(source, shards)
                return Needs(frozenset({index}), frozenset(shards), frozenset({index}), tried)
    raise _without_weights(source, below)


def shards_in(index: Any, where: str) -> dict[str, str]:
    """The file of each tensor, as an index of shards has them. Raises InputError for one that is no plain name."""
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not shards:
        raise InputError("has no weight_map", where=where, mend=FROM)
    for name in shards.values():
        if not isinstance(name, str) or not PLAIN.fullmatch(name) or not name.endswith(".safetensors"):
            raise InputError(
                f"names {str(name)[:80]!r}, which is no safetensors file beside it", where=where, mend=FROM
            )
    return shards


def ranks(source: Source, below: str) -> frozenset[str]:
    """Weights that were split for the cores of a tensor-parallel graph."""
    start, _, end = RANK.partition("{rank}")
    start = start.format(below=below)
    return frozenset(name for name in source.names if name.startswith(start) and name.endswith(end))


def there(source: Source, name: str) -> str:
    all_there(source, {name})
    return name


def all_there(source: Source, names: set[str]) -> None:
    missing = sorted(names - source.names)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(f"lacks {', '.join(missing[:3])}{more}", where=source.place, mend=source.mend)


def _without_weights(source: Source, below: str) -> InputError:
    here = [name for name in source.names if name.startswith(below) and "/" not in name[len(below) :]]
    pickles = sorted(name for name in here if name.endswith(_PICKLES))
    if pickles:
        return InputError(
            f"has pickle weights alone ({', '.join(pickles[:3])}), which can run code when they are loaded",
            where=source.place,
            mend="give a revision with safetensors, or convert them with save_pretrained where that may run",
        )
    if any(name.startswith("adapter_") for name in here):
        return InputError("is an adapter, no whole model", where=source.place, mend="merge it into its base model")
    others = sorted(
        name for name in here if name.endswith((".gguf", ".onnx", ".h5", ".msgpack", ".safetensors", ".gz"))
    )
    told = f"; {', '.join(others[:3])} cannot be served" if others else ""
    named = f"{below}{_STEMS[1] if below else _STEMS[0]}.safetensors"
    return InputError(f"lacks its weights, {named}{told}", where=source.place, mend=source.mend)
