"""Why an object is written, as the log says it."""

from __future__ import annotations

import pytest

from control.operator_scene import SPACE
from control.test_operator_loop_act import Desk, on_desk, one, route, scaler
from holdfast.control.operator.keeping import changed, drift
from holdfast.kube import kinds
from holdfast.kube.kinds import Object


def why(wanted: Object, before: Object) -> str:
    """Of writing `wanted` over what `before` was applied as."""

    async def story(desk: Desk) -> str:
        await desk.write(before)
        live = next(iter((await desk.live()).values()))
        found = drift.of(wanted, live)
        assert found is not None
        return changed.text(wanted, live, found)

    said: str = on_desk(story)
    return said


@pytest.mark.parametrize(
    ("wanted", "before", "said"),
    [
        (route(30), route(70), "weights of a 70 -> 30"),
        (route(30, term=2), route(30), "term of the leader 1 -> 2"),
        (route(30, term=2), route(70), "weights of a 70 -> 30, term of the leader 1 -> 2"),
        (scaler(2), scaler(5), "minReplicaCount 5 -> 2"),
    ],
)
def test_an_intended_change_is_told_by_its_figures(wanted: Object, before: Object, said: str) -> None:
    assert why(wanted, before) == said


def test_a_change_without_figures_is_said_to_be_of_what_is_declared() -> None:
    before, wanted = (one(kinds.SERVICE_ACCOUNT, "x", {}, note=note) for note in ("old", "new"))
    assert why(wanted, before) == "what is declared has changed since it was applied"


def test_lines_of_two_fleets_of_one_name_can_be_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    on_desk(lambda desk: desk.write(route(1)))
    told = [vars(line) for line in caplog.records if line.message == "applied"]
    assert [(line["object"], line["namespace"]) for line in told] == [("Ingress/sd21", SPACE)]
