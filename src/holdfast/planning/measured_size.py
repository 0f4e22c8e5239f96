"""Which of a unit's rows speak for requests of the length that a fleet plans for, and how far theirs are from it.

A limit holds for the length of request that it was measured with. Nothing is interpolated between two lengths, for
what lies between depends on which of prefill, decode and cache binds: of the lengths that were measured the nearest is
taken, all load levels of it, and the plan says which. Near is a small |ln(input ratio)| + |ln(output ratio)|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from holdfast.model.fleet import Workload
from holdfast.model.measurements import Measurement

ALIKE = 0.2
"""Relative. Lengths that differ by no more are one: means of what servers count vary so from level to level."""

_Lengths = tuple[tuple[str, float | None, float], ...]
"""Of each length that the workload states its name, the tokens measured (None where unstated), and those asked for."""


def nearest(rows: Sequence[Measurement], workload: Workload) -> list[Measurement]:
    """The rows whose lengths are those nearest to the workload's; of two equally near, those with more tokens.

    Rows that state no length are taken where no row does, and all rows where the workload states none.
    """
    if not rows:
        return []
    best = min(rows, key=lambda row: _farness(_lengths(row, workload)))
    return [row for row in rows if _alike(_lengths(row, workload), _lengths(best, workload))]


def at(rows: Sequence[Measurement], workload: Workload) -> list[Measurement]:
    """The rows that state the lengths of the workload's requests, which states them."""
    return [
        row
        for row in rows
        if all(tokens is not None and _one(tokens, asked) for _, tokens, asked in _lengths(row, workload))
    ]


def otherwise(row: Measurement, workload: Workload) -> str:
    """Which lengths were measured and how far that is from the workload's; empty where they are alike or unknown.

    E.g. `measured with 200 input and 100 output tokens, the workload has 800 and 100 (75% fewer input tokens)`.
    """
    stated = [(name, tokens, asked) for name, tokens, asked in _lengths(row, workload) if tokens is not None]
    off = [
        f"{abs(tokens / asked - 1):.0%} {'more' if tokens > asked else 'fewer'} {name} tokens"
        for name, tokens, asked in stated
        if not _one(tokens, asked)
    ]
    if not off:
        return ""
    measured = " and ".join(f"{tokens:.4g} {name}" for name, tokens, _ in stated)
    planned = " and ".join(f"{asked:.4g}" for _, _, asked in stated)
    return f"measured with {measured} tokens, the workload has {planned} ({', '.join(off)})"


def _lengths(row: Measurement, workload: Workload) -> _Lengths:
    both = (("input", row.input_tokens, workload.input_tokens), ("output", row.output_tokens, workload.output_tokens))
    return tuple((name, tokens or None, asked.mean) for name, tokens, asked in both if asked is not None)


def _farness(lengths: _Lengths) -> tuple[int, float, float]:
    """How many lengths are unstated, how far the others are, and then the fewer tokens the farther."""
    stated = [(tokens, asked) for _, tokens, asked in lengths if tokens is not None]
    apart = math.fsum(abs(math.log(tokens / asked)) for tokens, asked in stated)
    return len(lengths) - len(stated), round(apart, 9), -math.fsum(tokens for tokens, _ in stated)


def _alike(lengths: _Lengths, others: _Lengths) -> bool:
    pairs = [(mine, its) for (_, mine, _), (_, its, _) in zip(lengths, others, strict=True)]
    return all(mine == its or (mine is not None and its is not None and _one(mine, its)) for mine, its in pairs)


def _one(tokens: float, other: float) -> bool:
    return abs(math.log(tokens / other)) <= math.log1p(ALIKE)
