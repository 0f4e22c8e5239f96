"""The catalogue as tables, for `holdfast catalog`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from holdfast.catalog import devices, instances, prices
from holdfast.model.hardware import Accelerator, InstanceType, Offering
from holdfast.model.tables import Column, Table

_DEVICE_COLUMNS = (
    Column("accelerator"),
    Column("memory", "GiB"),
    Column("bandwidth", "GB/s"),
    Column("bf16 dense", "TFLOP/s"),
    Column("cores per device"),
    Column("link", "GB/s"),
    Column("resource"),
    Column("confidence"),
    Column("source"),
)
_INSTANCE_COLUMNS = (
    Column("instance type"),
    Column("accelerator"),
    Column("devices"),
    Column("vCPUs"),
    Column("memory", "GiB"),
    Column("network", "Gbit/s"),
)
_PRICE_COLUMNS = (
    Column("instance type"),
    Column("region"),
    Column("capacity"),
    Column("price", "USD/h", digits=4),
    Column("figure"),
    Column("date"),
    Column("source"),
)
_AGED_COLUMNS = (
    Column("instance type"),
    Column("region"),
    Column("capacity"),
    Column("price", "USD/h", digits=4),
    Column("figure"),
    Column("age"),
    Column("source"),
)


def tables(accelerator: str | None = None, region: str | None = None) -> tuple[Table, ...]:
    """Accelerators, instance types and prices, all or of one accelerator; prices all or of one region.

    Raises InputError for an accelerator or a region that the catalogue does not have.
    """
    shown = devices.accelerators() if accelerator is None else (devices.accelerator(accelerator),)
    kinds = instances.instance_types(accelerator)
    offers = prices.offerings(region, accelerator)
    return (
        Table("Accelerators, per device", _DEVICE_COLUMNS, tuple(map(_device_row, shown))),
        Table("Instance types", _INSTANCE_COLUMNS, tuple(map(_instance_row, kinds))),
        Table("Prices", _PRICE_COLUMNS, tuple(map(_price_row, offers)), _price_notes(offers)),
    )


def aged_prices(offers: Sequence[Offering], today: date) -> Table:
    """Offerings with the age of their price; a source is a letter, spelt out in the notes."""
    sources = {source: letters(index) for index, source in enumerate(sorted({offer.source for offer in offers}))}
    rows = tuple(
        (
            offer.instance_type,
            offer.region,
            offer.capacity_type.value,
            offer.price_usd_per_h,
            _figure(offer),
            age(offer, today),
            sources[offer.source],
        )
        for offer in offers
    )
    spelt = tuple(f"{letter}  {source}" for source, letter in sources.items())
    old = sum(prices.stale(offer, today) for offer in offers)
    count = (
        f"{old} of {len(offers)} prices are of unknown age or were read more than {prices.STALE_AFTER_DAYS} days ago"
    )
    stale = (f"{count}; `holdfast prices refresh` reads new ones.",) if old else ()
    return Table("Prices, Linux, shared tenancy", _AGED_COLUMNS, rows, (*spelt, *_price_notes(tuple(offers)), *stale))


def letters(index: int) -> str:
    """a, b, .. z, aa, ab, ..: the name of the source with that index."""
    rest, last = divmod(index, 26)
    return (letters(rest - 1) if rest else "") + chr(ord("a") + last)


def _figure(offer: Offering) -> str:
    return "estimate" if offer.estimated else "read"


def age(offer: Offering, today: date) -> str:
    """`12 d`, `124 d, stale`, or `unknown`."""
    days = prices.age_days(offer, today)
    if days is None:
        return "unknown"
    return f"{days} d{', stale' if prices.stale(offer, today) else ''}"


def _device_row(device: Accelerator) -> tuple[str | float | int | None, ...]:
    return (
        device.name,
        device.memory_gib,
        device.memory_gb_per_s,
        device.bf16_dense_tflops,
        device.cores_per_device,
        device.link_gb_per_s,
        device.resource_name,
        device.confidence,
        device.source,
    )


def _instance_row(kind: InstanceType) -> tuple[str | float | int | None, ...]:
    return (kind.name, kind.accelerator, kind.devices, kind.vcpus, kind.memory_gib, kind.network_gbps)


def _price_row(offer: Offering) -> tuple[str | float | int | None, ...]:
    return (
        offer.instance_type,
        offer.region,
        offer.capacity_type.value,
        offer.price_usd_per_h,
        _figure(offer),
        offer.date,
        offer.source,
    )


def _price_notes(offers: tuple[Offering, ...]) -> tuple[str, ...]:
    if not any(offer.estimated for offer in offers):
        return ()
    return ("An estimate is the us-east-1 price times the family's price ratio between the two regions.",)
