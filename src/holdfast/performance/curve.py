"""A unit's load curve: how its latency rises and its throughput levels off as more requests are in flight.

The levels of a measurement are noisy, and a curve through all of them would turn back on itself. Both latency and
rate can only rise with the number in flight (a batch takes nothing from the requests that join it late), so the
nearest curve that rises is taken (pool adjacent violators; Ayer et al. 1955, doi:10.1214/aoms/1177728423), each level
weighing the same. `model.curve` says what lies between the levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from holdfast.model.curve import Curve
from holdfast.model.errors import InputError
from holdfast.model.measurements import Measurement
from holdfast.model.stages import LoadCurve
from holdfast.performance.estimate import Estimate

_REACHED = 0.95
"""Share of the highest rate of a run that counts as having reached it: levels scatter by a few per cent."""


def of_stages(measured: LoadCurve, statistic: str = "p95") -> Curve | None:
    """The curve of the valid stages of a run that completed requests; None where there is none."""
    levels = [
        (stage.in_flight, stage.achieved_per_s, stage.latency.statistic(statistic))
        for stage in measured.stages
        if stage.valid and stage.latency.n > 0
    ]
    return of_levels(levels, statistic, False, f"{len(levels)} stages of {measured.unit}")


def of_held(measured: LoadCurve) -> Curve | None:
    """The curve of mean latencies of a run by the number that was held in flight, which is what a replica serves by.

    Of its closed loops, where they have two levels and go as far as the open ones; else of all its stages. In an open
    loop the number swings about its mean, or still climbs when the level ends, and so few in flight on average are
    served more slowly than as many that stay.
    """
    kept = [stage for stage in measured.stages if stage.valid and stage.latency.n > 0]
    closed = [stage for stage in kept if stage.level.concurrency is not None]
    reached_per_s = max((stage.achieved_per_s for stage in closed), default=0.0)
    far_enough = all(reached_per_s >= _REACHED * stage.achieved_per_s for stage in kept)
    enough = far_enough and len({stage.level.concurrency for stage in closed}) > 1
    return of_stages(replace(measured, stages=tuple(closed if enough else kept)), "avg")


def of_measurements(rows: Sequence[Measurement], statistic: str = "p95") -> Curve | None:
    """The curve of the rows of one unit and one number of replicas; None where no row has a rate and that latency.

    In flight is what Little's law gives for the mean latency, because closed loops are often published that ended
    before they were full; without a mean, the concurrency that the row states. Rates are of all replicas together, as
    the file has them. Raises InputError for rows of several units.
    """
    units = sorted({row.unit for row in rows})
    if len(units) > 1:
        raise InputError(f"rows of {', '.join(units)} make no one curve", mend="give the rows of one unit")
    levels = []
    for row in rows:
        latency_s = row.latency_s(statistic)
        if row.rate_per_s and latency_s is not None:
            typical_s = row.latency_avg_s or row.latency_p50_s or latency_s
            stated = row.concurrency if row.latency_avg_s is None else None
            levels.append((float(stated or row.rate_per_s * typical_s), row.rate_per_s, latency_s))
    return of_levels(levels, statistic, False, f"{len(levels)} measured levels of {units[0]}" if units else "")


def of_estimate(estimated: Estimate) -> Curve | None:
    """The curve of an estimate, of mean latencies; None where the model does not fit."""
    levels = [(float(point.concurrency), point.rate_per_s, point.latency_s) for point in estimated.points]
    source = f"estimate for {estimated.accelerator.name}, off by {estimated.error:.0%} in the median"
    return of_levels(levels, "avg", True, source)


def of_levels(
    levels: Iterable[tuple[float, float, float]], statistic: str, estimated: bool, source: str
) -> Curve | None:
    """Levels of (in flight, rate, latency) joined where they have the same number in flight, and made to rise.

    None where none of them is of numbers above 0.
    """
    usable = sorted(level for level in levels if all(0 < value < math.inf for value in level))
    if not usable:
        return None
    numbers = sorted({number for number, _, _ in usable})
    alike = [[level for level in usable if level[0] == number] for number in numbers]
    weights = [float(len(group)) for group in alike]
    means = [[sum(level[part] for level in group) / len(group) for group in alike] for part in (1, 2)]
    rates, latencies = (rising(values, weights) for values in means)
    return Curve(tuple(numbers), rates, latencies, statistic, estimated, source)


def rising(values: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """The never-falling values nearest to these by weighted least squares."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(values, weights, strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, heavy, count = blocks.pop()
            total = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / total, total, count + block[2])
        blocks.append(block)
    return tuple(mean for mean, _, count in blocks for _ in range(count))
