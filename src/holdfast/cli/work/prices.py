"""What `holdfast prices` does. Its flags are in `cli.prices`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import click

from holdfast import catalog
from holdfast.catalog import listing, own
from holdfast.catalog import refresh as aws
from holdfast.cli import flags
from holdfast.model.errors import InputError
from holdfast.model.hardware import Offering
from holdfast.reports import terminal


def show(
    region: str | None, instances: tuple[str, ...], accelerator: str | None, file: Path | None, as_json: bool
) -> None:
    """See `holdfast prices --help`. Raises InputError."""
    wanted = {catalog.instance_type(name).name for name in instances}
    shown = [
        offer for offer in catalog.offerings(region, accelerator, file) if not wanted or offer.instance_type in wanted
    ]
    _print(shown, datetime.now(UTC).date(), file or own.default_file(), as_json)


def refresh(region: str, instances: tuple[str, ...], accelerator: str | None, file: Path | None, as_json: bool) -> None:
    """See `holdfast prices refresh --help`. Raises InputError."""
    place = file or own.default_file()
    if place is None:
        raise InputError("there is no home directory to keep prices in", mend=f"give --file or {own.VARIABLE}")
    own.read(place)  # a catalogue that cannot be read is told before AWS is asked
    wanted = [catalog.instance_type(name).name for name in instances]
    names = wanted or [kind.name for kind in catalog.instance_types(accelerator)]
    now = datetime.now(UTC)
    had: list[Offering] = []
    try:
        aws.keep(_told(aws.current(aws.connect(region), names, now), had, len(names)), place)
    finally:
        if had:
            click.echo(f"{len(had)} prices written to {place}", err=True)
    unsold = [name for name in names if name not in {offer.instance_type for offer in had}]
    _print(had, now.date(), place, as_json)
    if wanted and unsold:
        raise InputError(f"{', '.join(unsold)} is not sold in {region}", mend="`holdfast prices` shows other regions")
    if unsold:
        click.echo(f"{len(unsold)} of {len(names)} instance types are not sold in {region}", err=True)


def _told(offers: Iterable[Offering], had: list[Offering], names: int) -> Iterator[Offering]:
    for offer in offers:
        had.append(offer)
        if sys.stderr.isatty():
            click.echo(f"\r{len(had)} prices of {names} instance types", nl=False, err=True)
        yield offer
    if had and sys.stderr.isatty():
        click.echo(err=True)


def _print(offers: Iterable[Offering], today: date, file: Path | None, as_json: bool) -> None:
    shown = sorted(offers, key=lambda offer: (offer.region, offer.price_usd_per_h, offer.instance_type))
    if not as_json:
        click.echo(terminal.text(terminal.table(listing.aged_prices(shown, today))))
        return
    rows = [
        {
            **dataclasses.asdict(offer),
            "age_days": catalog.age_days(offer, today),
            "stale": catalog.stale(offer, today),
        }
        for offer in shown
    ]
    flags.echo_json({"file": file, "today": today, "stale_after_days": catalog.STALE_AFTER_DAYS, "prices": rows})
