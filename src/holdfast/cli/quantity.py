"""The flag type that all others are made of, in a file that costs nothing to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from holdfast.model.errors import InputError


class Quantity(click.ParamType[Any]):
    """A flag whose text is read by a function that raises ValueError with a sentence."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        # Who completes a line has no use for the values before.
        if not isinstance(value, str) or (ctx is not None and ctx.resilient_parsing):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            raise InputError(str(error), where=param.opts[0] if param else "") from error
