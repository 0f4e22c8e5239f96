"""What goes wrong on purpose: each request draws its fate. The server as a whole has endpoints of its own."""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from holdfast.model.errors import InputError


class Kind(enum.Enum):
    """An answer with an error, by its OpenAI name. The names are those of llm-d-inference-sim, and `unavailable`."""

    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    RATE_LIMIT = "rate_limit"
    INVALID_API_KEY = "invalid_api_key"
    CONTEXT_LENGTH = "context_length"
    INVALID_REQUEST = "invalid_request"
    MODEL_NOT_FOUND = "model_not_found"

    @property
    def status(self) -> int:
        return _STATUS[self]


_STATUS = {
    Kind.SERVER_ERROR: 500,
    Kind.UNAVAILABLE: 503,
    Kind.RATE_LIMIT: 429,
    Kind.INVALID_API_KEY: 401,
    Kind.CONTEXT_LENGTH: 400,
    Kind.INVALID_REQUEST: 400,
    Kind.MODEL_NOT_FOUND: 404,
}


class Fate(enum.Enum):
    """What becomes of a request."""

    SERVED = "served"
    REFUSED = "refused"
    STALLED = "stalled"
    RESET = "reset"


@dataclass(frozen=True)
class Faults:
    """Shares of the requests, 0..1 and at most 1 together; what is left is served.

    error_share: answered with one of error_kinds, each as likely, before the device hears of them.
    stall_share: the answer stops after its first output for stall_s seconds. The device is done on time.
    reset_share: the connection is reset after the first output: a TCP RST, not an end.
    """

    error_share: float = 0.0
    error_kinds: tuple[Kind, ...] = (Kind.SERVER_ERROR,)
    stall_share: float = 0.0
    stall_s: float = 30.0
    reset_share: float = 0.0

    def __post_init__(self) -> None:
        for name in ("error_share", "stall_share", "reset_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be 0 to 1, not {getattr(self, name)!r}", mend="give a share")
        if not self.error_share + self.stall_share + self.reset_share <= 1 + 1e-9:
            raise InputError("the shares of faults are more than 1 together", mend="lower one of them")
        if not 0 <= self.stall_s <= 86400:
            raise InputError(f"stall_s must be 0 to 86400, not {self.stall_s!r}", mend="give seconds")
        if not self.error_kinds:
            raise InputError("no error_kinds are given", mend=f"give some of {', '.join(kind.value for kind in Kind)}")

    def scaled(self, time_scale: float) -> Faults:
        """The same faults where all time runs `time_scale` times as fast."""
        return Faults(**{**self._fields(), "stall_s": self.stall_s / time_scale})

    def changed(self, fields: Mapping[str, object]) -> Faults:
        """With some fields changed, as they stand in JSON. Raises InputError."""
        values = self._fields()
        for name, value in fields.items():
            if name not in values:
                raise InputError(f"unknown field {name!r}", mend=f"known: {', '.join(values)}")
            values[name] = kinds(value) if name == "error_kinds" else _number(name, value)
        return Faults(**values)

    def _fields(self) -> dict[str, Any]:
        return asdict(self)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**self._fields(), "error_kinds": [kind.value for kind in self.error_kinds]}


def kinds(value: object) -> tuple[Kind, ...]:
    """The kinds of that list of names. Raises InputError."""
    known = {kind.value: kind for kind in Kind}
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name in known for name in value):
        raise InputError(f"{value!r} are no kinds of error", mend=f"give some of {', '.join(known)}")
    return tuple(known[name] for name in value)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name} must be a number, not {value!r}", mend="give a number")
    return float(value)


@dataclass
class Draw:
    """Fates in a seeded order. `faults` may be changed at any time, on the driver's clock."""

    faults: Faults
    seed: int = 0
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def fate(self) -> Fate:
        """That of the next request."""
        drawn = self._chance.random()
        for share, fate in (
            (self.faults.error_share, Fate.REFUSED),
            (self.faults.stall_share, Fate.STALLED),
            (self.faults.reset_share, Fate.RESET),
        ):
            if drawn < share:
                return fate
            drawn -= share
        return Fate.SERVED

    def kind(self) -> Kind:
        """Of a refusal."""
        return self._chance.choice(self.faults.error_kinds)
