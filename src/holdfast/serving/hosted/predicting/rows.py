"""How many inputs a device is given at once: as many as there are, or a number that it knows."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device

T = TypeVar("T")


class Counts(enum.Enum):
    """Of rows that a device may be given."""

    ANY = "any"
    POWERS_OF_TWO = "powers of two"
    FIXED = "fixed"


@dataclass(frozen=True)
class Rows:
    """most: inputs of a batch; counts: the numbers of rows up to it that are run."""

    most: int
    counts: Counts

    @classmethod
    def of(cls, device: Device, shapes: Mapping[str, int] | None, bounds: Bounds) -> Rows:
        """Fixed where the model was compiled for one batch size. torch.compile gets powers of two: few enough to be
        warmed up, so that nobody waits for a compiler."""
        if shapes:
            return cls(shapes["batch_size"], Counts.FIXED)
        return cls(bounds.max_batch, Counts.POWERS_OF_TWO if device.framework == "compile" else Counts.ANY)

    def filled(self, batch: Sequence[T]) -> list[T]:
        """The inputs of a batch, the last of them repeated up to a number of rows that is run."""
        return [*batch, *[batch[-1]] * (self._run(len(batch)) - len(batch))]

    def to_warm(self) -> list[int]:
        """Numbers of rows to be run before the server is ready, the largest first: it is the one that may not fit."""
        if self.counts is Counts.ANY:
            return sorted({self.most, 1}, reverse=True)
        return sorted({self._run(inputs) for inputs in range(1, self.most + 1)}, reverse=True)

    def _run(self, inputs: int) -> int:
        match self.counts:
            case Counts.ANY:
                return inputs
            case Counts.POWERS_OF_TWO:
                return min(self.most, 1 << (inputs - 1).bit_length())
            case Counts.FIXED:
                return self.most
