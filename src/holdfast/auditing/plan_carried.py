"""How much traffic of several sizes replicas carry, with a proof, and without the planner or its solver.

N_u replicas of unit u give parts f_ub of their time to size b. Of a mixture with shares w_b they carry

    at least   min_b  sum_u N_u L_ub f_ub / w_b            for any parts f >= 0 with sum_b f_ub <= 1,
    at most    sum_u N_u max_b(p_b L_ub) / sum_b p_b w_b   for any prices p >= 0 of a request of each size

(weak duality). Whoever proposes parts and prices need not be trusted: both sides are worked out from the limits L. They
are proposed by the simplex method (Dantzig 1951, in Koopmans, Activity Analysis of Production and Allocation) on

    maximise theta   subject to   theta - sum_u (N_u L_ub / w_b) f_ub <= 0,   sum_b f_ub <= 1,   f >= 0.

Few mixtures of replicas need a proposal of their own: what was proposed for another one is tried first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_MOVED = 1e-10
"""How far the zeros on the right-hand side are moved apart, so that every step gains something and none is repeated."""

_TINY = 1e-11
"""Below which a number of the tableau is rounding."""


@dataclass
class Carrying:
    """Units with their limits by size (units, sizes), all above 0, and the shares of the sizes, which add up to 1.

    Keeps the parts and prices that were proposed.
    """

    limits_per_s: Floats
    shares: Floats
    _parts: list[Floats] = field(default_factory=list)
    _prices: list[Floats] = field(default_factory=list)

    def between_per_s(self, replicas: Sequence[int], asked_per_s: float) -> tuple[float, float]:
        """What so many replicas of each unit carry at their limits, in requests/s of the mixture: surely, and at most.

        The two are equal but for rounding, or on the same side of what is asked.
        """
        held = np.array(replicas, dtype=float)
        low = max((self._least_per_s(held, parts) for parts in self._parts), default=0.0)
        high = min((self._most_per_s(held, prices) for prices in self._prices), default=np.inf)
        if low >= asked_per_s or high < asked_per_s or not held.any():
            return low, high if held.any() else 0.0
        parts, prices = _proposed(held, self.limits_per_s, self.shares)
        self._parts.append(parts)
        self._prices.append(prices)
        return max(low, self._least_per_s(held, parts)), min(high, self._most_per_s(held, prices))

    def _least_per_s(self, held: Floats, parts: Floats) -> float:
        carried = held @ (self.limits_per_s * parts)
        asked = self.shares > 0
        return float((carried[asked] / self.shares[asked]).min())

    def _most_per_s(self, held: Floats, prices: Floats) -> float:
        return float(held @ (self.limits_per_s * prices).max(axis=1) / (prices @ self.shares))


def _proposed(held: Floats, limits_per_s: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Parts (units, sizes) and prices by size; nearly the best of both, if rounding is kind."""
    used, asked = np.flatnonzero(held), np.flatnonzero(shares)
    rates = held[used, None] * limits_per_s[np.ix_(used, asked)]
    scale = float(rates.max(axis=1).sum())
    units, sizes = rates.shape
    rows, columns = sizes + units, 1 + units * sizes
    # The last row is what each column gains, the last column the right-hand side; slack columns stand between.
    tableau = np.zeros((rows + 1, columns + rows + 1))
    tableau[:sizes, 0] = 1.0
    at = 1 + np.arange(units * sizes).reshape(units, sizes)
    tableau[np.arange(sizes)[None, :], at] = -rates / scale / shares[asked]
    tableau[sizes + np.arange(units)[:, None], at] = 1.0
    tableau[np.arange(rows), columns + np.arange(rows)] = 1.0
    tableau[:sizes, -1] = _MOVED * (1 + np.arange(sizes) / sizes)
    tableau[sizes:rows, -1] = 1.0
    tableau[rows, 0] = 1.0
    basis = columns + np.arange(rows)
    for _ in range(20 * (rows + columns)):
        entering = int(tableau[rows, :-1].argmax())
        if tableau[rows, entering] <= _TINY:
            break
        column = tableau[:rows, entering]
        ratios = np.divide(tableau[:rows, -1], column, out=np.full(rows, np.inf), where=column > _TINY)
        leaving = int(ratios.argmin())
        tableau[leaving] /= tableau[leaving, entering]
        others = tableau[:, entering].copy()
        others[leaving] = 0.0
        tableau -= others[:, None] * tableau[leaving]
        basis[leaving] = entering
    values = np.zeros(columns + rows)
    values[basis] = np.maximum(tableau[:rows, -1], 0.0)
    parts, prices = np.zeros_like(limits_per_s), np.zeros(len(shares))
    found = values[1:columns].reshape(units, sizes)
    parts[np.ix_(used, asked)] = found / np.maximum(found.sum(axis=1, keepdims=True), 1.0)
    prices[asked] = np.maximum(-tableau[rows, columns : columns + sizes], 0.0) / shares[asked]
    return parts, prices if prices.any() else shares.copy()
