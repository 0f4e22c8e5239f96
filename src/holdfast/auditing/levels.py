"""Levels of one unit against each other, and units against their equals.

Warm-up     at more load every percentile is at least as high, in a system that is in steady state at each level; a tail
            that shrinks under load was measured while caches, compilers or connections were cold
Plateau     the throughput of a closed loop does not fall when users are added, unless the server's own rate falls with
            what it holds (R. Suri, Operations Research 33 (1985), doi:10.1287/opre.33.3.606): it thrashes, or the level
            was not held
Peers       the same model on as many of the same devices at the same concurrency has about the same throughput
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.auditing import equipment
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.measurements import Measurement

TAIL = 1.25
"""A p99 of a few hundred requests differs by some tenths from run to run."""
FALL = 0.9
"""Throughput below this share of what a lower level reached has fallen."""
APART = 0.8
"""Units of equal devices whose throughputs differ by more than this share differ in something that is not printed."""


def warm_up(rows: Sequence[Measurement], where: str) -> Checked:
    """Units whose tail (p99, else p95) at the first level is above that of the next one, which has more load."""
    ladders = [[row for row in ladder if _tail(row)] for ladder in _ladders(rows)]
    judged = [ladder for ladder in ladders if len(ladder) > 1]
    findings = (_warm_up(ladder[0], ladder[1], where) for ladder in judged)
    return Checked("warm-up", sum(map(len, judged)), tuple(f for f in findings if f is not None))


def plateau(rows: Sequence[Measurement], where: str) -> Checked:
    """Units whose throughput falls by more than a tenth below its peak when concurrency goes on rising."""
    judged = [
        ladder
        for unit in _ladders(rows)
        if len(ladder := [row for row in unit if row.concurrency and row.rate_per_s]) > 1
    ]
    findings = (_fallen(ladder, where) for ladder in judged)
    return Checked("plateau", sum(map(len, judged)), tuple(f for f in findings if f is not None))


def peers(rows: Sequence[Measurement], where: str) -> Checked:
    """Pairs of units with equal model, engine, parallelism and devices of which one is a fifth slower, or more, at half
    of the levels that both have or at two of them."""
    levels: dict[tuple[object, ...], dict[str, dict[int, Measurement]]] = {}
    for row in rows:
        if row.concurrency and row.rate_per_s and row.accelerator and row.tensor_parallel:
            levels.setdefault(_configuration(row), {}).setdefault(row.unit, {})[row.concurrency] = row
    groups = [units for units in levels.values() if len(units) > 1]
    judged = sum(len(ladder) for units in groups for ladder in units.values())
    return Checked("peers", judged, tuple(finding for units in groups for finding in _slower(units, where)))


def _load(row: Measurement) -> float:
    return float(row.concurrency or row.rate_per_s or 0.0)


def _ladders(rows: Sequence[Measurement]) -> Iterator[list[Measurement]]:
    """The rows of each unit and request size by rising load, each load once."""
    units: dict[tuple[object, ...], dict[float, Measurement]] = {}
    for row in rows:
        key = (row.unit, row.input_tokens, row.output_tokens, row.replicas, bool(row.concurrency))
        units.setdefault(key, {}).setdefault(_load(row), row)
    for ladder in units.values():
        yield [ladder[load] for load in sorted(ladder)]


def _tail(row: Measurement) -> float | None:
    return row.latency_p99_s or row.latency_p95_s


def _warm_up(first: Measurement, second: Measurement, where: str) -> Finding | None:
    name = "p99" if first.latency_p99_s and second.latency_p99_s else "p95"
    cold_s, warm_s = first.latency_s(name), second.latency_s(name)
    if cold_s is None or warm_s is None or cold_s <= TAIL * warm_s:
        return None
    return Finding(
        where,
        first.row,
        "warm-up",
        Severity.SUSPICIOUS,
        f"{name} {cold_s:g} s",
        f"at most {name} {warm_s:g} s",
        f"{first.unit}: the {name} is {cold_s:g} s at {_named(first)} and {warm_s:g} s at {_named(second)}: "
        f"more load, and a tail {cold_s / warm_s:.2g} times shorter.",
        "The first level holds the warm-up of the server.",
    )


def _named(row: Measurement) -> str:
    return f"concurrency {row.concurrency}" if row.concurrency else f"{row.rate_per_s:.4g}/s"


def _fallen(ladder: Sequence[Measurement], where: str) -> Finding | None:
    peak = max(ladder, key=lambda row: row.rate_per_s or 0.0)
    beyond = [row for row in ladder if _load(row) > _load(peak)]
    worst = min(beyond, key=lambda row: row.rate_per_s or 0.0, default=peak)
    assert peak.rate_per_s is not None and worst.rate_per_s is not None
    if worst.rate_per_s >= FALL * peak.rate_per_s:
        return None
    return Finding(
        where,
        worst.row,
        "plateau",
        Severity.NOTE,
        f"{worst.rate_per_s:.4g}/s at {_named(worst)}",
        f"about {peak.rate_per_s:.4g}/s, as at {_named(peak)}",
        f"{peak.unit}: throughput falls from {peak.rate_per_s:.4g}/s at {_named(peak)} to {worst.rate_per_s:.4g}/s at "
        f"{_named(worst)}, {worst.rate_per_s / peak.rate_per_s - 1:+.0%}.",
        "The server preempts requests for want of KV cache, or the level ended before it was full.",
    )


def _configuration(row: Measurement) -> tuple[object, ...]:
    behind = equipment.of(row, None)
    return (
        row.model,
        row.accelerator,
        row.framework,
        behind.devices,
        row.tensor_parallel,
        row.pipeline_parallel or 1,
        row.replicas or 1,
        row.max_num_seqs,
        row.input_tokens,
        row.output_tokens,
    )


def _slower(units: dict[str, dict[int, Measurement]], where: str) -> Iterator[Finding]:
    names = list(units)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            common = sorted(set(units[one]) & set(units[other]))
            pairs = [_by_rate(units[one][level], units[other][level]) for level in common]
            off = [pair for pair in pairs if (pair[0].rate_per_s or 0.0) < APART * (pair[1].rate_per_s or 0.0)]
            # Which of the two is slower must not change with the level: that would be noise.
            for slow in (one, other):
                own = [pair for pair in off if pair[0].unit == slow]
                if own and (len(own) >= 2 or 2 * len(own) >= len(pairs)):
                    yield _apart(own, where)


def _by_rate(one: Measurement, other: Measurement) -> tuple[Measurement, Measurement]:
    return (one, other) if (one.rate_per_s or 0.0) <= (other.rate_per_s or 0.0) else (other, one)


def _apart(pairs: Sequence[tuple[Measurement, Measurement]], where: str) -> Finding:
    slow, fast = min(pairs, key=lambda pair: (pair[0].rate_per_s or 0.0) / (pair[1].rate_per_s or 1.0))
    assert slow.rate_per_s is not None and fast.rate_per_s is not None
    return Finding(
        where,
        slow.row,
        "peers",
        Severity.SUSPICIOUS,
        f"{slow.rate_per_s:.4g}/s",
        f"about {fast.rate_per_s:.4g}/s",
        f"{slow.unit} has the devices and the configuration of {fast.unit} and is slower at "
        f"{len(pairs)} level{'s' if len(pairs) > 1 else ''}, by most at {_named(slow)}: {slow.rate_per_s:.4g}/s "
        f"against {fast.rate_per_s:.4g}/s, {slow.rate_per_s / fast.rate_per_s - 1:+.0%}.",
        "Devices talk over a slower path (another NUMA node or PCIe switch), or something unprinted differs.",
    )
