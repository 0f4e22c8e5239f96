"""The figures are consistent with each other and with what was published."""

from __future__ import annotations

import csv
import importlib.resources
from datetime import date
from pathlib import Path

import pytest

from holdfast import catalog
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import Accelerator, InstanceType, Offering

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "instances.csv"

PUBLISHED = {
    # AWS samples, scalable-hw-agnostic-inference, table 1 (deployment unit cost of inference).
    "inf2.xlarge": 0.7582,
    "trn1.2xlarge": 1.3438,
    "g5.xlarge": 1.0060,
    "g6.xlarge": 0.8048,
    # AWS EKS LLM Performance Test, instance specifications, "as of August 2025".
    "g5.8xlarge": 2.448,
    "g5.12xlarge": 5.672,
    "g5.48xlarge": 16.288,
}
"""US dollars per hour, on demand in us-east-1."""


@pytest.mark.parametrize("device", catalog.accelerators(), ids=lambda device: device.name)
def test_an_accelerator_has_positive_figures_and_a_source(device: Accelerator) -> None:
    assert device.memory_gib > 0
    assert device.cores_per_device >= 1
    assert all(
        figure is None or figure > 0
        for figure in (device.memory_gb_per_s, device.bf16_dense_tflops, device.link_gb_per_s)
    )
    assert device.source
    assert device.confidence in ("high", "medium", "low")
    assert device.name == device.name.lower()


@pytest.mark.parametrize("device", catalog.accelerators(), ids=lambda device: device.name)
def test_an_accelerator_is_advertised_by_its_vendors_plugin(device: Accelerator) -> None:
    expected = {"nvidia": "nvidia.com/gpu", "aws": "aws.amazon.com/neuron"}
    assert device.resource_name == expected[device.vendor]


@pytest.mark.parametrize("kind", catalog.instance_types(), ids=lambda kind: kind.name)
def test_an_instance_type_fits_its_accelerator(kind: InstanceType) -> None:
    device = catalog.accelerator(kind.accelerator)
    assert kind.family in device.families
    assert kind.resource_name == device.resource_name
    assert kind.name.partition(".")[0] == kind.family


@pytest.mark.parametrize("kind", catalog.instance_types(), ids=lambda kind: kind.name)
def test_an_instance_type_advertises_its_devices_and_less_than_all_of_its_cpu_and_memory(kind: InstanceType) -> None:
    assert kind.devices == kind.resource_count >= 1
    assert kind.allocatable_cpu is not None
    assert kind.allocatable_memory_gib is not None
    assert 0 < kind.allocatable_cpu < kind.vcpus
    assert 0 < kind.allocatable_memory_gib < kind.memory_gib


def test_every_family_of_an_accelerator_with_a_node_label_has_instance_types() -> None:
    families = {kind.family for kind in catalog.instance_types()}
    for device in catalog.accelerators():
        assert bool(device.karpenter_label) == bool(families & set(device.families)), device.name


def test_names_are_unique() -> None:
    kinds = [kind.name for kind in catalog.instance_types()]
    devices = [device.name for device in catalog.accelerators()]
    assert len(kinds) == len(set(kinds)) == 65
    assert len(devices) == len(set(devices)) == 17


@pytest.mark.parametrize("offer", catalog.offerings(), ids=lambda o: f"{o.instance_type}-{o.region}-{o.capacity_type}")
def test_an_offering_has_a_price_with_its_source(offer: Offering) -> None:
    assert offer.price_usd_per_h > 0
    assert offer.source
    assert offer.estimated == ("DERIVED" in offer.source)
    assert offer.date == "undated snapshot (2026)" or date.fromisoformat(offer.date).year == 2026
    catalog.instance_type(offer.instance_type)


def test_an_offering_is_priced_once() -> None:
    keys = [(offer.instance_type, offer.region, offer.capacity_type) for offer in catalog.offerings()]
    assert len(keys) == len(set(keys))


def test_spot_is_cheaper_than_on_demand() -> None:
    on_demand = {
        (offer.instance_type, offer.region): offer.price_usd_per_h
        for offer in catalog.offerings()
        if offer.capacity_type is CapacityType.ON_DEMAND
    }
    compared = 0
    for offer in catalog.offerings():
        key = (offer.instance_type, offer.region)
        if offer.capacity_type is CapacityType.SPOT and key in on_demand:
            assert offer.price_usd_per_h < on_demand[key], key
            compared += 1
    assert compared > 20


@pytest.mark.parametrize(("kind", "usd_per_h"), PUBLISHED.items())
def test_prices_agree_with_published_ones(kind: str, usd_per_h: float) -> None:
    found = catalog.price(kind, "us-east-1", CapacityType.ON_DEMAND).price_usd_per_h
    assert found == pytest.approx(usd_per_h, abs=1e-4)


def test_memory_is_what_ec2_reports_where_the_data_sheet_says_more() -> None:
    assert catalog.accelerator("a10g").memory_gib == pytest.approx(22888 / 1024, abs=0.01)
    assert catalog.accelerator("h100").memory_gib == 80


@pytest.mark.parametrize("name", ["accelerators.csv", "instances.csv", "prices.csv"])
def test_a_data_file_says_what_its_columns_mean(name: str) -> None:
    text = importlib.resources.files("holdfast.catalog").joinpath("data", name).read_text(encoding="utf-8")
    header = [line for line in text.splitlines() if line.startswith("#")]
    assert len(header) >= 3
    assert text.startswith("#")


@pytest.mark.skipif(not SHARED.exists(), reason="the gathered data is not here to compare with")
def test_no_figure_was_changed_on_the_way_from_the_gathered_data() -> None:
    with SHARED.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["accel_count"] != "0"]
    compared = 0
    for row in rows:
        kind = catalog.instance_type(row["instance_type"])
        assert (kind.devices, kind.vcpus, kind.memory_gib) == (
            int(row["accel_count"]),
            int(row["vcpu"]),
            float(row["ram_gib"]),
        )
        for column, capacity in (
            ("od_usd_hr", CapacityType.ON_DEMAND),
            ("spot_usd_hr_median", CapacityType.SPOT),
        ):
            if row[column]:
                offer = catalog.price(kind.name, row["region"], capacity)
                assert offer.price_usd_per_h == pytest.approx(float(row[column]))
                compared += 1
    assert compared > 150


def test_the_largest_instances_have_fabric() -> None:
    assert catalog.instance_type("p5en.48xlarge").efa_interfaces == 16
    assert catalog.instance_type("g5.xlarge").efa_interfaces == 0
