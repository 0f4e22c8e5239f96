"""Reading the fields of a JSON object, with errors that name the field and the mend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.model.errors import InputError

MOST = 10**9
"""No size of a model comes near it; a larger number is a slip of the pen, and products of such would not be numbers."""


@dataclass(frozen=True)
class Fields:
    """The fields of one JSON object; `where` names it in errors. A field that is null counts as absent."""

    values: Mapping[str, object]
    where: str

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def whole(self, *names: str, least: int = 1, most: int = MOST) -> int:
        """The whole number under the first of the names that is there. Raises InputError."""
        name = next((name for name in names if self.has(name)), names[0])
        value = self._present(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.error(
                f"{name} is {shown(value)}, which is no whole number from {least:,} to {most:,}", f"correct {name}"
            )
        return value

    def whole_or(self, default: int, *names: str, least: int = 1, most: int = MOST) -> int:
        """As `whole`, or the default where none of the names is there: what the model's own class defaults to."""
        return self.whole(*names, least=least, most=most) if any(map(self.has, names)) else default

    def flag_or(self, default: bool, name: str) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(f"{name} is {shown(value)}, which is neither true nor false", f"correct {name}")
        return value

    def text(self, *names: str) -> str:
        name = next((name for name in names if self.has(name)), names[0])
        value = self._present(name)
        if not isinstance(value, str):
            raise self.error(f"{name} is {shown(value)}, which is no text", f"correct {name}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """The list of texts under the name; empty where it is absent."""
        value = self.values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(f"{name} is {shown(value)}, which is no list of texts", f"correct {name}")
        return tuple(value)

    def part(self, name: str) -> Fields:
        """The object under the name."""
        value = self._present(name)
        if not isinstance(value, dict):
            raise self.error(f"{name} is {shown(value)}, which is no object", f"correct {name}")
        return Fields(value, f"{self.where}: {name}")

    def error(self, what: str, mend: str) -> InputError:
        return InputError(what, where=self.where, mend=mend)

    def _present(self, name: str) -> object:
        value = self.values.get(name)
        if value is None:
            raise self.error(f"{name} is missing", "take config.json whole from the model's page, or add the field")
        return value


def shown(value: object) -> str:
    """The value as an error shows it: no longer than a line."""
    text = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
