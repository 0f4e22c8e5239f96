"""A shard: the part of a load that one process sends, when several send it together.

A shard is told the whole load and takes its own part of it, so that no process has to tell another what to send:

    open loop    of the intended times t0, t1, t2, ... shard i of n sends t(i), t(i + n), t(i + 2n), ...
    closed loop  of the users 0, 1, 2, ... shard i of n plays i, i + n, i + 2n, ...

The parts are disjoint, together they are the whole, and a shard can be split again: the parts of a part are
parts of the whole.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.model.records import Floats


@dataclass(frozen=True)
class Shard:
    """Shard `index` of `count`; indices count from 0, as JOB_COMPLETION_INDEX does. `0/1` is the whole."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 10_000:
            raise ValueError(f"a load has 1 to 10,000 shards, not {self.count}")
        if not 0 <= self.index < self.count:
            raise ValueError(f"the shards of {self.count} are 0 to {self.count - 1}, not {self.index}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Reads `0/4`. Raises ValueError with a sentence."""
        match = re.fullmatch(r"\s*(\d{1,5})\s*/\s*(\d{1,5})\s*", text)
        if match is None:
            raise ValueError(f"{text!r} is not a shard; write it like '0/4', the first of four")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def name(self) -> str:
        """`shard 0 of 4`."""
        return f"shard {self.index} of {self.count}"

    @property
    def whole(self) -> bool:
        return self.count == 1

    def split(self, count: int) -> tuple[Shard, ...]:
        """`count` shards that together are this one."""
        return tuple(Shard(self.index + self.count * part, self.count * count) for part in range(count))

    def times(self, times_s: Floats) -> Floats:
        """This shard's part of intended start times, shape (n,), in their order."""
        return times_s[self.index :: self.count]

    def lengths(self, lengths: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """This shard's part of what is asked at those times."""
        return itertools.islice(lengths, self.index, None, self.count)

    def bound(self, most: int) -> int:
        """Its part of a bound on the number in flight: at least 1, and 0 for no bound."""
        return max(1, self.users(most)) if most else 0

    def users(self, concurrency: int) -> int:
        """How many of a closed loop's users are this shard's; 0 when there are fewer users than shards."""
        return len(range(self.index, concurrency, self.count))

    def requests(self, requests: int, concurrency: int) -> int:
        """How many of a closed loop's requests are this shard's: each user sends as many as every other, or one more.

        By user and not by shard, so that shards with more users do not run dry before the others.
        """
        rounds, rest = divmod(requests, concurrency)
        return self.users(concurrency) * rounds + self.users(rest)

    def seed(self, seed: int, part: int = 0) -> int:
        """The seed of this shard's prompts: no two shards, or `part`s of a run, ask the same.

        The whole has the seed itself. part: 0, or for a run that was resumed a number above 0.
        """
        if self.whole and part == 0:
            return seed
        import numpy as np  # only here: flags name shards, and `--help` need not wait for it

        return int(np.random.SeedSequence([seed, self.index, self.count, part]).generate_state(1)[0] >> 1)


WHOLE = Shard()
