"""What is measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.load.http import Target
from holdfast.load.recipes import Recipe
from holdfast.load.scrape import Source
from holdfast.model.fleet import Workload
from holdfast.model.server import TARGET


@dataclass(frozen=True)
class Subject:
    """What is measured: a target that answers `model` over the workload's API.

    recipe:     what prompts are made of.
    timeout_s:  for one request, on the wall clock.
    time_scale: an emulated target runs its time this much faster than the wall clock. Levels are given and
                everything is reported in the target's time: a rate of 2/s at a scale of 10 is sent at 20/s.
    """

    unit: str
    target: Target
    workload: Workload
    model: str
    recipe: Recipe = field(default_factory=Recipe)
    headers: tuple[tuple[str, str], ...] = ()
    stream: bool = True
    timeout_s: float = 120.0
    time_scale: float = 1.0

    @property
    def streams(self) -> bool:
        """Whether answers are asked for as server-sent events."""
        return self.stream and self.workload.api.makes_tokens

    @property
    def metrics(self) -> Source:
        """The target's own page of metrics."""
        return Source(TARGET, self.target, headers=self.headers)
