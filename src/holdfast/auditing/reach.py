"""Rows that are within the hardware, and faster than any measured server comes to its peaks: suspicious.

`auditing.physics` bounds what cannot be; this asks what has been seen. The roofline (`performance.roofline`) of the
row's model on its devices is taken with the shares of peaks that each measured accelerator reached under each engine
(`performance.coefficients`, those that are trusted), and the fastest of them all is what a row is held against. In its
favour, the arithmetic of prompts hides behind the reading of weights in the steps, as with chunked prefills, and
nothing else of a prefill counts. With n requests in flight on a replica and o output tokens, a request takes at least

    max(n prefill compute + (o - 1) step compute, (o - 1) step weights) + (o - 1) (cache + link + overhead)

A fit is off by its error on held-out steps, in the median; where errors are normal, one of twenty is beyond 3 medians.
So a row is found that is faster by more than 3 times an error: the larger of the fit's and of the one that the
accelerator itself would be given (its own, or its nearest kin's). `tests/auditing/test_measured_data.py` says how many
rows of real measurements that finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.auditing import equipment
from holdfast.auditing.equipment import Equipment, Models
from holdfast.model.architecture import ModelArchitecture
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.measurements import Measurement
from holdfast.performance import coefficients, roofline
from holdfast.performance.coefficients import Fitted
from holdfast.performance.roofline import Placement

ERRORS = 3.0


@dataclass(frozen=True)
class Reach:
    """The least seconds of a request with so many in flight on its replica, by which fit, and how far it may be off."""

    request_s: float
    in_flight: float
    fitted: Fitted
    error: float


def reached(rows: Sequence[Measurement], models: Models, beyond: frozenset[int], where: str) -> Checked:
    """Rows faster than the fastest fit by more than its error. beyond: rows that break the physical limit already."""
    judged = 0
    found = []
    for row in rows:
        behind = equipment.of(row, models(row.model) if row.model else None)
        least, stated_s = fastest(row, behind), _request_s(row, behind)
        if least is None or stated_s is None:
            continue
        judged += 1
        if row.row not in beyond and stated_s * (1 + ERRORS * least.error) < least.request_s:
            found.append(_finding(row, least, stated_s, where))
    return Checked("roofline", judged, tuple(found))


def fastest(row: Measurement, behind: Equipment) -> Reach | None:
    """The fastest fit; None where the row lacks lengths, parallelism or what was in flight, or is of an image model."""
    model, device, in_flight = behind.model, behind.accelerator, _in_flight(row, behind)
    if not isinstance(model, ModelArchitecture) or device is None or in_flight is None:
        return None
    if not (row.output_tokens and row.input_tokens and row.tensor_parallel):
        return None
    if not (device.memory_gb_per_s and device.bf16_dense_tflops):
        return None
    ranks = (row.tensor_parallel, row.pipeline_parallel or 1)
    own = coefficients.of(device, row.framework).error
    tried = [
        Reach(
            _least_s(row, Placement(model, device, *ranks, fitted.coefficients), in_flight),
            in_flight,
            fitted,
            max(own, fitted.coefficients.error),
        )
        for fitted in coefficients.table()
        if fitted.trusted
    ]
    return min(tried, key=lambda one: one.request_s)


def _in_flight(row: Measurement, behind: Equipment) -> float | None:
    """On one replica, 1 at least: by the rate and the mean latency, else as stated; never more than its batch."""
    latency_s = row.latency_avg_s or row.latency_p50_s
    if row.rate_per_s and latency_s:
        held: float | None = row.rate_per_s * latency_s / behind.replicas
    else:
        stated = row.concurrency or (row.max_num_seqs and row.max_num_seqs * behind.replicas)
        held = stated / behind.replicas if stated else None
    return None if held is None else max(1.0, min(held, float(row.max_num_seqs or held)))


def _request_s(row: Measurement, behind: Equipment) -> float | None:
    """Seconds of a request by the row: its mean latency, else what its rate leaves for each in flight."""
    stated_s = row.latency_avg_s or row.latency_p50_s
    in_flight = _in_flight(row, behind)
    if stated_s is None and row.rate_per_s and in_flight:
        return in_flight * behind.replicas / row.rate_per_s
    return stated_s


def _least_s(row: Measurement, placed: Placement, in_flight: float) -> float:
    assert row.input_tokens and row.output_tokens
    step = placed.decode(in_flight, roofline.mean_context(row.input_tokens, row.output_tokens))
    prompt_s = placed.prefill(row.input_tokens).compute_s
    steps = max(0.0, row.output_tokens - 1)
    core_s = max(in_flight * prompt_s + steps * step.compute_s, steps * step.weights_s)
    return core_s + steps * (step.cache_s + step.link_s + step.overhead_s)


def _finding(row: Measurement, least: Reach, stated_s: float, where: str) -> Finding:
    by = f"{least.fitted.accelerator} under {least.fitted.framework}"
    return Finding(
        where,
        row.row,
        "roofline",
        Severity.SUSPICIOUS,
        f"{stated_s:.3g} s",
        f"about {least.request_s:.3g} s or more",
        f"{row.unit}: a request takes {stated_s:.3g} s with {least.in_flight:.3g} in flight on its replica. No "
        f"measured server comes near: at the shares of peaks that the best reaches ({by}) it takes "
        f"{least.request_s:.3g} s, give or take {ERRORS * least.error:.0%}.",
        _why(row),
    )


def _why(row: Measurement) -> str:
    if row.max_num_seqs is None and row.concurrency is None:
        return "The rate or the latency is in another unit, or answers were shorter than stated."
    return "Answers ended early, the weights were quantised, tokens speculated, or prompts came from a prefix cache."
