"""Scores of labels, by what a model's configuration says that its numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

Function = Literal["sigmoid", "softmax", "none"]


@dataclass(frozen=True)
class Labelled:
    """score: 0..1; of a model with one label per input they add up to 1. Of a regression it is its number."""

    label: str
    score: float


@dataclass(frozen=True)
class Labels:
    """names: by index; function: from logits to scores, as transformers' pipelines choose it."""

    names: tuple[str, ...]
    function: Function

    @classmethod
    def of(cls, config: Any) -> Labels:
        """Of a transformers configuration."""
        names = tuple(str(config.id2label[i]) for i in range(config.num_labels))
        if config.problem_type == "regression":
            return cls(names, "none")
        alone = config.problem_type == "multi_label_classification" or config.num_labels == 1
        return cls(names, "sigmoid" if alone else "softmax")

    def ranked(self, logits: torch.Tensor) -> list[tuple[Labelled, ...]]:
        """For each row of logits (inputs, labels) all labels, the likeliest first."""
        logits = logits.float()
        if self.function == "softmax":
            logits = logits.softmax(dim=-1)
        elif self.function == "sigmoid":
            logits = logits.sigmoid()
        return [
            tuple(sorted(map(Labelled, self.names, row), key=lambda labelled: -labelled.score))
            for row in logits.tolist()
        ]
