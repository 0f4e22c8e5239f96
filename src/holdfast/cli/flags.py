"""Flag types with units, and files, shared by the verbs.

This file is imported for the `--help` of every verb, so what reads a flag is imported when there is one to read.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.quantity import Quantity as Quantity
from holdfast.model import quantities
from holdfast.model.errors import InputError, OutputError

if TYPE_CHECKING:
    from holdfast.load.pacers import Steps
    from holdfast.model.document import Declared
    from holdfast.model.fleet import Slo, TokenLengths
    from holdfast.model.plan import Plan


def _positive_duration(text: str) -> float:
    seconds = quantities.duration_s(text)
    if not 1e-6 <= seconds <= 366 * 86400:
        raise ValueError(f"{text!r} is not between a microsecond and a year")
    return seconds


_TOKENS = re.compile(r"(\d+(?:\.\d+)?)(?:(?:±|\+-)(\d+(?:\.\d+)?))?(?:,(\d+)\.\.(\d+)|\[(\d+)\.\.(\d+)\])?")


def _token_lengths(text: str) -> TokenLengths:
    import pydantic

    from holdfast.model.fleet import TokenLengths

    match = _TOKENS.fullmatch(text.replace(" ", ""))
    if match is None or not 0 < float(match[1]) <= 1_000_000 or float(match[2] or 0) > 1_000_000:
        raise ValueError(f"{text!r} is not a token length; write it like '200', '200±20' or '200±20,100..400'")
    low, high = match[3] or match[5], match[4] or match[6]
    try:
        return TokenLengths(
            mean=float(match[1]),
            stddev=float(match[2] or 0),
            min=int(low) if low else None,
            max=int(high) if high else None,
        )
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise ValueError(first["msg"].removeprefix("Value error, ")) from error


def _image_size(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", text):
        raise ValueError(f"{text!r} is not the size of an image; write it like '512x512'")
    return text


def _steps(text: str) -> Steps:
    from holdfast.load.pacers import Steps

    steps = []
    for step in text.split(","):
        rate, colon, duration = step.partition(":")
        if not colon:
            raise ValueError(f"{step.strip()!r} is not a step; write steps like '2/s:60s,4/s:60s'")
        steps.append((quantities.rate_per_s(rate.strip()), _positive_duration(duration.strip())))
    return Steps(tuple(steps))


def _slo(text: str) -> Slo:
    from holdfast.model import fleet

    return fleet.parse_slo(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,6}", text.replace(",", "")):
        raise ValueError(f"{text!r} is not a whole number from 1 to 9,999,999")
    return int(text.replace(",", ""))


def _factor(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 1e-3 <= factor <= 1e6:
        raise ValueError(f"{text!r} is not a number from 0.001 to 1,000,000")
    return factor


class Existing(click.Path):
    """A path of what is to be read: that it is not there is said before anything is imported.

    what: is wrong then. mend: what to do about it.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(path_type=Path)
        self._what, self._mend = what, mend

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(value)
        self.check(path)
        return path

    def check(self, path: Path) -> None:
        """Raises InputError where it is not there."""
        try:
            path.stat()
        except OSError as error:
            raise InputError(f"{self._what} ({error.strerror})", where=str(path), mend=self._mend) from error


COUNT = Quantity("n", _count)
FACTOR = Quantity("factor", _factor)
DURATION = Quantity("duration", _positive_duration)
DURATION_OR_FOREVER = Quantity("duration", lambda text: math.inf if text == "forever" else _positive_duration(text))
RATE = Quantity("rate", quantities.rate_per_s)
SHARE = Quantity("percentage", quantities.share)
SLO = Quantity("slo", _slo)
TOKENS = Quantity("tokens", _token_lengths)
SIZE = Quantity("size", _image_size)
STEPS = Quantity("steps", _steps)
API = click.Choice(["completions", "chat", "embeddings", "images", "post"])
OUT = click.Path(path_type=Path)
FILE = click.Path(path_type=Path)
THERE = Existing("the file cannot be read", "mend the path")
RUN = Existing("there is no run to read", "give a folder that a run wrote")


def read_text(path: Path) -> str:
    """The text of a file. Raises InputError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"the file cannot be read ({reason})", where=str(path), mend="mend the path") from error


def read_declared(path: Path) -> Declared:
    """The fleet in a YAML file, which may leave numbers to the plan. Raises InputError."""
    text = read_text(path)
    from holdfast.model import document

    return document.read_declared(text, where=str(path))


def read_plan(path: Path) -> Plan:
    """The plan in a file that `holdfast plan --out` wrote. Raises InputError."""
    text = read_text(path)
    from holdfast.model import plan

    return plan.read(text, where=str(path))


def write_text(path: Path, text: str) -> None:
    """Writes a result, making its folder. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError.of(path, error) from error


def echo_json(value: object) -> None:
    """One JSON document on standard output."""
    from holdfast.model import codec

    click.echo(json.dumps(codec.to_jsonable(value), indent=2, ensure_ascii=False))
