"""What is read of every request for the model before it is understood."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from holdfast.serving import receiving
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.threads import preparing
from holdfast.serving.openai import reading

_BODY_S = 60.0


def media_type(request: Request) -> str:
    """Of the body, without parameters; empty where none is declared."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read(request: Request, service: Service, form: type[reading.Form]) -> reading.Form:
    """What a request for the model asks. Raises RequestError as json_body does, and 400 unless it is of that form."""
    return await preparing(reading.read, await json_body(request, service), form)


async def json_body(request: Request, service: Service) -> bytes:
    """The body of a request for the model. Raises RequestError: 503 unless ready, 415 unless it is said to be JSON."""
    if media_type(request) not in ("", "application/json"):
        message = f"the body must be application/json, not {media_type(request)}"
        raise RequestError(415, message, code="unsupported_media_type")
    return await body(request, service)


async def body(request: Request, service: Service) -> bytes:
    """The body of a request for the model. Raises RequestError: 503 unless ready, 413 too long, 408 too slow."""
    service.require_ready()
    try:
        async with asyncio.timeout(_BODY_S):
            return await receiving.body(request, service.bounds.max_body_mib)
    except TimeoutError as error:
        raise RequestError(408, f"the body did not come within {_BODY_S:g} s") from error
