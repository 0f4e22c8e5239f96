"""Results in the shapes that other tools read: measurement CSV, vLLM's benchmark result, requests as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from holdfast.model.records import COLUMNS, Bools, Floats, Floats32, Ints, Outcome, RequestTable
from holdfast.model.stages import Arrivals, LoadCurve, Stage

_ROWS = 10_000
"""Requests written at a time."""

_PERCENTILES = (90, 95, 99)

_MEASUREMENT: dict[str, Callable[[Stage], float | int | None]] = {
    "concurrency": lambda stage: stage.level.concurrency,
    "rate_per_s": lambda stage: stage.achieved_per_s,
    "input_tokens": lambda stage: _each(stage.tokens_in, stage),
    "output_tokens": lambda stage: _each(stage.tokens_out, stage),
    "output_tokens_per_s": lambda stage: stage.tokens_out_per_s or None,
    "latency_avg_s": lambda stage: stage.latency.avg_s,
    "latency_p50_s": lambda stage: stage.latency.p50_s,
    "latency_p90_s": lambda stage: stage.latency.p90_s,
    "latency_p95_s": lambda stage: stage.latency.p95_s,
    "latency_p99_s": lambda stage: stage.latency.p99_s,
    "ttft_p95_s": lambda stage: stage.ttft.p95_s if stage.ttft is not None else None,
    # A gap of 0 (tokens that came in one piece) is no bound that a plan could use.
    "itl_p95_s": lambda stage: (stage.itl.p95_s or None) if stage.itl is not None else None,
    "error_rate": lambda stage: stage.error_rate,
    "utilization": lambda stage: stage.utilization,
    "requests": lambda stage: stage.requests or None,
}


def measurement_csv(curve: LoadCurve, *, unit: str, model: str, source: str) -> Iterator[str]:
    """The valid stages as a measurement file (see model.measurements), a row per level; comments name the others."""
    for stage in curve.stages:
        if not stage.valid:
            yield f"# left out, {stage.level.name}: {stage.invalid}\n"
    yield _line(["unit", "model", *_MEASUREMENT, "source"])
    for stage in curve.stages:
        if stage.valid:
            yield _line([unit, model, *(_cell(value(stage)) for value in _MEASUREMENT.values()), source])


def _each(tokens: int, stage: Stage) -> float | None:
    return tokens / stage.ok if tokens else None


def requests_csv(table: RequestTable) -> Iterator[str]:
    """Every request with the columns of model.records.RequestRecord, floats in full; what did not happen is empty."""
    names = {int(outcome): outcome.name.lower() for outcome in Outcome}
    yield _line(list(COLUMNS))
    for first in range(0, len(table), _ROWS):
        columns = [table.column(name)[first : first + _ROWS].tolist() for name in COLUMNS]
        columns[-1] = [names[outcome] for outcome in columns[-1]]
        yield "".join(_line([_cell(value) for value in row]) for row in zip(*columns, strict=True))


def _cell(value: float | int | str | None) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return value if isinstance(value, str) else repr(value)


def _line(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


@dataclass(frozen=True)
class LevelRequests:
    """The requests of one level, how many chunk times each has, and the times of all, from the first of each."""

    table: RequestTable
    counts: Ints
    chunk_times_s: Floats32


def vllm_result(
    stage: Stage, requests: LevelRequests, *, model: str, url: str, backend: str, date: str, detailed: bool
) -> dict[str, object]:
    """One level under the names, and by the definitions, of `vllm bench serve --save-result`.

    Those are: the whole level, warm-up included; times from the actual send, not from the intended one; the mean of no
    values is 0. `request_goodput` is holdfast's, of the steady part. detailed: also the lists of `--save-detailed`.
    Source: vLLM, vllm/benchmarks/serve.py at commit 009e6d4a1cd6, read 2026-11-21.
    """
    table = requests.table
    ok = table.ok
    latency_s, ttft_s = table.end_s - table.sent_s, table.first_token_s - table.sent_s
    tokens_in = np.where(table.tokens_in >= 0, table.tokens_in, table.tokens_in_asked)
    tokens_out = np.where(ok, np.where(table.tokens_out >= 0, table.tokens_out, table.chunks), 0)
    streamed = ok & bool(np.any(table.chunks[ok] > 1))
    several = streamed & (tokens_out > 1)
    duration_s = float(table.end_s.max() - table.sent_s.min()) if len(table) else 0.0
    total_in, total_out = (int(tokens[ok].sum(dtype=np.int64)) for tokens in (tokens_in, tokens_out))
    span_s = max(duration_s, 1e-9)
    closed = stage.level.arrivals is Arrivals.CLOSED
    result: dict[str, object] = {
        "date": date,
        "endpoint_type": backend,
        "backend": backend,
        "label": url,
        "model_id": model,
        "tokenizer_id": None,
        "num_prompts": len(table),
        "request_rate": "inf" if closed else stage.level.rate_per_s,
        "burstiness": None if stage.level.arrivals is Arrivals.CONSTANT else 1.0,
        "max_concurrency": stage.level.concurrency,
        "duration": duration_s,
        "completed": int(np.count_nonzero(ok)),
        "failed": int(np.count_nonzero(~ok)),
        "total_input_tokens": total_in,
        "total_output_tokens": total_out,
        "request_throughput": int(np.count_nonzero(ok)) / span_s,
        "request_goodput": stage.goodput_per_s,
        "output_throughput": total_out / span_s,
        "total_token_throughput": (total_in + total_out) / span_s,
        "max_output_tokens_per_s": _peak_tokens_per_s(requests, streamed),
        "max_concurrent_requests": _peak_in_flight(table.sent_s[ok], table.end_s[ok]),
        **_statistics("ttft", ttft_s[streamed]),
        **_statistics("tpot", (latency_s - ttft_s)[several] / (tokens_out[several] - 1)),
        **_statistics("itl", np.concatenate([np.empty(0), *(_gaps(requests, streamed))])),
        **_statistics("e2el", latency_s[ok]),
    }
    return result | (_details(requests, tokens_in, tokens_out) if detailed else {})


def _statistics(name: str, values_s: Floats) -> dict[str, object]:
    values_ms = values_s * 1000 if len(values_s) else np.zeros(1)
    percentiles = zip(_PERCENTILES, np.percentile(values_ms, _PERCENTILES), strict=True)
    return {
        f"mean_{name}_ms": float(values_ms.mean()),
        f"median_{name}_ms": float(np.median(values_ms)),
        f"std_{name}_ms": float(values_ms.std()),
        **{f"p{p}_{name}_ms": float(value) for p, value in percentiles},
    }


def _details(requests: LevelRequests, tokens_in: Ints, tokens_out: Ints) -> dict[str, object]:
    table = requests.table
    every = np.ones(len(table), dtype=bool)
    return {
        "input_lens": tokens_in.tolist(),
        "output_lens": tokens_out.tolist(),
        "ttfts": np.nan_to_num(table.first_token_s - table.sent_s).tolist(),
        "itls": [gaps.tolist() for gaps in _gaps(requests, every)],
        "latencies": (table.end_s - table.sent_s).tolist(),
        "start_times": table.sent_s.tolist(),
        "queue_times": table.lag_s.tolist(),
        "errors": ["" if outcome == Outcome.OK else Outcome(outcome).name.lower() for outcome in table.outcome],
    }


def _gaps(requests: LevelRequests, keep: Bools) -> Iterator[Floats]:
    """The gaps between output events of each request to keep, in seconds."""
    ends = np.cumsum(requests.counts)
    for end, count in zip(ends[keep].tolist(), requests.counts[keep].tolist(), strict=True):
        yield np.diff(requests.chunk_times_s[end - count : end].astype(float))


def _peak_tokens_per_s(requests: LevelRequests, streamed: Bools) -> float:
    """Most output events in one of the seconds since the first send."""
    kept = np.repeat(streamed, requests.counts)
    if not kept.any():
        return 0.0
    begun_s = requests.table.first_token_s - requests.table.sent_s[streamed].min()
    at_s = (np.repeat(begun_s, requests.counts) + requests.chunk_times_s)[kept]
    return float(np.bincount(at_s.astype(int)).max())


def _peak_in_flight(sent_s: Floats, end_s: Floats) -> int:
    """Most requests at once; one that ends as another is sent is not at once with it."""
    moments = np.concatenate([sent_s, end_s])
    steps = np.concatenate([np.ones(len(sent_s), dtype=int), -np.ones(len(end_s), dtype=int)])
    return int(np.cumsum(steps[np.lexsort((steps, moments))]).max(initial=0))
