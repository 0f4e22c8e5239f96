"""What each pool can have at a moment: bounds on the replicas of a scope, from limits of the scenario and from a CSV.

The CSV has a first line naming the columns, then a row for each change, in the order of time:

    time_s      seconds from the start; or `time`, dates with a time, which count from the first of them
    pool, zone  what the number is of: a pool, a zone, or a pool in a zone; one of the columns may be missing
    available   replicas that can be had there from now on

Public records of spot availability (e.g. those of SkyServe, arXiv:2411.01438) come down to these columns.
"""

from __future__ import annotations

import csv
import datetime
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.model.errors import InputError
from holdfast.simulation.events import Scope

ENDLESS = 1_000_000_000
"""Replicas of a scope that nothing bounds."""


@dataclass(frozen=True)
class Change:
    """From `at_s` on, `available` replicas can be had in the scope."""

    at_s: float
    scope: Scope
    available: int


@dataclass(frozen=True)
class Bound:
    """Of the replicas that may stand in these lots of pools, together: (pool, lot) pairs."""

    lots: frozenset[tuple[int, int]]
    most: int


class Supply:
    """The bounds in force, each under the key of what imposed it."""

    def __init__(self) -> None:
        self._bounds: dict[object, Bound] = {}

    def bound(self, key: object, bound: Bound) -> None:
        self._bounds[key] = bound

    def unbound(self, key: object) -> None:
        del self._bounds[key]

    def free(self, pool: int, lot: int, standing: Sequence[Sequence[int]]) -> int:
        """Replicas that can be had in the lot beside those that stand, by pool and lot."""
        return min(
            (
                max(0, bound.most - sum(standing[p][n] for p, n in bound.lots))
                for bound in self._bounds.values()
                if (pool, lot) in bound.lots
            ),
            default=ENDLESS,
        )

    def allowed(self, pool: int, lots: int) -> int:
        """The most replicas of the pool, alone, that the bounds leave room for: what a planner with foresight had.

        Bounds that overlap in part are taken to be about nested or separate scopes, as zones and pools are.
        """
        mine = frozenset((pool, lot) for lot in range(lots))
        return _most(mine, [(bound.lots & mine, bound.most) for bound in self._bounds.values()])


def _most(lots: frozenset[tuple[int, int]], bounds: list[tuple[frozenset[tuple[int, int]], int]]) -> int:
    narrow = [min([most for scope, most in bounds if scope == frozenset((lot,))], default=ENDLESS) for lot in lots]
    wide = min([most for scope, most in bounds if scope == lots], default=ENDLESS)
    return min(wide, sum(narrow), ENDLESS)


def read(lines: Iterable[str], *, where: str) -> tuple[Change, ...]:
    """The changes in the lines of a CSV file, in the order of time. Raises InputError with file and line."""
    rows = csv.DictReader(lines)
    columns = rows.fieldnames or []
    time = next((name for name in ("time_s", "time") if name in columns), None)
    if time is None or "available" not in columns or not {"pool", "zone"} & set(columns):
        raise InputError(
            "the first line does not name the columns of a supply",
            where=f"{where}:1",
            mend="name time_s (or time), pool or zone or both, and available",
        )
    changes: list[Change] = []
    first_s: float | None = None
    for row in rows:
        place = f"{where}:{rows.line_num}"
        t_s = _time_s(row[time], time, place)
        first_s = t_s if first_s is None else first_s
        scope = Scope(unit=row.get("pool") or None, zone=row.get("zone") or None)
        if scope == Scope():
            raise InputError("the row names neither pool nor zone", where=place, mend="name one")
        at_s = t_s - first_s if time == "time" else t_s
        if changes and at_s < changes[-1].at_s:
            raise InputError("the row is earlier than the one before it", where=place, mend="sort the rows by time")
        changes.append(Change(at_s, scope, _available(row["available"], place)))
    if not changes:
        raise InputError("the file has no row", where=where, mend="give at least one")
    return tuple(changes)


def _time_s(text: str | None, column: str, place: str) -> float:
    try:
        if column == "time_s":
            t_s = float(text or "")
        else:
            moment = datetime.datetime.fromisoformat(text or "")
            t_s = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except ValueError:
        mend = "write seconds" if column == "time_s" else "write a date with a time, or name the column time_s"
        raise InputError(f"the time {text!r} cannot be read", where=place, mend=mend) from None
    if not 0 <= t_s < math.inf:
        raise InputError(f"the time {text!r} is not a time from the start on", where=place, mend="write seconds from 0")
    return t_s


def _available(text: str | None, place: str) -> int:
    count = (text or "").strip()
    if not count.isdecimal() or int(count) > ENDLESS:
        raise InputError(f"{text!r} is not a number of replicas", where=place, mend="write a whole number from 0 on")
    return int(count)
