"""The KV cache as blocks of tokens that sequences refer to, and that stay for others with the same prefix.

As in vLLM V1 (vllm/v1/core/block_pool.py and kv_cache_manager.py): a block that nobody refers to any more is
free, but keeps its content until it is taken again, and blocks are taken in the order in which they became free. A
block that is full gets a name by which a later request finds it; the name covers all tokens up to its end, so that a
request shares a whole prefix or stops sharing there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence


def chain(tokens: Sequence[Hashable], block_size: int) -> tuple[int, ...]:
    """The names of the full blocks of these tokens. They hold within one process, as Python's hash does."""
    names = []
    name = 0
    for end in range(block_size, len(tokens) + 1, block_size):
        name = hash((name, *tokens[end - block_size : end]))
        names.append(name)
    return tuple(names)


class BlockPool:
    """`capacity` blocks, numbered from 0. Every block is referred to, or free; a free one may still have a name."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # Blocks never used are not listed, so that a large cache costs no memory before it is filled.
        self._untouched = 0
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._references: dict[int, int] = {}
        self._by_name: dict[int, int] = {}
        self._names: dict[int, int] = {}

    @property
    def used(self) -> int:
        """Blocks that somebody refers to."""
        return len(self._references)

    @property
    def free(self) -> int:
        return self.capacity - len(self._references)

    @property
    def references(self) -> int:
        """All references together; a block that two share counts twice."""
        return sum(self._references.values())

    def find(self, names: Iterable[int]) -> list[int]:
        """The blocks of the longest prefix that is there."""
        found = []
        for name in names:
            block = self._by_name.get(name)
            if block is None:
                break
            found.append(block)
        return found

    def idle(self, blocks: Iterable[int]) -> int:
        """How many of these nobody refers to: referring to them leaves so many fewer free."""
        return sum(block in self._idle for block in blocks)

    def refer(self, blocks: Iterable[int]) -> None:
        """Refer to blocks that were found."""
        for block in blocks:
            if block in self._idle:
                del self._idle[block]
                self._references[block] = 1
            else:
                self._references[block] += 1

    def take(self, count: int) -> list[int]:
        """So many blocks with nothing in them; at most `free`. What they held is lost, the longest unused first."""
        taken = []
        for _ in range(count):
            if self._untouched < self.capacity:
                block = self._untouched
                self._untouched += 1
            else:
                block, _ = self._idle.popitem(last=False)
                if block in self._names:
                    del self._by_name[self._names.pop(block)]
            self._references[block] = 1
            taken.append(block)
        return taken

    def name(self, block: int, name: int) -> None:
        """Let others find a full block. Of two with the same content the first keeps the name."""
        if name not in self._by_name:
            self._by_name[name] = block
            self._names[block] = name

    def release(self, blocks: Sequence[int]) -> None:
        """Give up one reference to each, the last block of the sequence first: a prefix outlives what followed it."""
        for block in reversed(blocks):
            left = self._references[block] - 1
            if left:
                self._references[block] = left
            else:
                del self._references[block]
                self._idle[block] = None
