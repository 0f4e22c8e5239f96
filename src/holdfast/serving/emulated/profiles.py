"""The built-in profiles: which deployment units can be emulated, from which published figures, with which caveats."""

from __future__ import annotations

import difflib
import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from holdfast.model.errors import InputError
from holdfast.model.measurements import Measurement
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.slots import FixedWork
from holdfast.serving.emulated.step_time import LinearStep

Made = TypeVar("Made")
_NUMBERS = {"int": (int,), "float": (int, float)}
_DATA = importlib.resources.files("holdfast.serving.emulated") / "data"


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
    aliases:       other names that requests may use.
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
    aliases: tuple[str, ...] = ()

    def scaled(self, time_scale: float) -> Profile:
        """The same unit with every duration divided by `time_scale`."""
        return replace(self, device=self.device.scaled(time_scale), cold_start_s=self.cold_start_s / time_scale)


def profile_names() -> tuple[str, ...]:
    """The names of the built-in profiles, in alphabetical order."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _DATA.iterdir() if file.name.endswith(".yaml")))


def load_profile(name: str) -> Profile:
    """The built-in profile of that name, or one in a YAML file of the same form. Raises InputError."""
    names = profile_names()
    if name in names:
        return _profile(yaml.safe_load((_DATA / f"{name}.yaml").read_text(encoding="utf-8")), name)
    if name.endswith((".yaml", ".yml")):
        return _own(Path(name))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names
    raise InputError(f"no unit {name!r} can be emulated", mend=f"the nearest are {', '.join(near)}")


def _own(path: Path) -> Profile:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the profile cannot be read ({error})", where=str(path), mend="give a YAML file") from error
    except yaml.YAMLError as error:
        raise InputError(f"it is not YAML ({error})", where=str(path), mend="mend the file") from error
    if not isinstance(document, dict):
        raise InputError("a profile is a mapping", where=str(path), mend="write it like those in docs/emulate.md")
    return _profile(document, str(path))


def _profile(document: dict[str, Any], where: str) -> Profile:
    values = dict(document)
    fixed, batching = values.pop("fixed_work", None), values.pop("continuous_batching", None)
    if (fixed is None) == (batching is None):
        raise InputError("a profile has one of fixed_work and continuous_batching", where=where, mend="give one")
    if fixed is not None:
        device: FixedWork | ContinuousBatching = _made(FixedWork, fixed, f"{where}: fixed_work")
    else:
        inner = _mapping(batching, f"{where}: continuous_batching")
        step = _made(LinearStep, inner.pop("step", {}), f"{where}: continuous_batching.step")
        device = _made(ContinuousBatching, {**inner, "step": step}, f"{where}: continuous_batching")
    fit = values.pop("fit", None)
    named = {
        "answer_tokens": 0,
        **values,
        "device": device,
        "caveats": tuple(values.get("caveats", ())),
        "published": _published(str(values.get("name")), values.get("published", ()), where),
        "aliases": tuple(values.get("aliases", ())),
        "fit": None if fit is None else _made(FitBasis, fit, f"{where}: fit"),
    }
    return _made(Profile, named, where)


def _mapping(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{value!r} is no mapping", where=where, mend="give its fields")
    return dict(value)


def _made(kind: Callable[..., Made], value: object, where: str) -> Made:
    """A dataclass of what stands in a file. Raises InputError for fields that are unknown, missing or nonsense."""
    given = _mapping(value, where)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
            raise InputError(f"unknown field {name!r}", where=where, mend=f"the nearest known one is {near[0]!r}")
    for name, field in known.items():
        if name not in given and field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"the field {name!r} is missing", where=where, mend="give it")
        if name in given and type(given[name]) not in _NUMBERS.get(str(field.type), (type(given[name]),)):
            raise InputError(f"{name} must be {field.type}, not {given[name]!r}", where=where, mend="give a number")
    try:
        return kind(**given)
    except ValueError as error:
        raise InputError(str(error), where=where, mend="mend the field") from error


def _published(unit: str, points: Sequence[Mapping[str, Any]], where: str) -> tuple[Measurement, ...]:
    rows = []
    for row, point in enumerate(points, 1):
        values = _mapping(point, f"{where}: published")
        if "rate_per_min" in values:
            values["rate_per_s"] = values.pop("rate_per_min") / 60
        rows.append(_made(Measurement, {**values, "row": row, "unit": unit}, f"{where}: published"))
    return tuple(rows)
