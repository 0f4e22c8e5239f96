"""Two run directories held against each other: levels paired by what was asked for, and how each figure differs."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.limits import breaking_points, conditions, contrasts, estimates
from holdfast.limits.change import Change
from holdfast.limits.conditions import Case, Condition
from holdfast.limits.contrasts import GAP_BINS, Held
from holdfast.limits.estimates import Estimate
from holdfast.load import journal, rundir, runs
from holdfast.load.rundir import RunSpec
from holdfast.load.runs import Run
from holdfast.model.comparison import LIMIT, METRICS, Comparison, Departure, Difference, Finding, LevelPair, Metric
from holdfast.model.errors import InputError
from holdfast.model.records import Bools, Ints, RequestTable
from holdfast.model.stages import Level, Stage

_ALIKE = {"verb", "url", "model", "slo", "arrivals", "seed"}
"""What may be otherwise and figures still mean the same: another server or model is what one compares. A search, a
sweep and a load hold a level in the same way."""


_NEARLY = 0.9
"""Share of a level's requests that must be the same, for only these to be looked at."""


@dataclass(frozen=True)
class _Recorded:
    """A run, with all its rows: `began_s` by stage where that is known."""

    run: Run
    table: RequestTable
    began_s: dict[int, float]

    @classmethod
    def read(cls, path: Path) -> _Recorded:
        began = {begun.index: begun.began_s for begun in rundir.read_levels(path)}
        return cls(runs.read(path), rundir.read_requests(path), began)

    def held(self, stage: Stage) -> Held:
        at = np.flatnonzero(np.equal(self.table.stage, stage.index))
        rows = self.table.take(at)
        # The steady part ends with the last intended start: so also a run that joins shards tells when a level began.
        began_s = self.began_s.get(stage.index, float(rows.intended_s.max()) - stage.window_s[1])
        order = np.argsort(rows.intended_s, kind="stable")
        gaps = functools.partial(self._gaps, at[order]) if stage.itl is not None else None
        return Held(stage, rows.take(order).shifted(began_s), gaps)

    def _gaps(self, places: Ints, keep: Bools, fine: Ints) -> Ints:
        """See contrasts.Held. places: of the level's rows, in their order, among all rows of the run."""
        block = np.full(len(self.table), -1)
        block[places[keep]] = fine[keep]
        counted = np.zeros((estimates.FINE, len(GAP_BINS)), dtype=np.int64)
        for first, counts, times_s in rundir.read_chunk_times(self.run.path):
            here = block[first : first + len(counts)]
            if len(times_s) < 2 or not np.any(here >= 0):
                continue
            gaps_s = journal.gaps_of(counts, times_s, here >= 0)
            of_gap = np.repeat(here, np.maximum(counts - 1, 0) * (here >= 0))
            bins = np.clip(np.searchsorted(GAP_BINS, gaps_s, side="right") - 1, 0, None)
            np.add.at(counted, (of_gap, bins), 1)
        return counted


def compare(before: Path, after: Path, confidence: float = 0.95, conditions_: Sequence[Condition] = ()) -> Comparison:
    """The comparison of two run directories. Raises InputError.

    confidence: probability that nothing is called changed, or a condition broken, by chance.
    """
    one, two = _Recorded.read(before), _Recorded.read(after)
    departures = _departures(one.run.record.spec, two.run.record.spec)
    _check(one, two, departures, bool(conditions_))
    pairs, alone = _paired(one, two)
    asked_alike = not any(departure.what == "seed" or not departure.alike for departure in departures)
    tested, untold = list[tuple[str, bool, list[Change]]](), list[LevelPair]()
    for name, first, second in pairs:
        invalid = _invalid(one, first) or _invalid(two, second)
        if invalid:
            untold.append(LevelPair(name, False, (), invalid))
            continue
        held = one.held(first), two.held(second)
        alike = contrasts.same_requests(held[0].rows, held[1].rows) if asked_alike else 0
        same = alike >= _NEARLY * min(len(each.rows) for each in held)
        if same:
            held = held[0].first(alike), held[1].first(alike)
        tested.append((name, same, contrasts.changes(*held, paired=same)))
    points = one.run.curve.breaking_point, two.run.curve.breaking_point
    limit = None if points[0] is None or points[1] is None else breaking_points.change(points[0], points[1])
    if not pairs and limit is None:
        raise InputError(
            f"{before} and {after} held no level in common ({' '.join(alone)})",
            mend="run both with the same --rate or --concurrency",
        )
    everything = [*(change for _, _, changes in tested for change in changes), *([limit] if limit else [])]
    _check_measured(conditions_, {change.metric for change in everything})
    differences, asked = _differences(everything, confidence)
    told = iter(differences)
    levels = [LevelPair(name, same, tuple(next(told) for _ in changes)) for name, same, changes in tested]
    cases = [Case(name, change) for name, _, changes in tested for change in changes]
    answers = conditions.judge(conditions_, [*cases, *([Case("", limit)] if limit else [])], confidence)
    return Comparison(
        before=str(before),
        after=str(after),
        begun=(one.run.record.started, two.run.record.started),
        departures=departures,
        remarks=(
            *(f"Of {each.run.path}: {each.run.cut_off}." for each in (one, two) if each.run.cut_off),
            *(remark for name, *stages in pairs for remark in _cached(name, *stages)),
        ),
        levels=(*levels, *untold),
        alone=tuple(alone),
        limit=next(told, None),
        asked=asked,
        confidence=confidence,
        curves=(replace(one.run.curve, unit=f"A: {before.name}"), replace(two.run.curve, unit=f"B: {after.name}")),
        answers=tuple(answers),
    )


def _departures(before: RunSpec, after: RunSpec) -> tuple[Departure, ...]:
    found = []
    for name in (field.name for field in fields(RunSpec)):
        was, now = getattr(before, name), getattr(after, name)
        keys = sorted({*was, *now}) if isinstance(was, dict) else []
        cases = [(f"{name} {key}", was.get(key), now.get(key)) for key in keys] or [(name, was, now)]
        found += [
            Departure(what.replace("_", " "), _said(old), _said(new), name in _ALIKE)
            for what, old, new in cases
            if old != new
        ]
    return tuple(found)


def _said(value: Any) -> str:
    if value is None or value == "":
        return "none"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _check(one: _Recorded, two: _Recorded, departures: Sequence[Departure], judged: bool) -> None:
    """Raises InputError where the runs cannot be held against each other."""
    for recorded in (one, two):
        if not recorded.run.curve.stages:
            raise InputError("the run held no level", where=str(recorded.run.path), mend="measure again")
    other = [departure for departure in departures if not departure.alike]
    if judged and other:
        said = ", ".join(f"{each.what} {each.before} and {each.after}" for each in other)
        raise InputError(
            f"{one.run.path} and {two.run.path} did not do the same ({said}), so no condition can be judged",
            mend="measure both alike, or leave out --fail-if",
        )


def _check_measured(conditions_: Sequence[Condition], measured: Set[Metric]) -> None:
    """Raises InputError for a condition on a figure that a run lacks; where no level was valid, all are lacking."""
    for condition in conditions_:
        if condition.metric not in measured and (condition.metric is LIMIT or measured - {LIMIT}):
            raise InputError(
                f"the runs have no {condition.metric.words} in common to hold against {condition.text!r}",
                mend=f"known of both: {', '.join(name for name, metric in METRICS.items() if metric in measured)}",
            )


def _paired(one: _Recorded, two: _Recorded) -> tuple[list[tuple[str, Stage, Stage]], list[str]]:
    """Levels that both held, by name; and sentences on those that one alone held.

    A level that was held several times is paired in the order of its times.
    """
    held = [_by_load(recorded.run.curve.stages) for recorded in (one, two)]
    pairs, alone = list[tuple[str, Stage, Stage]](), list[str]()
    for key in sorted({*held[0], *held[1]}, key=lambda key: (key[1], float(key[0]))):
        first, second = held[0].get(key, []), held[1].get(key, [])
        times = min(len(first), len(second))
        for place, (a, b) in enumerate(zip(first, second, strict=False), 1):
            pairs.append((a.level.name if times == 1 else f"{a.level.name} ({place})", a, b))
    for letter, own, other in (("A", held[0], held[1]), ("B", held[1], held[0])):
        extra = [stage.level.name for key, stages in sorted(own.items()) for stage in stages[len(other.get(key, [])) :]]
        if extra:
            alone.append(f"{letter} alone held {', '.join(extra)}.")
    return pairs, alone


def _by_load(stages: Sequence[Stage]) -> dict[tuple[str, bool], list[Stage]]:
    found = defaultdict[tuple[str, bool], list[Stage]](list)
    for stage in sorted(stages, key=lambda stage: stage.index):
        found[_load(stage.level)].append(stage)
    return found


def _load(level: Level) -> tuple[str, bool]:
    """What a level is paired by, and whether that is a number in flight."""
    closed = level.concurrency is not None
    return (str(level.concurrency) if closed else f"{level.rate_per_s:.6g}"), closed


def _invalid(recorded: _Recorded, stage: Stage) -> str:
    """Why a level is no evidence; empty where it is."""
    if stage.invalid:
        return f"invalid in {recorded.run.path.name}: {stage.invalid}"
    if not np.any(recorded.table.stage == stage.index):
        return f"{recorded.run.path.name} kept no request of it"
    return ""


_CACHED = 0.05
"""Difference of two prefix hit rates, 0..1, from which on one run found prompts in the cache that the other did not."""


def _cached(name: str, before: Stage, after: Stage) -> Iterator[str]:
    """What is to be said of prompts that one server had in its cache."""
    hits = [stage.server.get("prefix_hit_rate") for stage in (before, after)]
    if hits[0] is not None and hits[1] is not None and abs(hits[0] - hits[1]) > _CACHED:
        yield (
            f"At {name} the prefix cache held {hits[0]:.0%} of A's prompts and {hits[1]:.0%} of B's: "
            "start the server anew before each run."
        )


def _differences(changes: Sequence[Change], confidence: float) -> tuple[list[Difference], int]:
    """What is said of each, and of how many something could be."""
    known = [change.estimate for change in changes if change.estimate is not None]
    judged = iter(estimates.holm([estimate.surprise() for estimate in known], 1 - confidence))
    found = []
    for change in changes:
        estimate = change.estimate
        if estimate is None:
            gaps = (float("nan"),) * 3
            found.append(
                Difference(change.metric, change.before, change.after, *gaps, confidence, Finding.UNKNOWN, change.why)
            )
            continue
        significant, alpha = next(judged)
        found.append(_difference(change, estimate, alpha, significant))
    return found, len(known)


def _difference(change: Change, estimate: Estimate, alpha: float, significant: bool) -> Difference:
    relative = change.metric.relative
    low, high = (float(np.expm1(end)) if relative else end for end in estimate.interval(alpha))
    why = "" if significant else change.remark or _blind(low, high, relative=relative)
    known = Finding.CHANGED if significant else Finding.SAME
    return Difference(
        change.metric,
        change.before,
        change.after,
        float(np.expm1(estimate.value)) if relative else change.after - change.before,
        low,
        high,
        1 - alpha,
        Finding.UNKNOWN if why else known,
        why=why,
        remark=change.remark,
    )


_BLIND = 0.5
"""Of an interval that would hide a growth by half, nobody should read that there is no change."""


def _blind(low: float, high: float, *, relative: bool) -> str:
    if relative and (high > _BLIND or low < 1 / (1 + _BLIND) - 1):
        return f"a change by {_BLIND:.0%} could hide in the interval"
    return ""
