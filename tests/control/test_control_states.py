from __future__ import annotations

import itertools

import pytest

from holdfast.control.states import MOVES, Event, IllegalMoveError, Phase, move, recall
from holdfast.model.pools import RoutingMode


def test_a_failover_goes_out_and_back_through_every_phase() -> None:
    phase = Phase.COST
    walked = [phase := move(phase, event) for event in (Event.LOSS, Event.LOSS, Event.PROOF, Event.ARRIVAL)]
    assert walked == [Phase.FAILED_OVER, Phase.FAILED_OVER, Phase.FAILING_BACK, Phase.COST]


@pytest.mark.parametrize(("phase", "event"), [pair for pair in itertools.product(Phase, Event) if pair not in MOVES])
def test_every_move_outside_the_table_is_refused(phase: Phase, event: Event) -> None:
    with pytest.raises(IllegalMoveError, match=f"{event.name} cannot happen to a fleet that is in {phase.name}"):
        move(phase, event)


@pytest.mark.parametrize("mode", RoutingMode)
def test_a_recalled_phase_stands_for_the_stored_mode(mode: RoutingMode) -> None:
    assert recall(mode).mode is mode
