"""Which tokens a token attends to, for a model whose rows stand at different positions: masks of four dimensions.

transformers takes such a mask as it is, and makes none of its own. A model with layers of several kinds takes one for
each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from holdfast.model.errors import InputError

_FULL, _SLIDING = "full_attention", "sliding_attention"

Masks = torch.Tensor | dict[str, torch.Tensor]


class Attention:
    """How the layers of a model attend: to all before them, to a sliding window of it, or some this way and some that.

    config: of the language model. Raises InputError for what cannot be told by a mask of positions.
    """

    def __init__(self, config: Any, dtype: torch.dtype) -> None:
        self._added = None if config._attn_implementation == "sdpa" else dtype
        if config._attn_implementation not in ("sdpa", "eager"):
            raise InputError(
                f"slots need attention that takes a mask, and the model was loaded with {config._attn_implementation}",
                mend="load it with attn_implementation sdpa or eager",
            )
        self._windows = _windows(config)

    def masks(self, positions: torch.Tensor, window: int) -> Masks:
        """positions: of the queries, (batch, tokens); keys are at positions 0..window-1."""
        keys = torch.arange(window, device=positions.device)
        seen = {kind: self._mask(positions[:, None, :, None], keys, width) for kind, width in self._windows.items()}
        return seen.get("", seen)

    def _mask(self, queries: torch.Tensor, keys: torch.Tensor, width: int | None) -> torch.Tensor:
        seen = keys <= queries
        if width is not None:
            seen = seen & (keys > queries - width)
        if self._added is None:
            return seen
        return torch.zeros_like(seen, dtype=self._added).masked_fill_(~seen, torch.finfo(self._added).min)


def _windows(config: Any) -> Mapping[str, int | None]:
    """The width of the window of each kind of layer, None where there is none; "" where all layers take one mask."""
    kinds = set(getattr(config, "layer_types", None) or ())
    width = getattr(config, "sliding_window", None)
    if kinds - {_FULL, _SLIDING} or getattr(config, "attention_chunk_size", None):
        others = ", ".join(sorted(kinds - {_FULL, _SLIDING})) or "chunked attention"
        raise InputError(
            f"{config.model_type} has layers of {others}, whose state is not a cache of keys and values by position",
            mend="serve it on vLLM",
        )
    if _SLIDING in kinds:
        return {_FULL: None, _SLIDING: width}
    slides = not kinds and width is not None and getattr(config, "use_sliding_window", True)
    return {"": width if slides else None}
