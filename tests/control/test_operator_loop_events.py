"""What the Cluster Autoscaler and the scheduler say in Events moves traffic."""

from __future__ import annotations

import pytest

from control.operator_scene import SPACE, Scene, killed, operate, rest, run
from control.test_operator_loop_rights import on_nodes
from holdfast.kube import kinds
from holdfast.kube.kinds import Object
from holdfast.model import instants
from holdfast.model.cluster import Nodes

GROUP = "eks-inference-sd21-g5-triton-0ac7f3d2-1c4e-11ee-be56-0242ac120002"
POD = "sd21-g5-triton-5d9f7c6b8-abcde"
BACKOFF = "pod didn't trigger scale-up: 1 in backoff after failed scale-up"


def event(reason: str, note: str, kind: str, name: str, namespace: str, at_s: float) -> Object:
    """As who writes core/v1 Events has them read."""
    return {
        "apiVersion": kinds.EVENT.api_version,
        "kind": kinds.EVENT.kind,
        "metadata": {"name": f"{name}.1", "namespace": namespace},
        "reason": reason,
        "note": note,
        "type": "Warning",
        "regarding": {"kind": kind, "name": name, "namespace": namespace, "apiVersion": "v1"},
        "eventTime": f"{instants.rfc3339(at_s).removesuffix('Z')}.000000Z",
        "reportingController": "test",
        "reportingInstance": "test",
        "action": "Waits",
    }


@pytest.mark.parametrize(
    ("namespace", "said"),
    [
        ("kube-system", ("FailedToScaleUpGroup", f"{GROUP}: UnfulfillableCapacity", "ConfigMap", "status")),
        (SPACE, ("NotTriggerScaleUp", BACKOFF, "Pod", POD)),
    ],
)
def test_weights_leave_a_pool_that_the_autoscaler_cannot_grow(namespace: str, said: tuple[str, str, str, str]) -> None:
    plan = on_nodes(Nodes.NODE_GROUPS)

    async def story() -> tuple[str, str]:
        scene = Scene()
        await scene.declare(plan)
        await scene.pods(plan, "inf2-neuron", 6)
        await scene.pods(plan, "g5-triton", 1)
        task = await operate(scene.operator())
        await rest(10)
        before = await scene.condition("Degraded")
        reason, note, kind, name = said
        await scene.people.create(kinds.EVENT, event(reason, note, kind, name, namespace, scene.clock()), namespace)
        await rest(2)
        after = await scene.condition("Degraded")
        await killed(task)
        return before, after

    assert run(story()) == ("False AsPlanned", "True PoolShort")
