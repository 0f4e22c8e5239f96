"""Which unit `holdfast emulate` serves: built in, in a file, calibrated, or estimated; and what flags change of it."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.model.errors import InputError
from holdfast.model.measurements import Measurement, read_measurements
from holdfast.model.tables import Column, Table
from holdfast.serving.emulated import profiles
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.pace import Pace
from holdfast.serving.emulated.profiles import Profile
from holdfast.serving.emulated.slots import FixedWork
from holdfast.serving.emulated.step_time import LinearStep

if TYPE_CHECKING:
    from holdfast.serving.emulated.calibration import Calibrated
    from holdfast.serving.emulated.unmeasured import Wanted


@dataclass(frozen=True)
class Source:
    """What says which unit it is; the flags of `holdfast emulate` of these names."""

    unit: str | None
    calibrate: Path | None
    up_to: int | None
    model: str | None
    instance_type: str | None
    framework: str | None
    tp: int | None
    max_model_len: int | None


@dataclass(frozen=True)
class Found:
    """The unit, and how well it fits what was measured, where it was fitted."""

    profile: Profile
    fit: Calibrated | None = None


@dataclass(frozen=True)
class Changes:
    """What the user wants otherwise than the profile has it; None leaves it."""

    served_model_name: tuple[str, ...] = ()
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    max_queued: int | None = None
    kv_blocks: int | None = None
    block_size: int | None = None
    prefix_caching: bool | None = None
    answer_tokens: int | None = None
    step_base: float | None = None
    step_per_sequence: float | None = None
    step_per_prefill_token: float | None = None
    step_per_kv_token: float | None = None
    cold_start: float | None = None
    pace: Pace = field(default_factory=Pace)


def find(source: Source) -> Found:
    """The unit before flags change it. Raises InputError."""
    if source.calibrate is not None:
        return _calibrated(source, source.calibrate)
    if source.up_to is not None:
        raise InputError("there are no levels to leave out", where="--up-to", mend="give --calibrate FILE.csv")
    if source.model is not None:
        if source.unit is not None:
            raise InputError("a unit and a model are given", where="--model", mend="give one of them")
        return Found(_estimated(source, source.model))
    if (source.instance_type, source.tp, source.framework) != (None, None, None):
        raise InputError("no model is given to estimate", where="--model", mend="give --model and --instance-type")
    if source.unit is None:
        raise InputError("no unit is given", mend="name one of `holdfast emulate --list`")
    return Found(profiles.load_profile(source.unit))


def _estimated(source: Source, model: str) -> Profile:
    # Here and below: the catalogue and the roofline are a third of the start-up time, and most units need neither.
    from holdfast.serving.emulated import unmeasured

    return unmeasured.profile(_wanted(source, model, source.instance_type, source.tp))


def _wanted(source: Source, model: str, instance_type: str | None, tensor_parallel: int | None) -> Wanted:
    from holdfast import catalog
    from holdfast.catalog import models
    from holdfast.performance import coefficients
    from holdfast.serving.emulated.unmeasured import Wanted

    if instance_type is None:
        raise InputError("no instance type is given", where="--model", mend="give --instance-type, e.g. g6e.xlarge")
    instance = catalog.instance_type(instance_type)
    return Wanted(
        models.architecture(model),
        instance,
        catalog.accelerator(instance.accelerator),
        source.framework or coefficients.DEFAULT_FRAMEWORK,
        tensor_parallel,
        source.max_model_len,
    )


def _calibrated(source: Source, file: Path) -> Found:
    from holdfast.cli import flags
    from holdfast.serving.emulated import calibration, unmeasured

    rows = read_measurements(flags.read_text(file), where=str(file))
    unit, mine = _rows_of(source.unit, rows, str(file))
    model = source.model or next((row.model for row in mine if row.model), None)
    instance_type = source.instance_type or next((row.instance_type for row in mine if row.instance_type), None)
    if model is None or instance_type is None:
        raise InputError(
            f"the rows of {unit} do not say what was measured on what", where=str(file),
            mend="give --model and --instance-type, which the size of the KV cache follows from",
        )  # fmt: skip
    tensor_parallel = source.tp or next((row.tensor_parallel for row in mine if row.tensor_parallel), None)
    wanted = _wanted(source, model, instance_type, tensor_parallel)
    levels = calibration.levels(mine, where=str(file), up_to=source.up_to)
    split = unmeasured.split(wanted, levels[0].held.prompt_tokens)
    base = unmeasured.profile(wanted)
    assert isinstance(base.device, ContinuousBatching)
    limit = next((row.max_num_seqs for row in mine if row.max_num_seqs), base.device.max_num_seqs)
    device = replace(base.device, max_num_seqs=limit)
    result = calibration.calibrate(device, levels, split, where=str(file))
    profile = replace(
        base,
        name=unit,
        device=result.device,
        source=f"{file.name}: {next((row.source for row in mine if row.source), 'no source is stated')}",
        caveats=(
            f"The worst miss of rate or latency is {result.worst_miss:.1%} over {len(levels)} levels.",
            result.basis,
            base.caveats[-1],
        ),
        published=tuple(mine),
    )
    return Found(profile, result)


def _rows_of(unit: str | None, rows: Sequence[Measurement], where: str) -> tuple[str, list[Measurement]]:
    units = list(dict.fromkeys(row.unit for row in rows))
    if unit is None and len(units) > 1:
        raise InputError(f"the file has {len(units)} units", where=where, mend=f"name one: {', '.join(units)}")
    wanted = units[0] if unit is None else unit
    if wanted not in units:
        near = difflib.get_close_matches(wanted, units, n=1, cutoff=0.0)
        raise InputError(f"the file has no unit {wanted!r}", where=where, mend=f"the nearest is {near[0]}")
    return wanted, [row for row in rows if row.unit == wanted]


_COLUMNS = (
    Column("clients"),
    Column("in flight", digits=1),
    Column("published", "req/s", digits=2),
    Column("emulated", "req/s", digits=2),
    Column("miss", "%", digits=1),
    Column("published", "s", digits=2),
    Column("emulated", "s", digits=2),
    Column("miss", "%", digits=1),
)


def fit_text(unit: str, result: Calibrated) -> str:
    """The levels beside what is emulated, for people."""
    from holdfast.reports import terminal

    step = result.device.step
    assert isinstance(step, LinearStep)
    rows = tuple(
        (
            each.level.clients, each.level.held.in_flight,
            each.level.rate_per_s, each.rate_per_s, 100 * each.rate_miss,
            each.level.held.residence_s, each.latency_s, 100 * each.latency_miss,
        )
        for each in result.checks
    )  # fmt: skip
    notes = (
        f"step = {step.base_s * 1e3:.4g} ms + {step.per_sequence_s * 1e3:.4g} ms x sequences + "
        f"{step.per_prefill_token_s * 1e6:.4g} us x prefilled tokens + {step.per_kv_token_s * 1e6:.4g} us x KV tokens",
        result.basis,
        f"worst miss {result.worst_miss:.1%}",
    )
    return terminal.text(terminal.table(Table(f"{unit}: measured and emulated", _COLUMNS, rows, notes)))


def fit_document(unit: str, result: Calibrated) -> dict[str, object]:
    """The same for machines; misses are shares, 0.1 is 10 %."""
    return {
        "unit": unit,
        "step": dataclasses.asdict(result.device.step),  # type: ignore[call-overload]
        "basis": result.basis,
        "worst_miss": result.worst_miss,
        "levels": [
            {
                "concurrency": each.level.clients,
                "in_flight": each.level.held.in_flight,
                "think_time_s": each.level.think_s,
                "rate_per_s": each.level.rate_per_s,
                "emulated_rate_per_s": each.rate_per_s,
                "rate_miss": each.rate_miss,
                "latency_avg_s": each.level.held.residence_s,
                "emulated_latency_avg_s": each.latency_s,
                "latency_miss": each.latency_miss,
            }
            for each in result.checks
        ],
    }


def changed(profile: Profile, changes: Changes) -> Profile:
    """The unit as the flags want it. Raises InputError for what it cannot be."""
    device = profile.device
    try:
        device = _batching(device, changes) if isinstance(device, ContinuousBatching) else _slots(device, changes)
    except ValueError as error:
        raise InputError(str(error), where=profile.name, mend="give another value") from error
    return replace(
        profile,
        device=device,
        cold_start_s=profile.cold_start_s if changes.cold_start is None else changes.cold_start,
        answer_tokens=changes.answer_tokens or profile.answer_tokens,
        aliases=(*profile.aliases, *changes.served_model_name),
    )


_OF_BATCHING = (
    "max_model_len", "max_num_seqs", "max_num_batched_tokens", "max_queued", "kv_blocks", "block_size",
    "prefix_caching",
)  # fmt: skip
_OF_STEP = {
    "step_base": "base_s",
    "step_per_sequence": "per_sequence_s",
    "step_per_prefill_token": "per_prefill_token_s",
    "step_per_kv_token": "per_kv_token_s",
}


def _batching(device: ContinuousBatching, changes: Changes) -> ContinuousBatching:
    step = device.step
    coefficients = {name: value for flag, name in _OF_STEP.items() if (value := getattr(changes, flag)) is not None}
    if coefficients:
        if not isinstance(step, LinearStep) and len(coefficients) < len(_OF_STEP):
            raise InputError("the step time of an estimate is no sum", where="--step-base", mend="give all four parts")
        step = replace(step, **coefficients) if isinstance(step, LinearStep) else LinearStep(**coefficients)
    given = {name: value for name in _OF_BATCHING if (value := getattr(changes, name)) is not None}
    return replace(device, step=step, pace=changes.pace, **given)


def _slots(device: FixedWork, changes: Changes) -> FixedWork:
    for name in (*_OF_BATCHING, *_OF_STEP, "answer_tokens"):
        if name != "max_queued" and getattr(changes, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} says nothing of images", mend="leave it out")
    queued = device.max_queued if changes.max_queued is None else changes.max_queued
    return replace(device, max_queued=queued, pace=changes.pace)


def line(profile: Profile) -> str:
    """The unit in the list of units."""
    shape = profile.device
    if isinstance(shape, FixedWork):
        timing = f"{shape.service_s:.3f} s per image"
    else:
        timing = f"{shape.step.step_s(1, 0, 0):.4f} s per step"
    if profile.fit:
        timing += f" and up, fitted within {profile.fit.worst_miss:.1%} of the published rates"
    columns = (f"{profile.name:24}", f"{profile.model:40}", f"{profile.instance_type:12}", f"{profile.framework:8}")
    return "  ".join((*columns, timing))
