"""The figures of a stage made anew from its requests, by plain numpy and apart from the code that made the stage.

A check here is a function of one stage and its requests; `limits.measured` is not asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from holdfast.model.findings import Finding, Severity
from holdfast.model.records import Bools, Floats, RequestTable
from holdfast.model.stages import Stage, Summary

SAME = 1e-3
"""Relative difference between a stage's figure and the one made of its requests that is no difference."""
RATE = 0.1
"""The same for rates, which a short closed loop gives in bursts."""
TOKENS = 0.05
"""Texts that are longer or shorter by more than this share are not those that were asked for."""


@dataclass(frozen=True)
class Part:
    """The requests of one stage, times from its start. kept: which are of its steady part and succeeded."""

    stage: Stage
    table: RequestTable

    @property
    def kept(self) -> Bools:
        start_s, stop_s = self.stage.window_s
        return self.table.ok & (self.table.intended_s >= start_s) & (self.table.intended_s <= stop_s)


Recount = Callable[[Part, str], Iterator[Finding]]


def counts(part: Part, where: str) -> Iterator[Finding]:
    """Requests and successes of the stage, counted again."""
    table, stage = part.table, part.stage
    for name, stated, counted in (
        ("requests", stage.requests, len(table)),
        ("successes", stage.ok, int(np.count_nonzero(table.ok))),
        ("failures", sum(stage.errors.values()), int(np.count_nonzero(table.failed))),
    ):
        if stated != counted:
            yield _differs(stage, where, "counts", name, f"{stated:,}", f"{counted:,}")


def moments(part: Part, where: str) -> Iterator[Finding]:
    """intended <= sent <= first byte <= first token <= end, as far as each came."""
    table = part.table
    order = (table.intended_s, table.sent_s, table.first_byte_s, table.first_token_s, table.end_s)
    backwards = sum(int(np.count_nonzero(later < earlier - 1e-6)) for earlier, later in pairwise(order))
    if backwards:
        yield _differs(part.stage, where, "moments", "moments that precede the one before", f"{backwards:,}", "none")


def percentiles(part: Part, where: str) -> Iterator[Finding]:
    """Mean and percentiles (linear interpolation) of latency and TTFT, from the intended start, of the steady part."""
    kept = part.kept
    yield from _summary(part.stage, "latency", part.stage.latency, part.table.latency_s[kept], where)
    if part.stage.ttft is not None:
        yield from _summary(part.stage, "TTFT", part.stage.ttft, part.table.ttft_s[kept], where)


def _summary(stage: Stage, name: str, stated: Summary, values: Floats, where: str) -> Iterator[Finding]:
    if len(values) != stated.n:
        yield _differs(stage, where, "percentiles", f"{name} values", f"{stated.n:,}", f"{len(values):,}")
        return
    if not len(values):
        return
    made = {"avg": float(values.mean()), "max": float(values.max())}
    made |= {f"p{q}": float(np.percentile(values, q)) for q in (50, 90, 95, 99)}
    for statistic, value in made.items():
        if not math.isclose(stated.statistic(statistic), value, rel_tol=SAME, abs_tol=1e-6):
            said = f"{stated.statistic(statistic):.4g} s"
            yield _differs(stage, where, "percentiles", f"{name} {statistic}", said, f"{value:.4g} s")


def in_flight(part: Part, where: str) -> Iterator[Finding]:
    """The mean number in flight over the steady part, by the time that each request spent in it."""
    start_s, stop_s = part.stage.window_s
    spent_s = np.minimum(part.table.end_s, stop_s) - np.maximum(part.table.intended_s, start_s)
    mean = float(np.clip(spent_s, 0, None).sum()) / max(stop_s - start_s, 1e-9)
    if not math.isclose(part.stage.in_flight, mean, rel_tol=0.01, abs_tol=0.01):
        yield _differs(part.stage, where, "in-flight", "in flight", f"{part.stage.in_flight:.4g}", f"{mean:.4g}")


def rates(part: Part, where: str) -> Iterator[Finding]:
    """Successes that ended in the steady part over its length, against the stated rate."""
    stage, table = part.stage, part.table
    start_s, stop_s = stage.window_s
    done = int(np.count_nonzero(table.ok & (table.end_s > start_s) & (table.end_s <= stop_s)))
    counted_per_s = done / max(stop_s - start_s, 1e-9)
    # One completion more or less at either end of the window is no difference.
    slack = RATE + 2 / max(done, 1)
    if stage.valid and abs(stage.achieved_per_s - counted_per_s) > slack * max(counted_per_s, stage.achieved_per_s):
        said = f"{stage.achieved_per_s:.4g}/s"
        yield _differs(stage, where, "rates", "successes per second", said, f"{counted_per_s:.4g}/s")


def tokens(part: Part, where: str) -> Iterator[Finding]:
    """Tokens that the server reported against those that were asked for, of successful requests; none for images."""
    table, stage = part.table, part.stage
    for name, got, asked in (
        ("output", table.tokens_out, table.tokens_out_asked),
        ("prompt", table.tokens_in, table.tokens_in_asked),
    ):
        known = table.ok & (got >= 0) & (asked > 0)
        if not known.any():
            continue
        mean, wanted = float(got[known].mean()), float(asked[known].mean())
        if abs(mean / wanted - 1) > TOKENS:
            yield Finding(
                where,
                stage.index + 1,
                "token-count",
                Severity.SUSPICIOUS,
                f"{mean:.4g} {name} tokens",
                f"{wanted:.4g} {name} tokens",
                f"Stage {stage.index + 1} ({stage.level.name}): the server counts {mean:.4g} {name} tokens per request "
                f"where {wanted:.4g} were asked for, {mean / wanted - 1:+.0%}.",
                "Answers ended early (no ignore_eos)."
                if name == "output" and mean < wanted
                else "The texts were made with another tokenizer than the model's: give --tokenizer.",
            )


def _differs(stage: Stage, where: str, check: str, name: str, stated: str, counted: str) -> Finding:
    return Finding(
        where,
        stage.index + 1,
        check,
        Severity.IMPOSSIBLE,
        stated,
        counted,
        f"Stage {stage.index + 1} ({stage.level.name}): {name} {'is' if check == 'rates' else 'are'} {stated}, and its "
        f"requests give {counted}.",
        "A file of the run was changed, or is of another run.",
    )
