"""What a good answer is, as a part of the document and as the text of a flag."""

from __future__ import annotations

from typing import Annotated, Self

import pydantic
from pydantic import Field

from holdfast.model import quantities
from holdfast.model.declaration import Document
from holdfast.model.fields import Duration, Share


class Percentiles(Document):
    """Upper bounds in seconds on the mean and on percentiles of one latency; None where unbounded.

    avg_s: on the mean.
    p50_s, p90_s, p95_s, p99_s: on the time that so many of 100 requests keep within.
    """

    avg_s: Annotated[Duration | None, Field(alias="avg")] = None
    p50_s: Annotated[Duration | None, Field(alias="p50")] = None
    p90_s: Annotated[Duration | None, Field(alias="p90")] = None
    p95_s: Annotated[Duration | None, Field(alias="p95")] = None
    p99_s: Annotated[Duration | None, Field(alias="p99")] = None

    @pydantic.model_validator(mode="after")
    def _positive(self) -> Self:
        for name, value in self.bounds():
            if value <= 0:
                raise ValueError(f"a bound of 0 on {name} can never hold; give a positive duration")
        return self

    def bounds(self) -> tuple[tuple[str, float], ...]:
        """The bounds that are set, as (statistic, seconds) with statistic one of avg p50 p90 p95 p99."""
        given = ((name, getattr(self, f"{name}_s")) for name in ("avg", "p50", "p90", "p95", "p99"))
        return tuple((name, value) for name, value in given if value is not None)


class Slo(Document):
    """What a good answer is. At least one latency bound; error rate defaults to 1 %.

    latency:     end-to-end, from the intended start of a request to its last byte.
    ttft:        time to first token, from the intended start.
    itl:         inter-token latency, between consecutive chunks of a stream.
    error_rate:  share of requests that may fail, 0..1.
    utilization: ceiling on the accelerator's own utilisation, 0..1; None where unbounded or unknown.
    """

    latency: Percentiles = Percentiles()
    ttft: Percentiles = Percentiles()
    itl: Percentiles = Percentiles()
    error_rate: Share = 0.01
    utilization: Share | None = None

    @pydantic.model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if not (self.latency.bounds() or self.ttft.bounds() or self.itl.bounds()):
            raise ValueError("the SLO bounds no latency; give one, e.g. latency: {p95: 0.9s}")
        return self


def parse_slo(text: str) -> Slo:
    """An Slo from a flag: comma-separated bounds such as `p95<1.5s, ttft p99<2s, errors<1%, utilization<80%`.

    Raises ValueError with a sentence.
    """
    parts: dict[str, object] = {}
    for clause in filter(None, (piece.strip() for piece in text.split(","))):
        left, less, right = clause.replace("<=", "<").partition("<")
        words = left.replace("_", " ").lower().split()
        if not less or not words or not right.strip():
            raise ValueError(f"{clause!r} is not a bound; write it like 'p95<1.5s' or 'ttft p95<2s'")
        if words in (["errors"], ["error", "rate"], ["utilization"]):
            parts["utilization" if words == ["utilization"] else "error_rate"] = right.strip()
            continue
        metric = words[0] if len(words) == 2 else "latency"
        statistic = words[-1]
        if metric not in ("latency", "ttft", "itl") or statistic not in ("avg", "p50", "p90", "p95", "p99"):
            raise ValueError(
                f"{left.strip()!r} is not something an SLO bounds; known: [latency|ttft|itl] avg|p50|p90|p95|p99, "
                "errors, utilization"
            )
        bounds = parts.setdefault(metric, {})
        assert isinstance(bounds, dict)
        bounds[statistic] = right.strip()
    try:
        return Slo.model_validate(parts)
    except pydantic.ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def format_slo(slo: Slo) -> str:
    """The Slo in the words of `parse_slo`, e.g. `p95<1.5s, errors<1%`."""
    clauses = []
    for metric in ("latency", "ttft", "itl"):
        for statistic, bound_s in getattr(slo, metric).bounds():
            name = statistic if metric == "latency" else f"{metric} {statistic}"
            clauses.append(f"{name}<{quantities.format_duration(bound_s)}")
    clauses.append(f"errors<{quantities.format_share(slo.error_rate)}")
    if slo.utilization is not None:
        clauses.append(f"utilization<{quantities.format_share(slo.utilization)}")
    return ", ".join(clauses)
