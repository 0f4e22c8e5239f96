"""What a server has in hand, as its metrics tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Requests on the device and before it. kv_blocks: of the KV cache that running ones refer to, where it is made of
    blocks; kv_share: of the cache's blocks or tokens that are in use, 0..1."""

    running: int
    waiting: int
    kv_blocks: int = 0
    kv_share: float = 0.0
