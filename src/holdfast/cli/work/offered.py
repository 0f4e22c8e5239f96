"""The load that the flags of `cli.arrivals` describe."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.cli import flags
from holdfast.load import pacers, traces
from holdfast.load.continuous import Behind
from holdfast.load.pacers import Paced, Pacer, Points, Shape, Steps
from holdfast.load.traces import Trace
from holdfast.model.errors import InputError
from holdfast.model.stages import Arrivals, Level

MOST_REQUESTS = 5_000_000
"""Of one run: to measure a level takes about 60 bytes of memory for each of its requests."""


@dataclass(frozen=True)
class Offered:
    """The load that the flags describe.

    pacer:   None in a closed loop.
    phase_s: how much later the wave of each further target comes.
    endless: until it is stopped; the level is then one period of it, or a minute.
    """

    level: Level
    pacer: Pacer | None
    phase_s: float = 0.0
    endless: bool = False

    @property
    def trace(self) -> Trace | None:
        return self.pacer if isinstance(self.pacer, Trace) else None

    def to(self, target: int) -> Offered:
        """What the target of that number, from 0, is offered."""
        if not isinstance(self.pacer, Paced) or not self.phase_s:
            return self
        shape, seconds = Behind(self.pacer.shape, target * self.phase_s), self.level.duration_s
        level = replace(self.level, rate_per_s=pacers.mean_rate_per_s(shape, seconds))
        return replace(self, level=level, pacer=replace(self.pacer, shape=shape))


def offered(
    *,
    rate: float | None,
    ramp_to: float | None,
    wave_to: float | None,
    period: float | None,
    steps: Steps | None,
    trace: Path | None,
    trace_speed: float | None,
    trace_limit: int | None,
    arrivals: str | None,
    burstiness: float | None,
    max_in_flight: int | None,
    concurrency: int | None,
    think_time: float | None,
    duration: float | None,
    phase: float | None,
) -> Offered:
    """Raises InputError where the flags do not go together."""
    endless = duration == math.inf
    if endless:
        _check_endless(rate, ramp_to, wave_to, period, max_in_flight)
        duration = period or 60.0
    try:
        if concurrency is not None:
            seconds, think_s = duration or 30.0, think_time or 0.0
            return Offered(Level(Arrivals.CLOSED, concurrency=concurrency, duration_s=seconds, think_s=think_s), None)
        if trace is not None:
            return _replayed(trace, trace_speed or 1.0, trace_limit, duration, max_in_flight or 0)
        seconds = duration or (steps.duration_s if steps is not None else 30.0)
        shape = steps or _shape(rate or 0.0, ramp_to, wave_to, period or seconds, seconds)
        kind = Arrivals(arrivals or ("poisson" if burstiness is None else "gamma"))
        level = _level(kind, pacers.mean_rate_per_s(shape, seconds), seconds, max_in_flight or 0, think_time or 0.0)
        return Offered(level, Paced(shape, _points(kind, burstiness)), phase or 0.0, endless)
    except ValueError as error:
        raise InputError(str(error)) from error


def _check_endless(
    rate: float | None,
    ramp_to: float | None,
    wave_to: float | None,
    period: float | None,
    max_in_flight: int | None,
) -> None:
    where = "--duration forever"
    if rate is None or ramp_to is not None:
        raise InputError("a load without end has a rate or a wave", where=where, mend="give --rate, and no --ramp-to")
    if wave_to is not None and period is None:
        raise InputError("a wave without end needs its period", where=where, mend="give --period")
    if max_in_flight is not None:
        # What it holds back could grow without end, too.
        raise InputError("a load without end has no bound in flight", where=where, mend="leave out --max-in-flight")


def _replayed(file: Path, speed: float, limit: int | None, duration: float | None, max_in_flight: int) -> Offered:
    lines = io.StringIO(flags.read_text(file), newline="")
    trace = traces.read(lines, where=str(file), most=limit).sped(speed)
    if duration is not None and duration < trace.duration_s:
        trace = trace.cut(duration)
    seconds = min(duration or math.inf, trace.duration_s)
    return Offered(_level(Arrivals.TRACE, len(trace) / seconds, seconds, max_in_flight), trace)


def _level(kind: Arrivals, rate_per_s: float, duration_s: float, max_in_flight: int, think_s: float = 0.0) -> Level:
    if duration_s * rate_per_s > MOST_REQUESTS:
        raise InputError(f"that is more than {MOST_REQUESTS:,} requests", where="--duration", mend="shorten it")
    return Level(kind, rate_per_s=rate_per_s, duration_s=duration_s, max_in_flight=max_in_flight, think_s=think_s)


def _shape(rate: float, ramp_to: float | None, wave_to: float | None, period_s: float, duration_s: float) -> Shape:
    if ramp_to is not None:
        return pacers.Ramp(rate, ramp_to, duration_s)
    return pacers.Cosine(rate, wave_to, period_s) if wave_to is not None else pacers.Constant(rate)


def _points(kind: Arrivals, burstiness: float | None) -> Points:
    if kind is Arrivals.GAMMA:
        if burstiness is None:
            raise InputError("gamma arrivals need a burstiness", where="--arrivals", mend="give --burstiness")
        return pacers.GammaPoints(burstiness)
    return pacers.poisson_points if kind is Arrivals.POISSON else pacers.even_points
