"""What the model classes of Hugging Face's transformers leave out of `config.json` because the code knows it.

Source: `configuration_*.py` and `modeling_*.py` of each family in transformers 4.57 and 5.0; of kimi_k2 and of
Kimi-K2.5 the code beside their checkpoints. The counts of weights that follow are tested against published ones.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Window(enum.Enum):
    """Which layers look back over a sliding window only, where `layer_types` does not say it."""

    NONE = "none"
    EVERY = "every layer, if sliding_window is a number"
    UPPER = "from max_window_layers up, if use_sliding_window is true"
    EVEN = "every second layer, from the first"
    FIVE_OF_SIX = "all but every sixth layer"


@dataclass(frozen=True)
class Family:
    """One `model_type`.

    norms:    vectors of hidden_size per layer that normalise (with their biases).
    outer:    the same outside of the layers.
    gated:    whether the feed-forward has a gate beside its way up (SwiGLU): three matrices instead of two.
    feed_bias: whether the feed-forward has biases.
    qkv_bias, out_bias: biases of attention; None where `attention_bias` says it.
    head_norm: whether queries and keys are normalised per head.
    sinks:    whether every head has a learned sink.
    tied:     whether input embedding and output head are one table where `tie_word_embeddings` is absent.
    grouped:  whether `num_key_value_heads` must be there; else absent means as many as heads.
    latent:   multi-head latent attention. mixture: experts. default_head: `head_dim` where it is absent.
    """

    norms: int = 2
    outer: int = 1
    gated: bool = True
    feed_bias: bool = False
    head_bias: bool = False
    qkv_bias: bool | None = False
    out_bias: bool | None = False
    head_norm: bool = False
    sinks: bool = False
    tied: bool = False
    grouped: bool = True
    latent: bool = False
    mixture: bool = False
    default_head: int | None = None
    window: Window = Window.NONE


_DEEPSEEK = Family(latent=True, mixture=True, grouped=False)

FAMILIES = {
    "llama": Family(grouped=False, qkv_bias=None, out_bias=None),
    "mistral": Family(window=Window.EVERY),
    "mixtral": Family(mixture=True, window=Window.EVERY),
    "qwen2": Family(qkv_bias=True, window=Window.UPPER),
    "qwen2_moe": Family(qkv_bias=True, mixture=True, window=Window.UPPER),
    "qwen3": Family(qkv_bias=None, out_bias=None, head_norm=True, default_head=128, window=Window.UPPER),
    "qwen3_moe": Family(qkv_bias=None, out_bias=None, head_norm=True, mixture=True, window=Window.UPPER),
    "gpt_oss": Family(
        qkv_bias=True, out_bias=True, feed_bias=True, sinks=True, mixture=True, default_head=64, window=Window.EVEN
    ),
    "phi": Family(
        norms=2, outer=2, gated=False, feed_bias=True, head_bias=True, qkv_bias=True, out_bias=True, grouped=False
    ),
    "phi3": Family(grouped=False, window=Window.EVERY),
    "gemma": Family(tied=True, default_head=256),
    "gemma2": Family(norms=4, tied=True, default_head=256, window=Window.EVEN),
    "gemma3_text": Family(norms=4, tied=True, head_norm=True, default_head=256, window=Window.FIVE_OF_SIX),
    "bloom": Family(
        norms=4, outer=4, gated=False, feed_bias=True, qkv_bias=True, out_bias=True, tied=True, grouped=False
    ),
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "deepseek_v32": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "glm_moe_dsa": _DEEPSEEK,
}
"""By `model_type`."""
