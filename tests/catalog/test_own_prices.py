"""The user's prices and the package's as one catalogue."""

from __future__ import annotations

import string
import threading
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.catalog import own, prices
from holdfast.model.errors import InputError, OutputError
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import InstanceType, Offering

TODAY = date(2026, 11, 21)
G5 = Offering("g5.xlarge", "us-west-2", CapacityType.ON_DEMAND, 1.006, "AWS", "2026-11-20", estimated=False)
ESTIMATE = replace(G5, source="DERIVED from another region", estimated=True)
HEADER = "instance_type,region,capacity_type,price_usd_per_h,source,date"


@pytest.mark.parametrize(
    ("packaged", "mine", "stands"),
    [
        (replace(G5, date="2026-07-20"), G5, "mine"),
        (G5, replace(G5, date="2026-07-20"), "packaged"),
        (G5, G5, "mine"),  # of one day
        (replace(G5, date="undated snapshot (2026)"), replace(G5, date="2020-01-01"), "mine"),
        (G5, replace(G5, date="our contract"), "mine"),
        (ESTIMATE, replace(G5, date="2026-07-20"), "mine"),  # what was read stands against a later estimate
        (ESTIMATE, replace(ESTIMATE, date="2026-07-20"), "packaged"),
    ],
)
def test_the_users_price_stands_unless_the_packages_was_read_later(
    packaged: Offering, mine: Offering, stands: str
) -> None:
    packaged, mine = replace(packaged, price_usd_per_h=1), replace(mine, price_usd_per_h=2)
    assert prices.merge([packaged], [mine]) == ((mine,) if stands == "mine" else (packaged,))


def test_prices_of_other_regions_and_capacity_types_stay() -> None:
    others = (replace(G5, region="us-east-1"), replace(G5, capacity_type=CapacityType.SPOT))
    assert set(prices.merge(others, [G5])) == {*others, G5}


@pytest.mark.parametrize(
    ("read", "days", "stale"),
    [
        ("2026-11-21", 0, False),
        ("2026-11-22", 0, False),  # tomorrow, in another time zone
        ("2026-08-23", 90, False),
        ("2026-08-22", 91, True),
        ("2026-11-23", None, True),
        ("undated snapshot (2026)", None, True),
        ("", None, True),
    ],
)
def test_a_price_is_stale_after_90_days_or_when_its_age_is_unknown(read: str, days: int | None, stale: bool) -> None:
    offering = replace(G5, date=read)
    assert catalog.age_days(offering, TODAY) == days
    assert catalog.stale(offering, TODAY) is stale


def test_what_is_written_reads_back_and_is_the_price_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new" / "prices.csv"
    monkeypatch.setenv(own.VARIABLE, str(file))
    before = catalog.price("g5.xlarge", "us-west-2", CapacityType.ON_DEMAND)
    own.add([G5], file)
    assert own.read(file) == (G5,)
    assert catalog.price("g5.xlarge", "us-west-2", CapacityType.ON_DEMAND) == G5 != before
    own.add([replace(G5, region="sa-east-1"), replace(G5, price_usd_per_h=0.9)], file)
    assert {one.region: one.price_usd_per_h for one in own.read(file)} == {"us-west-2": 0.9, "sa-east-1": 1.006}
    assert "sa-east-1" in catalog.regions()
    assert {one.name for one in file.parent.iterdir()} == {"prices.csv", "prices.csv.lock"}


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r", categories=("L", "N", "P", "Zs")), max_size=30)


@given(
    price=st.floats(min_value=1e-9, max_value=1e6),
    source=_TEXT,
    read=st.dates(date(2020, 1, 1), TODAY).map(str) | _TEXT,
    kind=st.sampled_from(catalog.instance_types()),
)
def test_any_price_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory, price: float, source: str, read: str, kind: InstanceType
) -> None:
    file = tmp_path_factory.getbasetemp() / "any-price.csv"
    file.unlink(missing_ok=True)
    mine = replace(G5, instance_type=kind.name, price_usd_per_h=price, source=f"from {source}", date=read)
    own.add([mine], file)
    assert own.read(file) == (mine,)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("g5.xlarge,us-west-2,on-demand,-1,me,2026-11-20", "line 3: '-1' is not a price above zero"),
        ("g5.xlarge,us-west-2,on-demand,0,me,2026-11-20", "'0' is not a price above zero"),
        ("g5.xlarge,us-west-2,on-demand,nan,me,2026-11-20", "'nan' is not a price above zero"),
        ("g5.xlarge,us-west-2,on-demand,$1,me,2026-11-20", r"'\$1' is not a price above zero in US dollars"),
        ("g5.xlarge,us-west-2,rented,1,me,2026-11-20", "'rented' is no capacity type"),
        ("g5.xlarge,us-west-2,on-demand,1,me,2026-11-32", "2026-11-32 is no day"),
        ("g5.xlrge,us-west-2,on-demand,1,me,2026-11-20", "no instance type 'g5.xlrge'; did you mean g5.xlarge"),
        ("g5.xlarge,us-west-2,on-demand,1", "the row does not have 6 cells"),
        ("g5.xlarge,us-west-2,on-demand,1,me,2026-11-20,more", "the row does not have 6 cells"),
    ],
)
def test_a_row_that_is_no_price_is_named_with_its_line(tmp_path: Path, row: str, sentence: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(f"# mine\n{HEADER}\n{row}\n")
    with pytest.raises(InputError, match=sentence):
        own.read(file)


@given(text=st.text(string.printable, max_size=80))
def test_nonsense_is_refused_with_a_sentence(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "nonsense.csv"
    file.write_text(text)
    with pytest.raises(InputError):
        own.read(file)


def test_writers_take_turns_and_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    regions = [f"region-{index}" for index in range(8)]
    writers = [threading.Thread(target=own.add, args=([replace(G5, region=region)], file)) for region in regions]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=10)
    assert [one.region for one in own.read(file)] == regions


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="give another place with --file or HOLDFAST_PRICES"):
        own.add([G5], tmp_path / "file" / "prices.csv")


def test_the_catalogue_is_where_the_platform_keeps_a_users_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(own.VARIABLE)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert own.default_file() == tmp_path / ".local/share/holdfast/prices.csv"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert own.default_file() == tmp_path / ".local/share/holdfast/prices.csv"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert own.default_file() == Path("/data/holdfast/prices.csv")
    monkeypatch.setattr("sys.platform", "darwin")
    assert own.default_file() == tmp_path / "Library/Application Support/holdfast/prices.csv"


def test_a_user_without_a_home_has_the_packages_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(own.VARIABLE)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    assert own.default_file() is None
    assert catalog.offerings("us-west-2")


def test_age_grows_with_the_day() -> None:
    ages = [catalog.age_days(G5, TODAY + timedelta(days=days)) for days in range(5)]
    assert ages == [1, 2, 3, 4, 5]
