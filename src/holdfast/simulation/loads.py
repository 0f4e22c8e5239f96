"""The load of a scenario: how many requests come when, and how much work each is.

A rate is a function of time; a surge multiplies it. Arrivals follow the rate evenly, independently (Poisson), or with
gamma gaps. A trace is replayed as recorded, stretched to a rate, and begun anew where it ends.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field

from holdfast.load.traces import Trace
from holdfast.model.errors import InputError
from holdfast.model.fields import Duration, Rate
from holdfast.model.fleet import Document
from holdfast.simulation import arrivals
from holdfast.simulation.events import Surge
from holdfast.simulation.moments import Moment

Floats = NDArray[np.float64]
RateFunction = Callable[[Floats], Floats]
"""Requests/s at times in seconds from the start, shape (n,) -> (n,)."""


class Wave(Document):
    """A cosine over the day: `low` at 0:00, `high` half a period later, `low` again."""

    low_per_s: Annotated[Rate, Field(alias="low")]
    high_per_s: Annotated[Rate, Field(alias="high")]
    period_s: Annotated[Duration, Field(alias="period", gt=0)] = 86400.0

    @pydantic.model_validator(mode="after")
    def _rises(self) -> Self:
        if not 0 <= self.low_per_s <= self.high_per_s or self.high_per_s <= 0:
            raise ValueError("a wave goes from `low` up to `high`, which is above 0")
        return self

    def rate(self, t_s: Floats) -> Floats:
        swing = (self.high_per_s - self.low_per_s) / 2
        return np.asarray(self.low_per_s + swing * (1 - np.cos(2 * math.pi * t_s / self.period_s)))


class RateAt(Document):
    at_s: Annotated[Moment, Field(alias="at")]
    rate_per_s: Annotated[Rate, Field(alias="rate")]


class Replay(Document):
    """A trace: a CSV with the columns timestamp, input tokens and output tokens (`load.traces` says which spellings).

    file: beside the scenario. rate_per_s: the mean rate that it is sped up or slowed down to; as recorded when absent.
    """

    file: Annotated[str, Field(min_length=1)]
    rate_per_s: Annotated[Rate | None, Field(alias="rate", gt=0)] = None


class Load(Document):
    """Exactly one of rate, wave, steps, points and trace.

    steps:    each rate holds until the next. points: straight lines between the rates.
    arrivals: `poisson`, `even`, or `gamma` with `burstiness` k, as in `vllm bench serve`: gaps have a coefficient of
              variation of 1/sqrt(k), so 1 is Poisson and below 1 is burstier.
    work_cv:  coefficient of variation of the work of a request about its mean, lognormal; 0 makes all alike.
              A trace has its own: output tokens over their mean.
    """

    rate_per_s: Annotated[Rate | None, Field(alias="rate", gt=0)] = None
    wave: Wave | None = None
    steps: Annotated[tuple[RateAt, ...], Field(max_length=100_000)] = ()
    points: Annotated[tuple[RateAt, ...], Field(max_length=100_000)] = ()
    trace: Replay | None = None
    arrivals: Literal["poisson", "even", "gamma"] = "poisson"
    burstiness: Annotated[float | None, Field(ge=0.05, le=10_000)] = None
    work_cv: Annotated[float, Field(alias="workCv", ge=0, le=10)] = 0.0

    @pydantic.model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [self.rate_per_s, self.wave, self.steps or None, self.points or None, self.trace]
        if sum(each is not None for each in given) != 1:
            raise ValueError("a load has exactly one of rate, wave, steps, points and trace")
        if (self.arrivals == "gamma") != (self.burstiness is not None):
            raise ValueError("arrivals: gamma needs a burstiness, and nothing else has one")
        if self.trace and (self.arrivals != "poisson" or self.work_cv):
            raise ValueError("a trace has its own arrivals and work; remove arrivals, burstiness and workCv")
        times = [each.at_s for each in (*self.steps, *self.points)]
        if times and (times[0] != 0 or any(a >= b for a, b in itertools.pairwise(times))):
            raise ValueError("rates are given for rising moments, the first of them 0s")
        return self


@dataclass(frozen=True)
class Factor:
    """What the surges make of a rate at a moment: the product of their factors."""

    surges: tuple[Surge, ...]

    def __call__(self, t_s: Floats) -> Floats:
        whole = np.ones_like(t_s)
        for surge in self.surges:
            ends_s = math.inf if surge.to_s is None else surge.to_s
            over_s = max(surge.over_s, 1e-9)
            part = np.clip((t_s - surge.from_s) / over_s, 0, 1) * np.clip((ends_s + over_s - t_s) / over_s, 0, 1)
            whole *= 1 + (surge.factor - 1) * part
        return whole


class Tabulated:
    """A rate as a shape: its expected arrivals, second by second."""

    def __init__(self, rate: RateFunction, duration_s: float) -> None:
        self._rate = rate
        # One grain more than the duration: arrivals are drawn by whole grains.
        self._times_s = np.arange(math.ceil(duration_s) + 2.0)
        self._expected = np.append(0.0, np.cumsum(rate(self._times_s[:-1] + 0.5)))

    def cumulative(self, t_s: Floats) -> Floats:
        return np.asarray(np.interp(t_s, self._times_s, self._expected))

    def rate_per_s(self, t_s: float) -> float:
        return float(self._rate(np.array([t_s]))[0])


def rate_function(load: Load, surges: Sequence[Surge] = (), starts_at_s: float = 0.0) -> RateFunction:
    """The rate of a load that is not a trace, surges included. Raises ValueError for a trace.

    starts_at_s: the time of day at which the scenario begins.
    """
    base, factor = _base(load, starts_at_s), Factor(tuple(surges))
    return (lambda t_s: base(t_s) * factor(t_s)) if surges else base


def source(
    load: Load, surges: Sequence[Surge], starts_at_s: float, *, duration_s: float, seed: int, trace: Trace | None
) -> arrivals.Source:
    """The requests of the load. trace: what `load.trace` names. Raises InputError for one that cannot be replayed."""
    if load.trace is not None:
        if trace is None:
            raise ValueError("the load is a trace, and none was read")
        return _replayed(load.trace, trace)
    burstiness = {"even": math.inf, "poisson": 1.0, "gamma": load.burstiness or 1.0}[load.arrivals]
    work = arrivals.Lognormal(load.work_cv) if load.work_cv else arrivals.Fixed()
    shape = Tabulated(rate_function(load, surges, starts_at_s), duration_s)
    return arrivals.Drawn(shape, work, seed=seed, burstiness=burstiness)


def first_rate_per_s(load: Load, surges: Sequence[Surge], starts_at_s: float, trace: Trace | None) -> float:
    """The rate when time begins; of a trace its mean."""
    if load.trace is not None:
        return load.trace.rate_per_s or (len(trace) / trace.duration_s if trace else 0.0)
    return float(rate_function(load, surges, starts_at_s)(np.zeros(1))[0])


def _replayed(replay: Replay, trace: Trace) -> arrivals.Replayed:
    if len(trace) < 2 or trace.starts_s[-1] <= 0:
        raise InputError("the trace has fewer than two moments", where=trace.source, mend="give a longer one")
    rate_per_s = replay.rate_per_s or len(trace) / trace.duration_s
    return arrivals.Replayed(trace.starts_s, trace.tokens_out.astype(float), rate_per_s=rate_per_s)


def _base(load: Load, starts_at_s: float) -> RateFunction:
    if load.rate_per_s is not None:
        rate_per_s = load.rate_per_s
        return lambda t_s: np.full_like(t_s, rate_per_s)
    if load.wave is not None:
        wave = load.wave
        return lambda t_s: wave.rate(t_s + starts_at_s)
    if load.trace is not None:
        raise ValueError("a trace has arrivals and no rate")
    at_s = np.array([each.at_s for each in (*load.steps, *load.points)])
    rates = np.array([each.rate_per_s for each in (*load.steps, *load.points)])
    if load.steps:
        return lambda t_s: np.asarray(rates[np.searchsorted(at_s, t_s, side="right") - 1])
    return lambda t_s: np.asarray(np.interp(t_s, at_s, rates))
