"""Moments of a scenario, in seconds from its start, as people write them."""

from __future__ import annotations

import re
from typing import Annotated

import pydantic

from holdfast.model import quantities

_CLOCK = re.compile(r"(?P<hours>[0-9]{1,4}):(?P<minutes>[0-5][0-9])")


def moment_s(text: object) -> float:
    """Seconds from `"21:20"` (hours and minutes from the start, which is at 0:00; hours may go past 24) or `90min`.

    Raises ValueError with a sentence.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        # YAML 1.1 reads 21:20 without quotes as a number of base 60.
        raise ValueError(f'the number {text} has no unit; write a moment like 90min, or in quotes like "21:20"')
    if isinstance(text, str) and (clock := _CLOCK.fullmatch(text.strip())):
        return int(clock["hours"]) * 3600.0 + int(clock["minutes"]) * 60.0
    return quantities.duration_s(text)


def clock(t_s: float) -> str:
    """`76800` -> `21:20:00`, hours counted from the start of the scenario."""
    seconds = round(t_s)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


Moment = Annotated[
    float,
    pydantic.BeforeValidator(moment_s),
    pydantic.PlainSerializer(lambda value: f"{value!r}s", return_type=str),
    pydantic.WithJsonSchema({"type": "string", "examples": ["21:20", "90min"]}),
]
