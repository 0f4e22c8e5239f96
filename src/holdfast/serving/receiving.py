"""What every HTTP server of holdfast does with a request: read its body within bounds, refuse it in OpenAI's form."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from holdfast.serving.errors import RequestError


async def body(request: Request, max_mib: float) -> bytes:
    """What was sent. Raises RequestError 413 beyond the bound; a longer one is not read to its end."""
    most = max_mib * 2**20
    declared = request.headers.get("content-length", "0")
    parts, size = [], 0
    if int(declared) > most:
        raise _too_long(max_mib)
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > most:
            raise _too_long(max_mib)
    return b"".join(parts)


def _too_long(max_mib: float) -> RequestError:
    return RequestError(413, f"the body is longer than {max_mib:g} MiB")


def refusal(error: RequestError) -> Response:
    """The answer that a refused request gets."""
    headers = {"retry-after": str(error.retry_after_s)} if error.status in (429, 503) else None
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


async def refuse(_: Request, error: Exception) -> Response:
    """An exception handler for RequestError."""
    assert isinstance(error, RequestError)
    return refusal(error)


async def refuse_route(request: Request, error: Exception) -> Response:
    """An exception handler for paths that are not served and methods that are not allowed."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {HTTPStatus(error.status_code).phrase.lower()}"
    response = refusal(RequestError(error.status_code, message))
    response.headers.update(error.headers or {})
    return response
