"""An estimate as tables and a few sentences."""

from __future__ import annotations

from holdfast.model.tables import Column, Table
from holdfast.performance.estimate import Estimate, Point


def memory(value: Estimate) -> Table:
    """What one device, or one core of it, holds when the batch is full."""
    fit = value.fit
    batch = value.points[-1].concurrency if value.points else 0
    kv_gib = batch * fit.kv_gib_per_sequence
    held_gib = fit.weights_gib + fit.activations_gib + fit.overhead_gib + kv_gib
    return Table(
        title=f"Memory of each {value.accelerator.rank_name}, {batch:,} in flight",
        columns=(
            Column("weights", "GiB", 2),
            Column("KV cache", "GiB", 2),
            Column("activations", "GiB", 2),
            Column("engine", "GiB", 2),
            Column("free", "GiB", 2),
            Column("of", "GiB", 2),
            Column("fit", "sequences"),
        ),
        rows=(
            (
                fit.weights_gib,
                kv_gib,
                fit.activations_gib,
                fit.overhead_gib,
                fit.memory_gib - held_gib,
                fit.memory_gib,
                fit.sequences,
            ),
        ),
    )


def speed(value: Estimate) -> Table:
    """Latency and throughput against concurrency, and what they rest on; columns of tokens only where there are any."""
    tokens = value.physical_limit_tokens_per_s > 0
    limit = f"{value.physical_limit_per_s:,.2f} requests/s"
    if tokens:
        limit = f"{value.physical_limit_tokens_per_s:,.0f} output tokens/s, {limit}"
    return Table(
        title="Speed of one replica, an estimate",
        columns=(
            Column("in flight"),
            *((Column("TTFT", "ms", 0), Column("ITL", "ms", 1)) if tokens else ()),
            Column("latency", "s", 2),
            Column("rate", "requests/s", 2),
            *((Column("output", "tokens/s", 0),) if tokens else ()),
            Column("binds"),
        ),
        rows=tuple(_speed(point, tokens) for point in value.points),
        notes=(
            f"Physical limit of such a batch: {limit}.",
            f"Error of a decode step: {value.error:.0%}, the median "
            + ("of the accelerator that borrowing served worst." if value.borrowed else "of measurements held out."),
            f"Coefficients: {value.coefficients_source}.",
            *((f"{value.across[0].upper()}{value.across[1:]}.",) if value.across else ()),
        ),
    )


def terms(value: Estimate) -> Table:
    """What a request takes of the replica, term by term of the roofline."""
    return Table(
        title="What one request takes of the replica",
        columns=(
            Column("in flight"),
            *(Column(name, "ms", 2) for name in ("compute", "weights", "cache", "link", "overhead", "together")),
        ),
        rows=tuple(
            (
                point.concurrency,
                *(
                    seconds * 1000
                    for seconds in (
                        point.terms.compute_s,
                        point.terms.weights_s,
                        point.terms.cache_s,
                        point.terms.link_s,
                        point.terms.overhead_s,
                        1 / point.rate_per_s,
                    )
                ),
            )
            for point in value.points
        ),
        notes=(
            "Together they are 1 / rate. Weights are read while the arithmetic runs: pass by pass the longer counts.",
        ),
    )


def _speed(point: Point, tokens: bool) -> tuple[str | float | int | None, ...]:
    return (
        point.concurrency,
        *((point.ttft_s * 1000, None if point.itl_s is None else point.itl_s * 1000) if tokens else ()),
        point.latency_s,
        point.rate_per_s,
        *((point.output_tokens_per_s,) if tokens else ()),
        point.binds,
    )
