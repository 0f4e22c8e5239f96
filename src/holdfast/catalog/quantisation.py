"""How the weights of a checkpoint are stored: `quantization_config`, and what it leaves out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.catalog.fields import Fields, shown
from holdfast.catalog.parts import Part
from holdfast.model.architecture import Dtype

_PLAIN = {
    "bfloat16": Dtype.BF16,
    "float16": Dtype.FP16,
    # vLLM's --dtype auto loads a checkpoint of float32 as float16, and so do the others.
    "float32": Dtype.FP16,
}
_MODELOPT = {"FP8": Dtype.FP8, "NVFP4": Dtype.NVFP4}


@dataclass(frozen=True)
class Quantisation:
    """weights, cache: how matrices and KV cache are stored. keeps: whether a module is left out, by its path."""

    weights: Dtype
    cache: Dtype
    keeps: Callable[[str], bool]

    def plain(self, part: Part) -> float:
        """How many weights of the part are 2 bytes each beside the quantised ones; 0 where nothing is quantised."""
        if self.weights.bytes >= Dtype.BF16.bytes:
            return 0.0
        if not part.matrix:
            return part.count
        if part.layers is None:
            return part.count if self.keeps(part.module) else 0.0
        kept = sum(self.keeps(f"model.layers.{layer}.{part.module}") for layer in part.layers)
        return part.each * kept


def read(config: Fields) -> Quantisation:
    """Of `torch_dtype` (or `dtype`) and `quantization_config`. Raises InputError for a method that is not known."""
    if not config.has("quantization_config"):
        plain = _plain(config)
        return Quantisation(plain, plain, keeps=lambda module: False)
    stored = config.part("quantization_config")
    # Quantised checkpoints may leave the dtype of the rest out (gpt-oss does); it is 2 bytes either way.
    cache = _plain(config) if config.has("torch_dtype") or config.has("dtype") else Dtype.BF16
    if stored.has("kv_cache_scheme"):
        cache = Dtype.FP8 if stored.part("kv_cache_scheme").whole("num_bits") == 8 else cache
    return Quantisation(_method(stored), cache, _keeps(stored))


def _plain(config: Fields) -> Dtype:
    name = config.text("torch_dtype", "dtype").removeprefix("torch.")
    if name not in _PLAIN:
        raise config.error(f"torch_dtype {shown(name)} is not known", f"known: {', '.join(_PLAIN)}")
    return _PLAIN[name]


def _method(stored: Fields) -> Dtype:
    method = stored.text("quant_method")
    if method in ("fp8", "fbgemm_fp8"):
        return Dtype.FP8
    if method == "mxfp4":
        return Dtype.MXFP4
    if method in ("awq", "gptq"):
        return _integer(stored, stored.whole("bits"), stored)
    if method == "modelopt" and stored.text("quant_algo") in _MODELOPT:
        return _MODELOPT[stored.text("quant_algo")]
    if method == "compressed-tensors":
        groups = stored.part("config_groups")
        first = groups.part(next(iter(groups.values), "group_0")).part("weights")
        bits = first.whole("num_bits")
        if first.text("type") == "float" and bits in (4, 8):
            return Dtype.FP8 if bits == 8 else Dtype.NVFP4
        return _integer(stored, bits, first)
    raise stored.error(
        f"quant_method {shown(method)} is not known",
        "known: awq, compressed-tensors, fbgemm_fp8, fp8, gptq, modelopt (FP8, NVFP4), mxfp4",
    )


def _integer(stored: Fields, bits: int, scales: Fields) -> Dtype:
    """Groups smaller than 128 are taken as of 32, so their scales are not counted too low; -1 is one per column."""
    if bits == 8:
        return Dtype.INT8
    if bits != 4:
        raise stored.error(f"weights of {bits} bits are not known", "known: 4 and 8")
    group = scales.whole_or(-1, "group_size", least=-1)
    return Dtype.INT4 if group == -1 or group >= 128 else Dtype.INT4_G32


def _keeps(stored: Fields) -> Callable[[str], bool]:
    """Whether one of the names that are to be left out covers a module.

    A name is a run of a path's components (`lm_head`, `mlp.gate`, `model.layers.0.self_attn`), a pattern with `*`, or
    a regular expression behind `re:`, which must match from the start.
    """
    names = stored.texts("modules_to_not_convert") + stored.texts("ignore") + stored.texts("ignored_layers")
    runs = {name for name in names if not name.startswith("re:") and "*" not in name}
    patterns = [_pattern(name, stored) for name in names if name not in runs]

    def keeps(module: str) -> bool:
        steps = module.split(".")
        inner = {".".join(steps[a:b]) for a in range(len(steps)) for b in range(a + 1, len(steps) + 1)}
        return not runs.isdisjoint(inner) or any(pattern.match(module) for pattern in patterns)

    return keeps


def _pattern(name: str, stored: Fields) -> re.Pattern[str]:
    if not name.startswith("re:"):
        # Whole components of a path: `mlp.gate` is the router and not the first half of `mlp.gate_proj`.
        return re.compile(".*".join(map(re.escape, name.split("*"))) + r"(?:\.|$)")
    try:
        return re.compile(name[3:])
    except (re.error, OverflowError, RecursionError) as error:
        raise stored.error(f"{shown(name)} is no regular expression ({error})", "correct it") from error
