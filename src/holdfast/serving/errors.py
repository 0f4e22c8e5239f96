"""How a request is refused, in OpenAI's form."""

from __future__ import annotations

from typing import Any

from holdfast.model.errors import HoldfastError

_KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class RequestError(HoldfastError):
    """A request that is answered with an error: HTTP status, sentence, parameter at fault and OpenAI's code."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        kind = _KINDS.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
