"""What a model server publishes on /metrics: vLLM's names where the meaning is the same, else holdfast's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Labels:
    """On every sample, so that fleets can be told apart: unit of the fleet document, model, device, node pool."""

    unit: str
    model: str
    device: str
    node_pool: str


@dataclass(frozen=True)
class Occupancy:
    """Requests on the device and before it; kv_share: of the cache's tokens that are in use, 0..1."""

    running: int
    waiting: int
    kv_share: float = 0.0


class Published:
    """Counts are plain numbers that the event loop writes; shown at the scrape."""

    def __init__(self, labels: Labels, *, has_tokens: bool) -> None:
        raise NotImplementedError

    def watch(self, occupancy: Callable[[], Occupancy]) -> None:
        """Read what is in hand through this at every scrape."""

    def batch_ran(self, size: int, seconds: float, tokens: int = 0) -> None:
        """One pass of the device: its requests, how long it took, and tokens made and prefilled in it."""

    def began(self, queued_s: float) -> None:
        """A request left the queue for the device after so long."""

    def first_token(self, seconds: float, prompt_tokens: int) -> None:
        """Since it arrived."""

    def token_gap(self, seconds: float) -> None:
        """Between two tokens of one answer."""

    def ended(
        self,
        finish_reason: str,
        latency_s: float,
        inference_s: float,
        *,
        prompt_tokens: int = 0,
        output_tokens: int = 0,
    ) -> None:
        """A request got all of its answer; finish_reason: stop, length, abort (the client left)."""

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """An HTTP answer ended, on any path; route: the template, or "other" for a path that is not served."""

    def exposition(self) -> bytes:
        """Everything, in the Prometheus text format."""
        raise NotImplementedError
