"""How a request is refused, in OpenAI's form."""

from __future__ import annotations

from typing import Any

from holdfast.model.errors import HoldfastError

_KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class RequestError(HoldfastError):
    """A request that is answered with an error: HTTP status, sentence, parameter at fault and OpenAI's code.

    retry_after_s: after which it may be asked again, where the status is 429 or 503.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int = 1,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        kind = _KINDS.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
