"""Hours of a large fleet to which everything happens: no decision breaks a promise (benchmarks/invariants.py: days)."""

from __future__ import annotations

import pytest
from benchmarks import invariants

from holdfast.control.policies import POLICIES


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_no_decision_breaks_a_promise_whatever_befalls_five_pools(policy: str) -> None:
    (outcome,) = invariants.days(range(1), 1.0, policy)
    assert outcome.violations == ()
    assert outcome.looks > (100 if POLICIES[policy].look_every_s is None else 10)
    assert outcome.offered > 1000
