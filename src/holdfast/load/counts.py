"""How many requests a level of a sweep has."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """A number of requests: `each` for every one in flight (`10x`), or `each` in all (`500`)."""

    each: int
    per_user: bool = False

    @classmethod
    def parse(cls, text: str) -> Count:
        """Raises ValueError with a sentence."""
        match = re.fullmatch(r"\s*(\d{1,8})\s*([x×]?)\s*", text)
        if match is None:
            raise ValueError(f"{text!r} is no number of requests; write it like '10x' (per request in flight) or '500'")
        return cls(int(match[1]), bool(match[2]))

    def of(self, concurrency: int) -> int:
        return self.each * concurrency if self.per_user else self.each
