"""The lines of a search."""

from __future__ import annotations

import dataclasses
import math

from holdfast.cli import progress
from holdfast.limits import measured
from holdfast.limits.verdict import judge
from holdfast.load.finding import Progress
from holdfast.model.fleet import parse_slo
from holdfast.model.records import RequestTable
from holdfast.model.stages import Arrivals, Level


def test_why_a_level_is_invalid_fits_eighty_columns() -> None:
    level = Level(Arrivals.CONSTANT, rate_per_s=1234.5)
    seen = measured.measure(RequestTable.of([]), level, 0)
    late = "the client sent 10% of the requests late by more than 100 ms"
    stage = dataclasses.replace(seen.stage, invalid=late)
    told = Progress("u", level, stage, judge(seen, parse_slo("p95<1s")), 0.0, math.inf)
    lines = progress.line(told).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("   1.23e+03/s invalid: the client")
    assert " ".join(" ".join(lines).split()).endswith(late)
