"""Weights on their way to the traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from holdfast.simulation.clock import Clock
from holdfast.simulation.routing import Routing
from holdfast.simulation.scenario import DataPlaneModel


def routed(routable: Sequence[bool] = (True, True), **model: Any) -> tuple[Clock, Routing, list[list[float]]]:
    clock, told = Clock(), list[list[float]]()
    data_plane = DataPlaneModel.model_validate({"delay": "5s", **model})
    routing = Routing(
        data_plane,
        ["a", "b"],
        clock,
        weigh=lambda weights: told.append(list(weights)),
        routable=lambda pool: routable[pool],
    )
    routing.begin({"a": 100, "b": 0})
    return clock, routing, told


def test_weights_take_effect_after_the_delay() -> None:
    clock, routing, told = routed()
    routing.apply({"a": 30, "b": 70})
    assert told == [[1, 0]]
    clock.act()
    assert clock.now_s == 5.0
    assert told[-1] == pytest.approx([0.3, 0.7])


def test_sticky_clients_follow_in_their_own_time() -> None:
    clock, routing, told = routed(stickiness={"share": "50%", "lasts": "60s"})
    routing.apply({"a": 0, "b": 100})
    clock.act()
    assert told[-1] == pytest.approx([0.5, 0.5])
    while clock.next_s <= 65.0:
        clock.act()
    assert told[-1][0] == pytest.approx(0.5 / 2.718, abs=0.01)
    while clock.next_s < 1e9:
        clock.act()
    assert told[-1] == [0, 1]


def test_sticky_clients_leave_a_pool_without_replicas() -> None:
    clock, routing, told = routed((False, True), stickiness={"share": "50%", "lasts": "60s"})
    routing.apply({"a": 0, "b": 100})
    clock.act()
    assert told[-1] == pytest.approx([0, 1])
