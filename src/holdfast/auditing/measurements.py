"""All checks on the rows of a measurement file."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.auditing import (
    captions,
    derived,
    hardware,
    held,
    latencies,
    levels,
    limits,
    littles_law,
    prices,
    reach,
    tokens,
)
from holdfast.auditing.equipment import known_model
from holdfast.model.findings import Audit, Finding, Kind
from holdfast.model.fleet import Slo
from holdfast.model.measurements import Measurement


def audit_measurements(
    rows: Sequence[Measurement], where: str, *, slo: Slo | None = None, region: str | None = None
) -> Audit:
    """Can these figures be? where: names the file in the findings; region: of its prices, None for any.

    Raises InputError for a region that the catalogue does not have.
    """
    limited = limits.physical_limit(rows, known_model, where)
    beyond = frozenset(finding.row for finding in limited.findings)
    checked = (
        littles_law.littles_law(rows, where),
        littles_law.offered_rate(rows, where),
        littles_law.in_flight_of_a_minute(rows, where),
        limited,
        reach.reached(rows, known_model, beyond, where),
        limits.memory(rows, known_model, where),
        hardware.hardware(rows, known_model, where),
        hardware.idle_devices(rows, where),
        tokens.token_count(rows, where),
        latencies.percentile_order(rows, where),
        latencies.samples(rows, where),
        derived.cost_of_inference(rows, where),
        derived.rate_per_dollar(rows, where),
        derived.tokens_per_dollar(rows, where),
        prices.price(rows, region, where),
        captions.caption(rows, where),
        levels.warm_up(rows, where),
        levels.plateau(rows, where),
        levels.peers(rows, where),
        *(() if slo is None else (held.slo(rows, slo, where),)),
    )
    return Audit(where, Kind.MEASUREMENTS, len(rows), checked)


def audit_rows(
    rows: Sequence[Measurement], slo: Slo | None, where: str, *, region: str | None = None
) -> tuple[Finding, ...]:
    """The findings of `audit_measurements`, for a plan to carry."""
    return audit_measurements(rows, where, slo=slo, region=region).findings
