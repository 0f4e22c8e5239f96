"""By what right an operator acts: the leadership that it holds, or, on trial, none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.kube.leases import Leadership


@dataclass(frozen=True)
class Office:
    """Asked before every write.

    leads:    whether we may act now.
    term:     to stamp a route with that bears the given one.
    outlived: called with the term of a route that is later than ours.
    acts:     False on trial: all is thought through, and nothing is written.
    """

    leads: Callable[[], bool]
    term: Callable[[int], int]
    outlived: Callable[[int], None]
    acts: bool = True


def held(leadership: Leadership, clock: Callable[[], float]) -> Office:
    """Of who was elected. A later term than ours while we lead: the Lease was deleted, and counting began anew."""
    return Office(lambda: leadership.leads(clock()), lambda _: leadership.term, leadership.surpass)


ON_TRIAL = Office(lambda: True, lambda found: found, lambda _: None, acts=False)
"""`--dry-run`: no Lease is asked for, so that it disturbs no operator that acts."""
