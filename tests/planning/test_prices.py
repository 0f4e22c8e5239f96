"""What a replica costs, by who states the price."""

from dataclasses import replace

import pytest

from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.measurements import Measurement
from holdfast.planning.prices import packing, priced_rows, replica_price


def test_two_replicas_of_four_devices_share_an_instance_of_eight(
    fleet: InferenceFleet, hardware: dict[str, InstanceType], offerings: dict[str, Offering]
) -> None:
    price = replica_price(fleet.unit("quad"), None, offerings["quad"], hardware["quad"])

    assert (price.usd_per_h, price.packing.replicas_per_instance) == (8.0, 2)
    assert (
        price.source == "family ratio, 2026-07-20, us-west-2, on-demand, an estimate; 2 replicas share one g5.48xlarge"
    )


def test_devices_that_no_replica_uses_are_named_as_waste(
    fleet: InferenceFleet, hardware: dict[str, InstanceType], offerings: dict[str, Offering]
) -> None:
    six = replace(hardware["quad"], devices=6)

    price = replica_price(fleet.unit("quad"), None, offerings["quad"], six)

    assert price.usd_per_h == 16.0
    assert "2 of its 6 devices unused" in price.source


def test_the_fleet_document_outranks_the_row_and_the_row_the_offering(
    fleet: InferenceFleet, hardware: dict[str, InstanceType], offerings: dict[str, Offering]
) -> None:
    unit, row = fleet.unit("single"), Measurement(row=7, unit="single", price_usd_per_h=2.0)
    declared = unit.model_copy(update={"price_usd_per_h": 3.0})

    found = [
        replica_price(unit, None, offerings["single"], hardware["single"]),
        replica_price(unit, row, offerings["single"], hardware["single"]),
        replica_price(declared, row, offerings["single"], hardware["single"]),
    ]

    assert [price.usd_per_h for price in found] == [1.0, 2.0, 3.0]
    assert [price.source for price in found] == [
        "price page, 2026-07-20, us-west-2, on-demand",
        "line 7 of the measurements",
        "price of the fleet document",
    ]


@pytest.mark.parametrize(
    "replicas, row_price, per_replica",
    [
        (None, 16.0, 8.0),  # the price of the instance, which holds two
        (1, 16.0, 8.0),  # one replica was measured, and its instance still holds two
        (2, 16.0, 8.0),
        (3, 32.0, 8.0),  # three need two instances
    ],
)
def test_a_row_states_the_price_of_the_instances_that_hold_its_replicas(
    fleet: InferenceFleet,
    hardware: dict[str, InstanceType],
    replicas: int | None,
    row_price: float,
    per_replica: float,
) -> None:
    row = Measurement(row=2, unit="quad", replicas=replicas, price_usd_per_h=row_price)

    assert replica_price(fleet.unit("quad"), row, None, hardware["quad"]).usd_per_h == per_replica


def test_a_unit_that_nobody_prices_is_refused_with_the_mend(
    fleet: InferenceFleet, hardware: dict[str, InstanceType]
) -> None:
    with pytest.raises(InputError, match=r"unit 'single' has no price; give its price, e.g. price: \$1.006/h"):
        replica_price(fleet.unit("single"), None, None, hardware["single"])


def test_a_replica_that_does_not_fit_its_instance_is_refused(
    fleet: InferenceFleet, hardware: dict[str, InstanceType]
) -> None:
    with pytest.raises(InputError, match=r"needs 4 devices and g5\.xlarge has 1"):
        packing(fleet.unit("quad"), hardware["single"])


def test_an_instance_type_that_nobody_knows_is_said_to_be_assumed(
    fleet: InferenceFleet, offerings: dict[str, Offering]
) -> None:
    price = replica_price(fleet.unit("quad"), None, offerings["quad"], None)

    assert (price.usd_per_h, price.packing.replicas_per_instance) == (16.0, 1)
    assert "g5.48xlarge is not in the catalogue, so one replica per instance is assumed" in price.source


def test_rows_without_a_price_get_that_of_the_instances_they_need(
    fleet: InferenceFleet, hardware: dict[str, InstanceType], offerings: dict[str, Offering]
) -> None:
    rows = (
        Measurement(row=2, unit="single", rate_per_s=1.0),
        Measurement(row=3, unit="quad", rate_per_s=1.0, replicas=3),
        Measurement(row=4, unit="stranger", rate_per_s=1.0),
    )

    assert [row.price_usd_per_h for row in priced_rows(fleet, rows, offerings, hardware)] == [1.0, 32.0]
    assert [row.price_usd_per_h for row in priced_rows(fleet, rows, {}, hardware)] == [None, None]


def over_nodes(fleet: InferenceFleet, stages: int) -> DeploymentUnit:
    """Stages of 4 devices each, on instances of 8."""
    return fleet.unit("quad").model_copy(update={"pipeline_parallel": stages})


@pytest.mark.parametrize(
    "stages, nodes, said", [(2, 1, ""), (4, 2, ""), (3, 3, ", 12 of their 24 devices unused"), (16, 8, "")]
)
def test_a_replica_over_k_nodes_costs_k_instances(
    fleet: InferenceFleet,
    hardware: dict[str, InstanceType],
    offerings: dict[str, Offering],
    stages: int,
    nodes: int,
    said: str,
) -> None:
    price = replica_price(over_nodes(fleet, stages), None, offerings["quad"], hardware["quad"])

    assert (price.usd_per_h, price.packing.instances_per_replica) == (nodes * 16.0, nodes)
    assert price.source.endswith(f"; {nodes} g5.48xlarge to a replica{said}" if nodes > 1 else "an estimate")


def test_a_row_of_replicas_over_nodes_states_the_price_of_all_of_them(
    fleet: InferenceFleet, hardware: dict[str, InstanceType]
) -> None:
    row = Measurement(row=2, unit="quad", replicas=3, price_usd_per_h=96.0)

    price = replica_price(over_nodes(fleet, 4), row, None, hardware["quad"])

    assert price.usd_per_h == 32.0  # three replicas on six instances


def test_a_group_over_nodes_without_efa_is_refused(fleet: InferenceFleet, hardware: dict[str, InstanceType]) -> None:
    sixteen = fleet.unit("quad").model_copy(update={"tensor_parallel": 16})

    with pytest.raises(
        InputError, match=r"needs 16 devices and g5\.48xlarge has 8; a tensor-parallel group goes .* EFA"
    ):
        packing(sixteen, hardware["quad"])
    assert packing(sixteen, replace(hardware["quad"], efa_interfaces=1)).instances_per_replica == 2
