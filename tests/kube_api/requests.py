"""A request, its answer, and the refusals of an API server in its own words."""

from __future__ import annotations

import json
import marshal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Object = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """query: the last value of each parameter. headers: names in lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def to(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        """target: path and query as they stand in a request line."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return cls(method, unquote(parts.path), query, headers, body)

    @property
    def watches(self) -> bool:
        return self.query.get("watch", "") in ("1", "true", "True")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Cause:
    """One thing wrong with an object. reason: such as `FieldValueRequired`."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


def copied(value: Any) -> Any:
    """Of JSON; `copy.deepcopy` takes fifteen times as long."""
    return marshal.loads(marshal.dumps(value))


def encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """An answer of failure; `status` is the Status object."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Object | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.status["reason"] = reason
        if details is not None:
            self.status["details"] = details
        self.status["code"] = code
        self.headers = {"content-type": "application/json", **(headers or {})}

    @property
    def answer(self) -> Answer:
        return Answer(self.code, encoded(self.status), self.headers)


def _details(group: str, kind: str, name: str, **more: Any) -> Object:
    found: Object = {"name": name} if name else {}
    if group:
        found["group"] = group
    return {**found, **({"kind": kind} if kind else {}), **more}


def _qualified(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(group: str, plural: str, name: str) -> Refusal:
    message = f'{_qualified(group, plural)} "{name}" not found'
    return Refusal(404, "NotFound", message, _details(group, plural, name))


def no_such_path() -> Answer:
    return Answer(404, b"404 page not found\n", {"content-type": "text/plain; charset=utf-8"})


def nowhere() -> Refusal:
    return Refusal(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(group: str, plural: str, name: str) -> Refusal:
    message = f'{_qualified(group, plural)} "{name}" already exists'
    return Refusal(409, "AlreadyExists", message, _details(group, plural, name))


def moved_on(group: str, plural: str, name: str, why: str = "") -> Refusal:
    """The precondition of a resource version, or another, does not hold."""
    text = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {_qualified(group, plural)} "{name}": {text}'
    return Refusal(409, "Conflict", message, _details(group, plural, name))


def another(plural: str, namespace: str, name: str, wanted: str, actual: str) -> str:
    """Why an object of another uid is not replaced."""
    return (
        f"StorageError: invalid object, Code: 4, Key: /registry/{plural}/{namespace}/{name}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}"
    )


def precondition(what: str, wanted: str, actual: str) -> str:
    """Why an object is not deleted. what: `UID` or `ResourceVersion`."""
    became = "deleted and then recreated" if what == "UID" else "modified"
    return (
        f"the {what} in the precondition ({wanted}) does not match the {what} in record ({actual}). "
        f"The object might have been {became}"
    )


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> Refusal:
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    told = [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
    message = f'{_qualified(group, kind)} "{name}" is invalid: {text}'
    return Refusal(422, "Invalid", message, _details(group, kind, name, causes=told))


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def expired(message: str) -> Refusal:
    return Refusal(410, "Expired", message)


def unsupported_media_type() -> Refusal:
    return Refusal(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def method_not_allowed() -> Refusal:
    return Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
