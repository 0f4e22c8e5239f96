"""From the hidden states of a text's tokens to one vector, as the model's files for sentence-transformers say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files import ModelFiles

Pooling = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""States (rows, length, size) and mask (rows, length), padded on the right, to vectors (rows, size)."""


def mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def first(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return states[:, 0]


def last(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1]


_POOLINGS: Mapping[str, Pooling] = {"mean": mean, "cls": first, "lasttoken": last}
_KEYS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "lasttoken"}


def pooling_of(files: ModelFiles) -> Pooling:
    """By modules.json and the pooling module's configuration; the mean where there is no modules.json.

    Raises InputError for a module or a pooling that would have to be left out, since other vectors would come of it.
    """
    path = files.folder / "modules.json"
    if not path.is_file():
        return mean
    modules = {module["type"].rsplit(".", 1)[-1]: module["path"] for module in json.loads(path.read_text())}
    if unknown := sorted(modules.keys() - {"Transformer", "Pooling", "Normalize"}):
        raise InputError(
            f"has a module of sentence-transformers that is not served: {unknown[0]}",
            where=files.name,
            mend="models of Transformer, Pooling and Normalize are",
        )
    if "Pooling" not in modules:
        return mean
    config = json.loads((files.folder / modules["Pooling"] / "config.json").read_text())
    modes = _modes(config)
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise InputError(
            f"pools by {' and '.join(modes) or 'nothing'}",
            where=files.name,
            mend="one of mean, cls, lasttoken is served",
        )
    return _POOLINGS[modes[0]]


def _modes(config: Mapping[str, Any]) -> list[str]:
    """Newer files name the mode, older ones have a flag for each."""
    named = config.get("pooling_mode")
    if named is not None:
        return [named] if isinstance(named, str) else list(named)
    return [_KEYS.get(key, key) for key, chosen in config.items() if key.startswith("pooling_mode_") and chosen is True]
