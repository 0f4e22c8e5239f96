"""What every load generator is asked to send, and what it said about it."""

from __future__ import annotations

from dataclasses import dataclass

INPUT_TOKENS = 100


@dataclass(frozen=True)
class Load:
    """A load on the near-free server: a closed loop (concurrency) or an open one (rate_per_s), for duration_s.

    first_s: from the request to its first token, or to the whole answer where it does not stream.
    gap_s:   between the tokens of a stream.
    """

    name: str
    duration_s: float
    first_s: float
    concurrency: int | None = None
    rate_per_s: float | None = None
    stream: bool = True
    output_tokens: int = 64
    gap_s: float = 0.010

    @property
    def service_s(self) -> float:
        """How long the server takes over one request, by its parameters."""
        return self.first_s + (self.output_tokens - 1) * self.gap_s

    @property
    def ideal_per_s(self) -> float:
        """Requests per second of a load generator that costs nothing."""
        if self.rate_per_s is not None:
            return self.rate_per_s
        assert self.concurrency is not None
        return self.concurrency / self.service_s

    @property
    def requests(self) -> int:
        """What fills the duration, for tools that are told a number of requests."""
        return max(round(self.ideal_per_s * self.duration_s), self.concurrency or 1)


@dataclass(frozen=True)
class Reported:
    """What a tool wrote in its own result file. TTFT in ms, None for answers that do not stream.

    checks:  streams that it asks for before the load begins.
    skipped: requests at the start of the load that its percentiles leave out.
    warning: what it says itself about the worth of its result.
    """

    requests: int
    failed: int
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    checks: int = 0
    skipped: int = 0
    warning: str = ""
