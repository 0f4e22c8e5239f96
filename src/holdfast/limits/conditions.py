"""Conditions on how a run may differ from another, such as `p95 > +5%`, and whether they are met.

A condition says what must not be. With a sign its number is a change (`+5%`, `-2/s`, `+50ms`; of error rates `+1%` is
one in a hundred more), without one it is the second run's own figure (`p95 > 800ms`).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.limits import estimates
from holdfast.limits.change import Change
from holdfast.limits.estimates import Estimate
from holdfast.model import quantities
from holdfast.model.comparison import METRICS, Answer, Kind, Metric, Outcome

_FORM = re.compile(r"\s*([A-Za-z0-9_.]+)\s*([<>])\s*([+-]?)\s*([0-9].*)")
_READ = {Kind.TIME: quantities.duration_s, Kind.RATE: quantities.rate_per_s, Kind.SHARE: quantities.share}


@dataclass(frozen=True)
class Condition:
    """It must not be that `metric` is above (or below) `bound`.

    change: the bound is one on the change; else on the figure itself. relative: the bound is a share of what it was.
    bound:  a share, or in seconds or 1/s.
    """

    text: str
    metric: Metric
    above: bool
    change: bool
    relative: bool
    bound: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Raises ValueError with a sentence."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a condition; write it like 'p95 > +5%' or 'errors > 1%'")
        metric = _metric(match[1])
        sign, number = match[3], match[4].strip()
        percent = number.endswith("%")
        if percent and not sign and metric.relative:
            raise ValueError(
                f"{number!r} of what? write a change with its sign, like '{match[1]} {match[2]} +{number}'"
            )
        relative = percent and metric.relative
        size = _percentage(number) if relative else _READ[metric.kind](number)
        bound = -size if sign == "-" else size
        if relative and bound <= -1:
            raise ValueError(f"{text!r}: nothing falls by {number}")
        if not sign and bound <= 0 and metric.relative:
            raise ValueError(f"{text!r}: a {metric.words} is never below 0; write a bound above it")
        return cls(" ".join(text.split()), metric, match[2] == ">", bool(sign), relative, bound)

    def estimate(self, change: Change) -> tuple[Estimate | None, float]:
        """What is held against the bound, and the bound on its scale."""
        if not self.change:
            return change.own, math.log(self.bound) if self.metric.relative else self.bound
        if self.relative:
            return change.relative, math.log1p(self.bound)
        return change.absolute, self.bound


def _metric(name: str) -> Metric:
    metric = METRICS.get(name.lower())
    if metric is None:
        near = difflib.get_close_matches(name.lower(), METRICS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"there is no metric {name!r}{hint}; known: {', '.join(METRICS)}")
    return metric


def _percentage(text: str) -> float:
    """A share that may be above 1. Changes of more than a millionfold are nonsense. Raises ValueError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*%", text)
    if match is None:
        raise ValueError(f"{text!r} is not a percentage; write it like '5%'")
    if float(match[1]) > 1e8:
        raise ValueError(f"{text!r} is too large for a change")
    return float(match[1]) / 100


@dataclass(frozen=True)
class Case:
    """A change at a level, by the level's name; empty for the breaking point."""

    level: str
    change: Change


def judge(conditions: Sequence[Condition], tested: Sequence[Case], confidence: float) -> list[Answer]:
    """Whether each condition is met at any level.

    BROKEN: at some level it is, and the probability that any condition is called so by chance is at most
    1 - confidence (Holm's method over all conditions and levels). HELD: at each level the opposite is known with that
    confidence. UNSURE: neither.
    """
    cases = [(condition, each) for condition in conditions for each in tested if each.change.metric is condition.metric]
    known = list[tuple[Condition, Case, float, float]]()
    for condition, each in cases:
        estimate, bound = condition.estimate(each.change)
        if estimate is not None:
            broken = estimate.beyond(bound, above=condition.above)
            known.append((condition, each, broken, estimate.beyond(bound, above=not condition.above)))
    judged = estimates.holm([broken for _, _, broken, _ in known], 1 - confidence)
    answers = []
    for condition in conditions:
        here = [
            (each, held, sure)
            for (own, each, _, held), (sure, _) in zip(known, judged, strict=True)
            if own is condition
        ]
        untold = [each for own, each in cases if own is condition and own.estimate(each.change)[0] is None]
        answers.append(_answer(condition, here, untold, confidence))
    return answers


def _answer(
    condition: Condition, known: Sequence[tuple[Case, float, bool]], untold: Sequence[Case], confidence: float
) -> Answer:
    broken = [each for each, _, sure in known if sure]
    if broken:
        said = "; ".join(_said(each) for each in broken)
        return Answer(condition.text, Outcome.BROKEN, f"{condition.text}: yes, {confidence:.0%} confident: {said}")
    unsure = [each for each, held, _ in known if held >= 1 - confidence]
    if unsure or untold or not known:
        why = [*(_said(each) for each in unsure), *(f"{_at(each)}{_reason(each.change)}" for each in untold)]
        reason = "; ".join(why) or "no level was held by both runs"
        return Answer(condition.text, Outcome.UNSURE, f"{condition.text}: unsure, there is not enough data: {reason}")
    levels = "level" if len(known) == 1 else "levels"
    where = "" if condition.metric is METRICS["limit"] else f" at {len(known)} {levels}"
    return Answer(condition.text, Outcome.HELD, f"{condition.text}: no, {confidence:.0%} confident{where}")


def _reason(change: Change) -> str:
    return change.why or change.remark


def _said(each: Case) -> str:
    change = each.change
    words = f"{figure(change.metric, change.before)} became {figure(change.metric, change.after)}"
    return f"{_at(each)}{change.metric.words} {words}"


def _at(each: Case) -> str:
    return f"at {each.level} " if each.level else ""


def figure(metric: Metric, value: float) -> str:
    """The value with its unit: `812 ms`, `11.97/s`, `0.5%`."""
    if math.isnan(value):
        return "unknown"
    if metric.kind is Kind.SHARE:
        return f"{value * 100:.3g}%"
    if metric.kind is Kind.RATE:
        return f"{value:.4g}/s"
    return f"{value * 1000:.4g} ms" if value < 1 else f"{value:.4g} s"
