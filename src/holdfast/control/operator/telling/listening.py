"""Where kubelet asks whether the operator is alive and ready, and Prometheus what it measured."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from holdfast.model.errors import InputError

BEAT_S = 30.0
"""Age of the loop's last turn from which the operator counts as hung: it turns at least every second."""

_END_S = 2.0


def app(registry: CollectorRegistry, *, beat_age_s: Callable[[], float], unready: Callable[[], str]) -> Starlette:
    """`/healthz`, `/readyz`, `/metrics`.

    beat_age_s: seconds since the loop last turned. unready: what the operator still waits for; empty when nothing.
    """

    async def healthz(_: Request) -> Response:
        age_s = beat_age_s()
        return _answer("" if age_s <= BEAT_S else f"the loop has not turned for {age_s:.0f} s")

    async def readyz(_: Request) -> Response:
        return _answer(unready())

    # No coroutine: Starlette runs it in a thread, where formatting thousands of samples delays no look.
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


def _answer(trouble: str) -> Response:
    return PlainTextResponse(trouble or "ok", status_code=503 if trouble else 200)


@contextlib.asynccontextmanager
async def listening(answers: Starlette, host: str, port: int) -> AsyncIterator[str]:
    """Answers at the URL that it gives, until the end of the block; port 0 picks a free one.

    Raises InputError when it cannot listen there.
    """
    with _bound(host, port) as bound:
        server = _Server(
            uvicorn.Config(
                answers,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=round(_END_S),
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[bound]), name="listening")
        try:
            yield f"http://{host}:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals alone: they are the operator's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:  # the resolver would take 70000 for 4464
        raise InputError(f"{port} is not a port", where="--listen", mend="give one from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(host, port, error) from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen()  # Who asks before uvicorn accepts is queued, not refused.
    except OSError as error:
        bound.close()
        raise _unusable(host, port, error) from error
    return bound


def _unusable(host: str, port: int, error: OSError) -> InputError:
    why = error.strerror or error
    return InputError(f"nobody can listen at {host}:{port} ({why})", where="--listen", mend="give another address")
