"""The built-in profiles: which deployment units can be emulated, from which published figures, with which caveats."""

from __future__ import annotations

import difflib
import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from holdfast.model.errors import InputError
from holdfast.model.measurements import Measurement
from holdfast.serving.engine import ContinuousBatching, FixedWork

_DATA = importlib.resources.files("holdfast.serving") / "data"


@dataclass(frozen=True)
class FitBasis:
    """What the step coefficients of a profile were fitted on; see `fitting`.

    prompt_tokens, output_tokens: per request, means; highest_concurrency: points above it were left out.
    worst_miss: largest relative miss of the published rate, 0..1.
    """

    prompt_tokens: float
    output_tokens: float
    highest_concurrency: int
    worst_miss: float


@dataclass(frozen=True)
class Profile:
    """A deployment unit as it can be emulated.

    model:         the model's name in requests.
    device:        how it spends its time.
    cold_start_s:  from the start of the process to readiness.
    answer_tokens: where an answer ends that neither `max_tokens` nor `ignore_eos` bounds; 0 for images.
    source:        where the figures were published; caveats: what they do not say; published: the figures.
    fit:           basis of fitted coefficients; None where nothing was fitted.
    """

    name: str
    model: str
    accelerator: str
    instance_type: str
    framework: str
    tensor_parallel: int
    device: FixedWork | ContinuousBatching
    cold_start_s: float
    answer_tokens: int
    source: str
    caveats: tuple[str, ...]
    published: tuple[Measurement, ...]
    fit: FitBasis | None = None

    def scaled(self, time_scale: float) -> Profile:
        """The same unit with every duration divided by `time_scale`."""
        return replace(self, device=self.device.scaled(time_scale), cold_start_s=self.cold_start_s / time_scale)

    def with_queue(self, max_queued: int) -> Profile:
        """The same unit with another bound on its queue."""
        return replace(self, device=replace(self.device, max_queued=max_queued))


def profile_names() -> tuple[str, ...]:
    """The names of the built-in profiles, in alphabetical order."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _DATA.iterdir() if file.name.endswith(".yaml")))


def load_profile(name: str) -> Profile:
    """The built-in profile of that name. Raises InputError naming the nearest."""
    names = profile_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names
        raise InputError(f"no unit {name!r} can be emulated", mend=f"the nearest are {', '.join(near)}")
    return _profile(yaml.safe_load((_DATA / f"{name}.yaml").read_text(encoding="utf-8")))


def _profile(fields: dict[str, Any]) -> Profile:
    fixed, batching = fields.pop("fixed_work", None), fields.pop("continuous_batching", None)
    fit = fields.pop("fit", None)
    published = _published(fields["name"], fields.pop("published"))
    return Profile(
        device=FixedWork(**fixed) if fixed else ContinuousBatching(**batching),
        answer_tokens=fields.pop("answer_tokens", 0),
        caveats=tuple(fields.pop("caveats")),
        published=published,
        fit=FitBasis(**fit) if fit else None,
        **fields,
    )


def _published(unit: str, points: Sequence[Mapping[str, Any]]) -> tuple[Measurement, ...]:
    rows = []
    for row, point in enumerate(points, 1):
        rate_per_s = point["rate_per_s"] if "rate_per_s" in point else point["rate_per_min"] / 60
        rest = {name: value for name, value in point.items() if name not in ("rate_per_s", "rate_per_min")}
        rows.append(Measurement(row=row, unit=unit, rate_per_s=rate_per_s, **rest))
    return tuple(rows)
