"""The offerings of the catalogue: instance types at a price, by region and capacity type.

There are two catalogues, the package's and the user's (`own`). Of two prices of one offering the user's stands,
unless the package's was read later; an estimate never takes the place of a price that was read.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from holdfast.catalog import instances, lookup, own, rows
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import Offering

STALE_AFTER_DAYS = 90
"""EC2's on-demand prices change a few times a decade, spot prices weekly; a quarter is what a budget is made for."""


@functools.cache
def _packaged() -> tuple[Offering, ...]:
    return tuple(own.offering(row) for row in rows.read("prices.csv"))


def known(file: Path | None = None) -> tuple[Offering, ...]:
    """Every offering of the package's catalogue and the user's, which is `file` or else where `own` looks for it.

    Raises InputError for a user's catalogue that cannot be read.
    """
    path = own.default_file() if file is None else file
    if path is None:
        return _packaged()
    try:
        state = path.stat()
    except OSError:
        return _merged(path, 0, 0)
    return _merged(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=8)
def _merged(path: Path, _changed_ns: int, _size: int) -> tuple[Offering, ...]:
    """Read once for as long as the file is the same."""
    return merge(_packaged(), own.read(path))


def merge(packaged: Iterable[Offering], owned: Iterable[Offering]) -> tuple[Offering, ...]:
    """Both catalogues as one, one price per offering: the rule is at the top of this file."""
    merged = {(one.instance_type, one.region, one.capacity_type): one for one in packaged}
    for mine in owned:
        key = (mine.instance_type, mine.region, mine.capacity_type)
        theirs = merged.get(key)
        if theirs is None or not _supersedes(theirs, mine):
            merged[key] = mine
    return tuple(merged.values())


def _supersedes(theirs: Offering, mine: Offering) -> bool:
    read, had = date_of(theirs), date_of(mine)
    later = read is not None and had is not None and read > had
    return later and (mine.estimated or not theirs.estimated)


def regions(file: Path | None = None) -> tuple[str, ...]:
    """The regions that there are prices for, by name."""
    return tuple(sorted({offering.region for offering in known(file)}))


def offerings(
    region: str | None = None, accelerator: str | None = None, file: Path | None = None
) -> tuple[Offering, ...]:
    """On-demand and median spot offerings, all or of one region, of one accelerator; `file` as for `known`.

    Raises InputError for a region or an accelerator that the catalogue does not have.
    """
    if region is not None:
        region = lookup.find("region", region, {name: name for name in regions(file)})
    carriers = {kind.name for kind in instances.instance_types(accelerator)}
    return tuple(
        offering
        for offering in known(file)
        if offering.instance_type in carriers and (region is None or offering.region == region)
    )


def price(instance_type: str, region: str, capacity_type: CapacityType) -> Offering:
    """The offering of that instance type in that region and capacity type.

    Raises InputError when the instance type is unknown, or when no source states the price: then it says
    which regions have one, and that `price:` in the unit stands in for the catalogue.
    """
    name = instances.instance_type(instance_type).name
    alike = [offer for offer in known() if offer.instance_type == name and offer.capacity_type is capacity_type]
    for offer in alike:
        if offer.region == region:
            return offer
    elsewhere = ", ".join(offer.region for offer in alike)
    raise InputError(
        f"the catalogue has no {capacity_type.value} price of {name} in {region} "
        f"({f'it has one in {elsewhere}' if elsewhere else 'nor in any other region'})",
        mend="set `price:` in the unit, e.g. price: $1.006/h, or `holdfast prices refresh`",
    )


def citation(offering: Offering) -> str:
    """How a plan says where it has the price from; `cited_date` reads it."""
    estimate = ", an estimate" if offering.estimated else ""
    return f"{offering.source}, {offering.date}, {offering.region}, {offering.capacity_type.value}{estimate}"


def cited_date(text: str) -> str | None:
    """The date, as its catalogue has it, of a price whose citation the text begins with; None where it cites none."""
    found = _CITATION.match(text)
    return found["date"] if found else None


_CITATION = re.compile(
    rf".*, (?P<date>[^,;]+), [a-z0-9-]+, (?:{'|'.join(way.value for way in CapacityType)})(?:, an estimate)?(?:;|$)"
)


def date_of(offering: Offering) -> date | None:
    """The day on which the price was read; None where its catalogue does not say: `undated snapshot (2026)`."""
    return _day(offering.date)


def age_days(offering: Offering, today: date) -> int | None:
    """Days since the price was read; None where that is unknown, a date to come included.

    Tomorrow is not one: it is the date already in another time zone.
    """
    return days_since(offering.date, today)


def days_since(text: str, today: date) -> int | None:
    """The same of a date as a catalogue has it."""
    read = _day(text)
    if read is None or (today - read).days < -1:
        return None
    return max((today - read).days, 0)


def stale(offering: Offering, today: date) -> bool:
    """Whether the price was read more than 90 days ago. One of unknown age counts as stale."""
    return too_old(age_days(offering, today))


def too_old(days: int | None) -> bool:
    """The same of an age in days, None where it is not known."""
    return days is None or days > STALE_AFTER_DAYS


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
