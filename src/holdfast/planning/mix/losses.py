"""What may be lost at once: the supplies that go with a zone, an accelerator family, a spot pool or a unit."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from holdfast.model.fleet import CapacityType, Loss
from holdfast.planning.mix.problem import Candidate, Problem, Supply


@dataclass(frozen=True)
class Event:
    """One loss: its kind, what is lost in words, and the supplies that go (indices)."""

    kind: Loss
    name: str
    supplies: tuple[int, ...]


def events(problem: Problem) -> tuple[Event, ...]:
    """The losses that the requirement names, without those that a larger one covers.

    A fleet that survives the loss of all A10Gs survives the loss of any unit on A10Gs: what is left of it is more.
    """
    groups: dict[tuple[Loss, str], list[int]] = defaultdict(list)
    for index, (candidate, supply) in enumerate(problem.supplies):
        for kind in Loss:
            name = _name(kind, candidate, supply)
            if kind in problem.requirement.survive and name:
                groups[kind, name].append(index)
    found = [Event(kind, name, tuple(members)) for (kind, name), members in groups.items()]
    kept: list[Event] = []
    for event in sorted(found, key=lambda event: -len(event.supplies)):
        if not any(set(event.supplies) <= set(larger.supplies) for larger in kept):
            kept.append(event)
    return tuple(sorted(kept, key=lambda event: (list(Loss).index(event.kind), event.supplies[0])))


def _name(kind: Loss, candidate: Candidate, supply: Supply) -> str:
    if kind is Loss.ZONE:
        return f"zone {supply.zone}" if supply.zone else ""
    if kind is Loss.ACCELERATOR:
        return f"every {candidate.accelerator}" if candidate.accelerator else ""
    if kind is Loss.SPOT:
        if supply.capacity_type is not CapacityType.SPOT:
            return ""
        return f"spot {candidate.instance_type}{f' in {supply.zone}' if supply.zone else ''}"
    return candidate.unit
