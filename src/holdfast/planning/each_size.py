"""A unit that was measured at each size of the workload's requests: which rows those are, and what they say together.

A limit by size is of one set-up: that a small batch is best for long requests and a large one for short ones makes no
replica that is both. So only rows of one TP, PP, batch and number of replicas are held together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from holdfast.model.errors import InputError
from holdfast.model.fleet import Workload
from holdfast.model.measurements import Measurement
from holdfast.model.plan import UnitEvidence
from holdfast.model.workload import RequestSize, TokenLengths
from holdfast.planning import measured_size

BySize = tuple[tuple[Measurement, ...], ...]
"""Rows of one set-up for each of the workload's sizes, in their order."""


def set_up(row: Measurement) -> tuple[int | None, ...]:
    """What a replica of the row was, and how many there were."""
    return (row.replicas or 1, row.tensor_parallel, row.pipeline_parallel, row.max_num_seqs)


def of_size(workload: Workload, size: RequestSize) -> Workload:
    """The workload if all its requests were of that size."""
    asked, answered = TokenLengths(mean=size.input_tokens), TokenLengths(mean=size.output_tokens)
    return workload.model_copy(update={"input_tokens": asked, "output_tokens": answered, "sizes": ()})


def named(size: RequestSize) -> str:
    """E.g. `200 + 100 tokens`."""
    return f"{size.input_tokens:g} + {size.output_tokens:g} tokens"


def measured(rows: Sequence[Measurement], workload: Workload) -> tuple[BySize, ...]:
    """The rows of every set-up that was measured at all of the workload's sizes; empty where it has none."""
    alike = (
        tuple(tuple(measured_size.at(own, of_size(workload, size))) for size in workload.sizes)
        for own in ([row for row in rows if set_up(row) == one] for one in dict.fromkeys(map(set_up, rows)))
    )
    return tuple(found for found in alike if found and all(found))


def unmeasured(rows: Sequence[Measurement], workload: Workload) -> tuple[RequestSize, ...]:
    """The workload's sizes at which no row was measured."""
    return tuple(size for size in workload.sizes if not measured_size.at(rows, of_size(workload, size)))


def together(workload: Workload, parts: Sequence[UnitEvidence]) -> UnitEvidence:
    """The evidence of a unit given that of each size: its limits, and what a replica holds of their mixture.

    Raises InputError where the parts differ in price.
    """
    first = parts[0]
    usd_per_h = sorted({part.price_usd_per_h for part in parts})
    if not math.isclose(usd_per_h[0], usd_per_h[-1], rel_tol=1e-9):
        raise InputError(
            f"a replica of unit {first.unit!r} costs {usd_per_h[0]:g} USD/h by the rows of one size and "
            f"{usd_per_h[-1]:g} USD/h by those of another",
            where=f"spec.units.{first.unit}",
            mend="give its price in the fleet, e.g. price: $1.006/h, or one price in all rows",
        )
    limits = tuple(part.limit_per_s for part in parts)
    mixed = 1 / math.fsum(size.share / limit for size, limit in zip(workload.sizes, limits, strict=True))
    tokens = _known(
        None if part.tokens_out_per_s is None else size.share * part.tokens_out_per_s / part.limit_per_s
        for size, part in zip(workload.sizes, parts, strict=True)
    )
    sources = zip(workload.sizes, parts, strict=True)
    return replace(
        first,
        limit_per_s=mixed,
        tokens_out_per_s=math.fsum(tokens) * mixed if tokens else None,
        latency_s=None,
        limits_by_size_per_s=limits,
        latencies_by_size_s=_known(part.latency_s for part in parts),
        limit_source="; ".join(f"{named(size)}: {part.limit_source}" for size, part in sources),
        levels=(),
        held=(),  # these are of one size each
    )


def _known(figures: Iterable[float | None]) -> tuple[float, ...]:
    """The figures; empty where one is unknown."""
    told = tuple(figures)
    known = tuple(figure for figure in told if figure is not None)
    return known if len(known) == len(told) else ()
