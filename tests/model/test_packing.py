"""How replicas lie on instances, by the devices of their servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.model.hardware import InstanceType
from holdfast.model.packing import Packing, obstacle, pack
from holdfast.model.unit import DeploymentUnit, Disaggregated

P5, G5 = catalog.instance_type("p5.48xlarge"), catalog.instance_type("g5.48xlarge")


def unit(
    tensor: int, stages: int = 1, *, devices: int | None = None, apart: tuple[int, int] | None = None
) -> DeploymentUnit:
    return DeploymentUnit(
        name="u",
        accelerator="h100",
        instance_type=P5.name,
        framework="vllm",
        tensor_parallel=tensor,
        pipeline_parallel=stages,
        devices=devices,
        disaggregated=None if apart is None else Disaggregated(prefill=apart[0], decode=apart[1]),
    )


@pytest.mark.parametrize(
    "of, replicas_per_instance, instances_per_replica",
    [
        (unit(2), 4, 1),
        (unit(8), 1, 1),
        (unit(3), 2, 1),  # two devices of the instance are left over
        (unit(8, 2), 1, 2),
        (unit(16), 1, 2),  # one group over both
        (unit(16, 2), 1, 4),
        (unit(4, 3), 1, 3),  # as many stages on each: two and one would split a group
        (unit(4, 4), 1, 2),
        (unit(2, 6), 1, 2),  # three stages on each, though one has room for four
        (unit(5, 3), 1, 3),  # two stages of five do not share eight devices
        (unit(2, 8, devices=4), 2, 1),  # as declared, whatever TP x PP is
        (unit(2, apart=(1, 1)), 2, 1),
        (unit(4, apart=(1, 2)), 1, 2),  # three servers of four devices
        (unit(5, apart=(1, 2)), 1, 3),
        (unit(16, apart=(1, 1)), 1, 4),
    ],
)
def test_servers_lie_on_instances_without_a_group_split_over_parts_of_them(
    of: DeploymentUnit, replicas_per_instance: int, instances_per_replica: int
) -> None:
    assert pack(of, P5) == Packing(replicas_per_instance, instances_per_replica)
    assert obstacle(of, P5) == ""


def test_a_group_larger_than_an_instance_fills_several_that_have_efa() -> None:
    assert "fills no whole instances of 8" in obstacle(unit(12), P5)
    assert "by EFA alone" in obstacle(unit(2), catalog.instance_type("g5.xlarge"))
    assert obstacle(unit(16), G5) == ""


@pytest.mark.parametrize(
    "of, instance, why",
    [
        (unit(16).model_copy(update={"framework": "triton"}), P5, "by vLLM on GPUs alone"),
        (unit(8).model_copy(update={"devices": 4}), catalog.instance_type("inf2.xlarge"), "by vLLM on GPUs alone"),
        (unit(8, 3, devices=20), P5, "20 devices are no 3 pipeline stages of the same size"),
    ],
)
def test_a_server_that_nothing_spreads_over_instances_must_fit_one(
    of: DeploymentUnit, instance: InstanceType, why: str
) -> None:
    assert why in obstacle(of, instance)
    assert obstacle(of.model_copy(update={"devices": instance.devices, "pipeline_parallel": 1}), instance) == ""


@given(st.integers(1, 8), st.integers(1, 16))
def test_every_instance_of_a_server_has_as_many_whole_stages(tensor: int, stages: int) -> None:
    of = unit(tensor, stages)
    each, left = divmod(stages, pack(of, P5).instances_per_replica)
    assert left == 0 and each * tensor <= P5.devices


def test_of_an_unknown_instance_type_a_replica_has_one() -> None:
    assert pack(unit(16, 4), None) == Packing()


@given(
    st.integers(1, 24),
    st.integers(1, 8),
    st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(0, 40),
)
def test_instances_have_the_devices_of_their_replicas_and_none_to_spare_for_another(
    tensor: int, stages: int, apart: tuple[int, int] | None, replicas: int
) -> None:
    of = unit(tensor, stages, apart=apart)
    packed = pack(of, P5)

    assert packed.instances(replicas) * P5.devices >= replicas * of.devices_per_replica
    assert packed.spans or packed.replicas_per_instance == P5.devices // of.devices_per_replica
    assert packed.replica_usd_per_h(8.0) * packed.replicas_per_instance == pytest.approx(
        8.0 * packed.instances_per_replica
    )


@pytest.mark.parametrize("counts", [(0, 1), (1, 0), (2, 2)])
def test_no_replica_both_shares_an_instance_and_takes_several(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="never both"):
        Packing(*counts)
