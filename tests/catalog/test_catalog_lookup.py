"""Finding things by name, and what is said when they are not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType


@pytest.mark.parametrize("name", ["a10g", "A10G", "l4", "L40S", "inferentia2", "Trainium", "trainium2", " h100 "])
def test_accelerators_are_found_whatever_their_case(name: str) -> None:
    assert catalog.accelerator(name).name == name.strip().lower()


@given(st.data())
def test_every_name_finds_its_own_value(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(catalog.instance_types()))
    assert catalog.instance_type(kind.name.upper()) is kind
    assert kind in catalog.instance_types(kind.accelerator)


def test_an_unknown_accelerator_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(InputError, match="no accelerator 'inferntia2'; did you mean inferentia2"):
        catalog.accelerator("inferntia2")


def test_the_a100_must_say_how_much_memory_it_has() -> None:
    with pytest.raises(InputError, match="a100-40gb or a100-80gb"):
        catalog.accelerator("a100")


def test_a_name_like_no_other_is_answered_with_all_names() -> None:
    with pytest.raises(InputError, match=r"known: t4, a10g, .*trainium3"):
        catalog.accelerator("zzz")


def test_an_unknown_instance_type_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(InputError, match=r"g5\.xlarge"):
        catalog.instance_type("g5.xxlarge")


def test_offerings_are_narrowed_by_region_and_accelerator() -> None:
    found = catalog.offerings(region="us-west-2", accelerator="l4")
    assert found
    assert {offer.region for offer in found} == {"us-west-2"}
    assert {catalog.instance_type(offer.instance_type).accelerator for offer in found} == {"l4"}
    assert len(found) < len(catalog.offerings(accelerator="l4")) < len(catalog.offerings())


def test_an_unknown_region_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(InputError, match="us-west-2"):
        catalog.offerings(region="us-west2")


def test_on_demand_and_spot_prices_are_told_apart() -> None:
    on_demand = catalog.price("g5.xlarge", "us-west-2", CapacityType.ON_DEMAND)
    spot = catalog.price("g5.xlarge", "us-west-2", CapacityType.SPOT)
    assert (on_demand.price_usd_per_h, spot.price_usd_per_h) == (1.006, 0.5445)
    assert not on_demand.estimated


def test_a_derived_price_is_marked_as_an_estimate() -> None:
    assert catalog.price("inf2.xlarge", "us-west-2", CapacityType.ON_DEMAND).estimated


def test_a_missing_price_says_where_there_is_one_and_how_to_give_it() -> None:
    with pytest.raises(InputError, match=r"trn1\.2xlarge in us-west-2 \(it has one in us-east-1\); set `price:`"):
        catalog.price("trn1.2xlarge", "us-west-2", CapacityType.ON_DEMAND)
    with pytest.raises(InputError, match=r"reserved price .*nor in any other region"):
        catalog.price("g5.xlarge", "us-west-2", CapacityType.RESERVED)


def test_tables_show_what_the_filters_leave() -> None:
    devices, kinds, prices = catalog.tables(accelerator="L4", region="us-west-2")
    assert devices.column("accelerator") == ("l4",)
    assert set(kinds.column("accelerator")) == {"l4"}
    assert set(prices.column("region")) == {"us-west-2"}
    assert "estimate" in prices.column("figure")
    assert any("estimate" in note for note in prices.notes)


def test_tables_without_filters_show_everything() -> None:
    devices, kinds, prices = catalog.tables()
    assert len(devices.rows) == len(catalog.accelerators())
    assert len(kinds.rows) == len(catalog.instance_types())
    assert len(prices.rows) == len(catalog.offerings())


def test_tables_refuse_an_unknown_accelerator() -> None:
    with pytest.raises(InputError, match="no accelerator"):
        catalog.tables(accelerator="l5")
