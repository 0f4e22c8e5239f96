"""How far the weights go at this look. The rules are tried in the order of RULES; the first that answers decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.control import scaling, shares
from holdfast.control.look import Look
from holdfast.model.plan import TOTAL_WEIGHT

DEAD_BAND = 5
"""Units of TOTAL_WEIGHT that the weights may be away from their target before they are rewritten.

A rate that wobbles by a few per cent moves the target by as much; 5 of 100 take a quarter of the headroom
of a pool that carries everything at an 80 % target. Within the band a failback has arrived."""


@dataclass(frozen=True)
class Shift:
    """The weights to apply, and why in a clause; `target` is where they are going, None when that is unknown."""

    weights: dict[str, int]
    why: str
    target: dict[str, int] | None = None

    @property
    def arrived(self) -> bool:
        """Whether the weights are at their target, to the dead band."""
        return self.target is not None and shares.distance(self.weights, self.target) <= DEAD_BAND


def shift(look: Look) -> Shift:
    """The weights for this look by the first rule that applies."""
    return next(found for rule in RULES if (found := rule(look)) is not None)


def hold_unseen(look: Look) -> Shift | None:
    """Pools unknown: the data plane keeps what it has, to the letter."""
    if look.observation.pools_known:
        return None
    why = f"the pools were last seen {look.observation.pools_age_s:.0f} s ago" if look.pools else "no pool is known"
    return Shift(dict(look.observation.applied.weights), f"{why}, so the weights are held")


def hold_unavailable(look: Look) -> Shift | None:
    """No ready replica anywhere: any weights would be as good, and these need no rewriting."""
    if look.ready:
        return None
    return Shift(look.standing, "no pool has a ready replica, so traffic has nowhere to go and the weights are held")


def leave_lost_capacity(look: Look) -> Shift | None:
    """A pool carries more than it can while another has room: exactly that moves, at once and all of it."""
    givers = frozenset(pool.name for pool in shares.failing(look))
    if not givers:
        return None
    target = shares.target_weights(look)
    moved = shares.toward(look.standing, target, TOTAL_WEIGHT, givers)
    presumed = "" if look.observation.rate_known else f" at {look.rate_per_s:.4g}/s, presumed as the rate is unknown"
    return Shift(shares.fit(look, moved), f"weight leaves what cannot carry it ({_names(givers)}){presumed}", target)


def hold_without_rate(look: Look) -> Shift | None:
    """Rate unknown, and every pool carries what it has at the rate that is presumed: hold."""
    if look.observation.rate_known:
        return None
    return Shift(look.standing, "the rate is unknown, so the weights are held")


def hold_pace(look: Look) -> Shift | None:
    """The last shift was too recent for another step."""
    if look.now_s >= look.observation.applied.last_shift_s + look.routing.ramp.every_s:
        return None
    return Shift(look.standing, "the last shift must settle first", shares.target_weights(look))


def hold_near(look: Look) -> Shift | None:
    """Within the dead band, every pool warm that shall be, none needlessly crowded or kept: not worth a rewrite."""
    target = shares.target_weights(look)
    if (
        _cold(look, target)
        or _crowded(look, target)
        or _stranded(look, target)
        or shares.distance(look.standing, target) > DEAD_BAND
    ):
        return None
    return Shift(look.standing, "the weights are near their target", target)


def step(look: Look) -> Shift:
    """One step of the ramp toward the target."""
    target = shares.target_weights(look)
    moved = shares.toward(look.standing, target, step_units(look))
    return Shift(shares.fit(look, moved), "the weights follow merit order by steps", target)


def step_units(look: Look) -> int:
    """Units of TOTAL_WEIGHT that one step of the ramp moves, at least 1."""
    return max(1, round(look.routing.ramp.step * TOTAL_WEIGHT))


RULES: tuple[Callable[[Look], Shift | None], ...] = (
    hold_unseen,
    hold_unavailable,
    leave_lost_capacity,
    hold_without_rate,
    hold_pace,
    hold_near,
    step,
)


def _crowded(look: Look, target: dict[str, int]) -> bool:
    """Whether a pool is crowded, and need not be: 5 of 100 fill a small pool."""
    still = {pool.name for pool in shares.overfull(look, target, look.crowded_at)}
    return any(pool.name not in still for pool in shares.overfull(look, look.standing, look.crowded_at))


def _cold(look: Look, target: dict[str, int]) -> bool:
    """Whether a pool has no weight that could be warm without being full."""
    full = look.capacity.utilization_target
    return any(
        target[pool.name] and not look.standing[pool.name] and look.room(pool, target[pool.name], full)
        for pool in look.ready
    )


def _stranded(look: Look, target: dict[str, int]) -> bool:
    """Whether standing weight alone keeps replicas that the rate does not need: after a failover they would stay."""
    due = {pool.name: look.due(pool) for pool in look.pools}
    needed = scaling.covering(look, look.rate_per_s, due)
    return any(
        look.carriers(pool, look.standing[pool.name]) > max(needed[pool.name], look.carriers(pool, target[pool.name]))
        for pool in look.ready
        if pool.lasting > needed[pool.name]
    )


def _names(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
