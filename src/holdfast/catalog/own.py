"""The user's own price catalogue: a CSV of prices beside the package's, which is never written to.

It has the columns of the package's `data/prices.csv`. `holdfast prices refresh` writes it; a person may too, for a
negotiated price say.
"""

from __future__ import annotations

import csv
import fcntl
import io
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from holdfast.catalog import instances
from holdfast.model.errors import InputError, OutputError
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import Offering

VARIABLE = "HOLDFAST_PRICES"
"""Environment variable with the path of the user's catalogue."""

COLUMNS = ("instance_type", "region", "capacity_type", "price_usd_per_h", "source", "date")

_HEADER = """\
# Your own prices, US dollars per instance hour; `holdfast prices refresh` adds to them.
# Of two prices of one offering, yours stands, unless the package's was read later.
"""


def default_file() -> Path | None:
    """Where the user's catalogue is: $HOLDFAST_PRICES, else in the platform's folder for a user's data.

    That is `$XDG_DATA_HOME/holdfast/prices.csv` (`~/.local/share` where it is not set), on macOS
    `~/Library/Application Support/holdfast/prices.csv`. None for a user without a home to enter, as in many containers.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises for a user without one
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    if sys.platform == "darwin":
        data = home / "Library" / "Application Support"
    elif not data.is_absolute():  # by the XDG base directory specification that counts as not set
        data = home / ".local" / "share"
    if data.is_relative_to(home) and not os.access(home, os.X_OK):
        return None
    return data / "holdfast" / "prices.csv"


def read(file: Path) -> tuple[Offering, ...]:
    """The offerings of a user's catalogue; none where there is no such file.

    Raises InputError for a file that cannot be read, or for a row that is not a price: it names the line.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(
            f"the price catalogue cannot be read ({reason})", where=str(file), mend=f"mend the file or {VARIABLE}"
        ) from error
    return tuple(_offerings(text, str(file)))


def offering(row: dict[str, str]) -> Offering:
    """The offering of a row of prices; ValueError with a sentence where it is none."""
    price_usd_per_h = _number(row["price_usd_per_h"])
    if not (math.isfinite(price_usd_per_h) and price_usd_per_h > 0):
        raise ValueError(f"{row['price_usd_per_h']!r} is not a price above zero in US dollars per hour, as 1.006")
    if row["capacity_type"] not in _WAYS:
        raise ValueError(f"{row['capacity_type']!r} is no capacity type ({', '.join(_WAYS)})")
    if _DAY.fullmatch(row["date"]) and not _is_day(row["date"]):
        raise ValueError(f"{row['date']} is no day")
    return Offering(
        instance_type=row["instance_type"],
        region=row["region"],
        capacity_type=CapacityType(row["capacity_type"]),
        price_usd_per_h=price_usd_per_h,
        source=row["source"],
        date=row["date"],
        estimated=row["source"].startswith("DERIVED"),
    )


_WAYS = tuple(way.value for way in CapacityType)
_DAY = re.compile(r"\d+-\d+-\d+")
"""What is meant as a day; other texts, `undated snapshot (2026)` say, are a date that nobody knows."""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def add(offerings: Sequence[Offering], file: Path) -> None:
    """Adds offerings to the user's catalogue, each in the place of the one it had.

    The file is replaced as a whole, so a reader sees the old one or the new one, and two writers take turns.
    Raises OutputError, and InputError as `read` does.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _turn(file):
            kept = {_key(one): one for one in (*read(file), *offerings)}
            _replace(file, _text(kept[key] for key in sorted(kept)))
    except OSError as error:
        raise OutputError(
            f"the price catalogue cannot be written ({error.strerror or error})",
            where=str(file),
            mend=f"give another place with --file or {VARIABLE}",
        ) from error


def _key(one: Offering) -> tuple[str, str, str]:
    return one.instance_type, one.region, one.capacity_type.value


@contextmanager
def _turn(file: Path) -> Iterator[None]:
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _replace(file: Path, text: str) -> None:
    # Readers look at any moment; the lock keeps writers from each other, so the name can be a fixed one.
    fresh = file.with_name(f".{file.name}.new")
    with fresh.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


def _text(offerings: Iterable[Offering]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in offerings:
        price = repr(one.price_usd_per_h)
        table.writerow((one.instance_type, one.region, one.capacity_type.value, price, one.source, one.date))
    return f"{_HEADER}{out.getvalue()}"


def _offerings(text: str, where: str) -> Iterator[Offering]:
    # A comment becomes a blank line, which the reader skips, so that its line numbers are the file's.
    lines = csv.reader("" if line.startswith("#") else line for line in text.splitlines())
    cells = ((lines.line_num, row) for row in lines if row)
    if tuple(next(cells, (0, ()))[1]) != COLUMNS:
        raise InputError("this is no price catalogue", where=where, mend=f"its columns are {','.join(COLUMNS)}")
    for number, row in cells:
        yield _checked(row, f"{where}, line {number}")


def _checked(row: Sequence[str], where: str) -> Offering:
    if len(row) != len(COLUMNS):
        raise InputError(f"the row does not have {len(COLUMNS)} cells", where=where, mend="mend the row or delete it")
    named = dict(zip(COLUMNS, row, strict=True))
    try:
        instances.instance_type(named["instance_type"])
        return offering(named)
    except InputError as error:
        raise InputError(error.what, where=where, mend=error.mend) from error
    except ValueError as error:
        raise InputError(str(error), where=where, mend="mend the row or delete it") from error
