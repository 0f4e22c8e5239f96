"""Flag types with units, and files, shared by the verbs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from holdfast.model import codec, document, fleet, quantities
from holdfast.model.errors import InputError, OutputError
from holdfast.model.fleet import InferenceFleet, TokenLengths, Workload
from holdfast.model.plan import VERSION, Plan


class Quantity(click.ParamType[Any]):
    """A flag whose text is read by a function that raises ValueError with a sentence."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            raise InputError(str(error), where=param.opts[0] if param else "") from error


def _positive_duration(text: str) -> float:
    seconds = quantities.duration_s(text)
    if not 1e-6 <= seconds <= 366 * 86400:
        raise ValueError(f"{text!r} is not between a microsecond and a year")
    return seconds


def _token_lengths(text: str) -> TokenLengths:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:(?:±|\+-)(\d+(?:\.\d+)?))?", text.replace(" ", ""))
    if match is None or not 0 < float(match[1]) <= 1_000_000 or float(match[2] or 0) > 1_000_000:
        raise ValueError(f"{text!r} is not a token length; write it like '200' or '200±20'")
    return TokenLengths(mean=float(match[1]), stddev=float(match[2] or 0))


DURATION = Quantity("duration", _positive_duration)
DURATION_OR_FOREVER = Quantity("duration", lambda text: math.inf if text == "forever" else _positive_duration(text))
RATE = Quantity("rate", quantities.rate_per_s)
SHARE = Quantity("percentage", quantities.share)
SLO = Quantity("slo", fleet.parse_slo)
TOKENS = Quantity("tokens", _token_lengths)
API = click.Choice([api.value for api in fleet.Api])
OUT = click.Path(path_type=Path)
FILE = click.Path(path_type=Path)


def workload(api: str, input_tokens: TokenLengths, output_tokens: TokenLengths) -> Workload:
    """The workload of the flags; lengths mean nothing for images and are left out."""
    kind = fleet.Api(api)
    if not kind.makes_tokens:
        return Workload(api=kind)
    return Workload(api=kind, input_tokens=input_tokens, output_tokens=output_tokens)


def read_text(path: Path) -> str:
    """The text of a file. Raises InputError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"the file cannot be read ({reason})", where=str(path), mend="mend the path") from error


def read_fleet(path: Path) -> InferenceFleet:
    """The fleet in a YAML file. Raises InputError."""
    return document.read_fleet(read_text(path), where=str(path))


def read_plan(path: Path) -> Plan:
    """The plan in a file that `holdfast plan --out` wrote. Raises InputError."""
    made = codec.loads(Plan, read_text(path), where=str(path))
    if made.version != VERSION:
        raise InputError(
            f"the plan is of version {made.version}, and this holdfast reads version {VERSION}",
            where=str(path),
            mend="plan anew",
        )
    return made


def write_text(path: Path, text: str) -> None:
    """Writes a result, making its folder. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError.of(path, error) from error


def echo_json(value: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(codec.to_jsonable(value), indent=2, ensure_ascii=False))
