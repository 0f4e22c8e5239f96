"""Little's law on every row that states enough, and what the stated clients could have offered.

Closed loop     N = X (R + Z)        N users, X requests/s, R mean latency, Z think time
Open loop       L = X R              L in flight on average, whatever the arrivals
Clients         X <= N / (R + Z)     the interactive response time law: N clients offer no more

J. D. C. Little, "A Proof for the Queuing Formula L = lambda W", Operations Research 9 (1961), doi:10.1287/opre.9.3.383;
E. D. Lazowska et al., Quantitative System Performance (1984), section 3.4. Both hold for any system over any time that
starts and ends idle, or that is long against R.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.auditing import rounding, unit_errors
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.measurements import Measurement

TOLERANCE = 0.1
"""Relative. Ramp-up and drain of a finite closed loop cost a few percent; a tenth is no longer an edge effect."""

HOLLOW = 0.1
"""A closed loop that had less than this share of its concurrency in flight was no closed loop of that concurrency."""

_FEW_PER_SLOT = 20
"""Requests per slot below which ramp-up and drain, about one latency, are more than a few percent of the level."""


def littles_law(rows: Sequence[Measurement], where: str) -> Checked:
    """Rows whose concurrency is not rate x (mean latency + think time), by more than a tenth and their rounding.

    More in flight than the loop can hold is impossible, and so is a loop that is nine tenths empty; less than that
    means that it was not kept full, or that rate and latency are of different windows. Where `clients` are stated too,
    the concurrency may count the requests in flight or the users.
    """
    judged = [row for row in rows if row.concurrency and row.rate_per_s is not None and row.latency_avg_s]
    return Checked("littles-law", len(judged), _found(_loop(row, where) for row in judged))


def offered_rate(rows: Sequence[Measurement], where: str) -> Checked:
    """Rows whose rate is above what their clients could send: clients / (mean latency + think time).

    A row without a latency is held against clients / think time, which no server is fast enough to exceed.
    """
    judged = [row for row in rows if _clients_bound(row) is not None and row.rate_per_s is not None]
    return Checked("offered-rate", len(judged), _found(_offered(row, where) for row in judged))


def in_flight_of_a_minute(rows: Sequence[Measurement], where: str) -> Checked:
    """Files without a concurrency in which rate x latency is 60 on every row: one at a time, and a rate per minute.

    A server that takes one request at a time has rate x latency = 1 at its limit (Little's law). Several units that all
    have 60 in flight, within a quarter, have a rate per minute under a heading per second.
    """
    judged = [row for row in rows if not row.concurrency and row.rate_per_s and row.latency_avg_s]
    in_flight = [(row.rate_per_s or 0.0) * (row.latency_avg_s or 0.0) for row in judged]
    if len(judged) < 2 or not all(45 <= value <= 75 for value in in_flight):
        return Checked("units", len(judged), ())
    spread = f"{min(in_flight):.3g} to {max(in_flight):.3g}"
    finding = Finding(
        where,
        judged[0].row,
        "units",
        Severity.SUSPICIOUS,
        f"{spread} in flight",
        f"{min(in_flight) / 60:.2f} to {max(in_flight) / 60:.2f} in flight",
        f"On all {len(judged)} rows rate x latency is {spread} in flight, 60 times one request at a time.",
        unit_errors.of_rate_and_latency(60.0),
    )
    return Checked("units", len(judged), (finding,))


def _found(findings: Iterable[Finding | None]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding is not None)


def _loop(row: Measurement, where: str) -> Finding | None:
    assert row.concurrency and row.rate_per_s is not None and row.latency_avg_s
    with_think = row.rate_per_s * (row.latency_avg_s + (row.think_time_s or 0.0))
    candidates = [with_think]
    if row.clients is not None:
        candidates.append(row.rate_per_s * row.latency_avg_s)
    in_flight = min(candidates, key=lambda value: abs(value / row.concurrency - 1))  # type: ignore[operator]
    residual = in_flight / row.concurrency - 1
    if abs(residual) <= TOLERANCE + rounding.slack(row, "rate_per_s", "latency_avg_s"):
        return None
    think = f" + {row.think_time_s:g} s" if row.think_time_s else ""
    latency = f"({row.latency_avg_s:g}{think})" if think else f"{row.latency_avg_s:g} s"
    return Finding(
        where,
        row.row,
        "littles-law",
        Severity.IMPOSSIBLE if residual > 0 or _hollow(row, residual) else Severity.SUSPICIOUS,
        f"{in_flight:.4g} in flight",
        f"{row.concurrency} in flight",
        f"{row.unit} at concurrency {row.concurrency}: {row.rate_per_s:.4g}/s x {latency} is "
        f"{in_flight:.4g} in flight, {residual:+.0%}.",
        unit_errors.of_rate_and_latency(in_flight / row.concurrency) or _why(row, residual),
    )


def _hollow(row: Measurement, residual: float) -> bool:
    never_full = row.requests is not None and row.concurrency is not None and row.requests < row.concurrency
    return residual < HOLLOW - 1 and not never_full


def _why(row: Measurement, residual: float) -> str:
    assert row.concurrency
    if not row.rate_per_s:
        return "Nothing was completed, and the latency is of something else."
    if _hollow(row, residual):
        return "The concurrency is another run's, or the client never had as many in flight."
    if residual > 0:
        return "Rate and latency are of different windows, or of different numbers of clients."
    if row.requests is not None and row.requests < _FEW_PER_SLOT * row.concurrency:
        return (
            f"{row.requests} requests are {row.requests / row.concurrency:.3g} per slot: the loop ended before "
            "it was full, and the drain counts as load."
        )
    return "The level was too short to be full (ramp-up and drain count as load), or the client could not keep up."


def _clients_bound(row: Measurement) -> float | None:
    """Seconds between two requests of one client, at least; None where nothing is known of them."""
    cycle_s = (row.latency_avg_s or 0.0) + (row.think_time_s or 0.0)
    return cycle_s if row.clients and cycle_s > 0 else None


def _offered(row: Measurement, where: str) -> Finding | None:
    cycle_s = _clients_bound(row)
    assert cycle_s is not None and row.clients and row.rate_per_s is not None
    most_per_s = row.clients / cycle_s
    factor = row.rate_per_s / most_per_s
    if factor <= 1 + TOLERANCE + rounding.slack(row, "rate_per_s", "latency_avg_s", "think_time_s"):
        return None
    return Finding(
        where,
        row.row,
        "offered-rate",
        Severity.IMPOSSIBLE,
        f"{row.rate_per_s:.4g}/s",
        f"at most {most_per_s:.4g}/s",
        f"{row.unit}: {row.clients} clients that each wait {cycle_s:.4g} s between two requests send at most "
        f"{most_per_s:.4g}/s, and {row.rate_per_s:.4g}/s are stated.",
        unit_errors.of_rate_and_latency(factor) or "Each client had several requests in flight.",
    )
