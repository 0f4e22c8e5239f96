"""Small problems for the mix, and what holds of an answer worked out without a program.

Two sizes of request at most: then the best traffic is known in closed form (`carries`), by comparative advantage, and
the planner's own linear programs need not be trusted to check it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from holdfast.model.fleet import CapacityType, Loss
from holdfast.planning.mix import Candidate, Mix, Requirement, Supply

Key = tuple[str, str, CapacityType]
Held = Mapping[Key, int]
"""Replicas by unit, zone and capacity type."""

LENIENT = 1e-5
"""What a demand may lack: more than the solver's millionth of a few rows together."""


def unit(name: str, limit_per_s: float, usd_per_h: float, most: int = 20, slots: int = 1, least: int = 0) -> Candidate:
    """A unit that is bought in one way, for requests that are all alike."""
    return Candidate(name, (limit_per_s,), (Supply(usd_per_h),), slots, least, most)


def steady(rate_per_s: float, target: float = 0.8, *survive: Loss) -> Requirement:
    """One rate of requests that are all alike."""
    return Requirement(((rate_per_s,),), target, frozenset(survive))


def held(mix: Mix, period: int = 0) -> dict[Key, int]:
    return {(a.unit, a.zone, a.capacity_type): a.replicas[period] for a in mix.allotments if a.replicas[period]}


def by_unit(mix: Mix, period: int = 0) -> dict[str, int]:
    names = {allotment.unit for allotment in mix.allotments}
    return {name: count for name in sorted(names) if (count := mix.replicas(name, period))}


def carries(
    candidates: Sequence[Candidate], demand: Sequence[float], replicas: Held, share: float, lacking: float = LENIENT
) -> bool:
    """Whether the replicas, filled to a share of their limits, carry the demand in one or two sizes."""
    rooms = [(c.limits_per_s, share * sum(n for key, n in replicas.items() if key[0] == c.unit)) for c in candidates]
    if len(demand) == 1:
        return math.fsum(limits[0] * room for limits, room in rooms) * (1 + lacking) >= demand[0]
    first, second = demand[0] * (1 - lacking), 0.0
    for limits, room in sorted(rooms, key=lambda item: -item[0][0] / item[0][1]):
        taken = min(room, first / limits[0])
        first -= taken * limits[0]
        second += (room - taken) * limits[1]
    return first <= 1e-9 * demand[0] and second >= demand[1] * (1 - lacking)


def losses(candidates: Sequence[Candidate], survive: frozenset[Loss]) -> Iterator[set[Key]]:
    """Every set of supplies that goes at once."""
    groups: dict[tuple[Loss, str], set[Key]] = {}
    for candidate, supply in ((c, s) for c in candidates for s in c.supplies):
        names = {Loss.ZONE: supply.zone, Loss.ACCELERATOR: candidate.accelerator, Loss.POOL: candidate.unit}
        if supply.capacity_type is CapacityType.SPOT:
            names[Loss.SPOT] = f"{candidate.instance_type} {supply.zone}"
        for kind in survive & set(names):
            key = (candidate.unit, supply.zone, supply.capacity_type)
            groups.setdefault((kind, names[kind]), set()).add(key)
    yield from groups.values()


def holds(
    candidates: Sequence[Candidate], asked: Requirement, replicas: Held, period: int = 0, lacking: float = LENIENT
) -> bool:
    """Whether the replicas do all that is asked in the period: limits, demand and every loss."""
    demand = asked.demand_per_s[period]
    for c in candidates:
        own = sum(n for key, n in replicas.items() if key[0] == c.unit)
        if not c.min_replicas <= own <= c.max_replicas:
            return False
        for s in c.supplies:
            there = replicas.get((c.unit, s.zone, s.capacity_type), 0)
            if s.max_replicas is not None and there > s.max_replicas:
                return False
    for quota, vcpus in asked.quotas.items():
        used = [
            s.vcpus * c.instances(replicas.get((c.unit, s.zone, s.capacity_type), 0))
            for c in candidates
            for s in c.supplies
            if s.quota == quota
        ]
        if sum(used) > vcpus:
            return False
    if asked.max_pools is not None and len({key[0] for key, n in replicas.items() if n}) > asked.max_pools:
        return False
    return carries(candidates, demand, replicas, asked.utilization_target, lacking) and all(
        carries(candidates, demand, {key: n for key, n in replicas.items() if key not in gone}, 1.0, lacking)
        for gone in losses(candidates, asked.survive)
    )


def instances(candidates: Sequence[Candidate], replicas: Held) -> dict[Key, int]:
    units = {candidate.unit: candidate for candidate in candidates}
    return {key: units[key[0]].instances(count) for key, count in replicas.items()}


def usd_per_h(candidates: Sequence[Candidate], days: Sequence[Held], period_h: float = 1.0) -> float:
    """Mean cost of the periods, with the starts between them where there is more than one."""
    total = 0.0
    for index, replicas in enumerate(days):
        before = instances(candidates, days[index - 1])
        for key, count in instances(candidates, replicas).items():
            c = next(c for c in candidates if c.unit == key[0])
            s = next(s for s in c.supplies if (s.zone, s.capacity_type) == key[1:])
            started = max(0, count - before.get(key, 0)) if len(days) > 1 else 0
            total += s.instance_usd_per_h * (count * period_h + started * c.startup_s / 3600)
    return total / (len(days) * period_h)


def is_cheapest(candidates: Sequence[Candidate], asked: Requirement, mix: Mix) -> bool:
    """Whether brute force over all mixes agrees, strictly or with what a demand may lack."""
    if not mix.feasible:
        return math.isinf(_least(candidates, asked, 1e-9))
    lenient, strict = _least(candidates, asked, LENIENT), _least(candidates, asked, 1e-9)
    return lenient * (1 - 1e-6) <= mix.cost_usd_per_h <= strict * (1 + 1e-6)


def _least(candidates: Sequence[Candidate], asked: Requirement, lacking: float) -> float:
    """The least mean cost over all mixes, infinite when none holds."""
    supplies = [(c, s) for c in candidates for s in c.supplies]
    keys = [(c.unit, s.zone, s.capacity_type) for c, s in supplies]
    counts = itertools.product(*(range(c.max_replicas + 1) for c, _ in supplies))
    mixes = [dict(zip(keys, choice, strict=True)) for choice in counts]
    periods = [[m for m in mixes if holds(candidates, asked, m, t, lacking)] for t in range(len(asked.demand_per_s))]
    days = (day for day in itertools.product(*periods) if _few_pools(day, asked.max_pools))
    return min((usd_per_h(candidates, day, asked.period_h) for day in days), default=math.inf)


def _few_pools(day: Sequence[Held], most: int | None) -> bool:
    return most is None or len({key[0] for replicas in day for key, count in replicas.items() if count}) <= most


@st.composite
def fleets(
    draw: st.DrawFn, *, units: int = 4, most: int = 12, zones: int = 1, ways: int = 1, sizes: int = 1
) -> list[Candidate]:
    """Units of up to two accelerators, each in all zones and up to so many capacity types; some share an instance, of
    some a replica takes several."""
    kinds = [CapacityType.ON_DEMAND, CapacityType.SPOT][:ways]
    packings = [draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)])) for _ in range(units)]
    places = [(f"z{index}" if zones > 1 else "", kind) for index in range(zones) for kind in kinds]
    return [
        Candidate(
            unit=f"u{index}",
            limits_per_s=tuple(draw(st.floats(0.2, 12)) for _ in range(sizes)),
            supplies=tuple(
                Supply(draw(st.floats(0.1, 20)), zone, kind, quota="G", vcpus=draw(st.sampled_from([4, 8, 48])))
                for zone, kind in places
            ),
            replicas_per_instance=packings[index][0],
            instances_per_replica=packings[index][1],
            max_replicas=draw(st.integers(1, most)),
            accelerator=f"a{index % 2}",
            instance_type=f"i{index // 2}",
            startup_s=draw(st.sampled_from([0.0, 240.0, 5400.0])),
        )
        for index in range(draw(st.integers(1, units)))
    ]


@st.composite
def requirements(
    draw: st.DrawFn,
    *,
    kinds: Sequence[Loss] = (Loss.POOL,),
    periods: int = 1,
    sizes: int = 1,
    highest: float = 60.0,
    bounded: bool = False,
) -> Requirement:
    """Demand of up to `highest` requests/s; with quotas and a number of pools where `bounded`."""
    rate = st.floats(0.1, highest / sizes)
    asked = Requirement(
        demand_per_s=tuple(tuple(draw(rate) for _ in range(sizes)) for _ in range(draw(st.integers(1, periods)))),
        utilization_target=draw(st.floats(0.3, 1.0)),
        survive=frozenset(draw(st.lists(st.sampled_from(list(kinds)), max_size=2))) if kinds else frozenset(),
    )
    if not bounded:
        return asked
    return replace(
        asked,
        max_pools=draw(st.none() | st.integers(1, 3)),
        quotas=draw(st.just({}) | st.fixed_dictionaries({"G": st.integers(0, 400)})),
    )
