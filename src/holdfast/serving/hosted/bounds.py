"""What a request may ask for at most, and what the server holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """Of one server.

    max_batch:     requests that the device takes at once; the slots of a text generator.
    max_wait_s:    for which a batch that is not full waits for more, from the arrival of its oldest request.
    max_queued:    requests that may wait beyond the batches in progress; more are answered 429.
    max_body_mib:  of a request.
    max_pixels:    of an image that is sent, by its header, before it is decoded.
    max_tokens:    of a text, or of a prompt and its answer together; None takes the model's own bound.
    max_steps, max_side: denoising steps, and pixels of a side, of an image that is made.
    """

    max_batch: int = 8
    max_wait_s: float = 0.005
    max_queued: int = 256
    max_body_mib: float = 16.0
    max_pixels: int = 40_000_000
    max_tokens: int | None = None
    max_steps: int = 100
    max_side: int = 1024
