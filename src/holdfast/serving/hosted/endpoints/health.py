"""What every server answers, whatever it serves and however far along it is: /health, /readiness and /metrics."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from holdfast.serving import families
from holdfast.serving.hosted.service import Service
from holdfast.serving.lifecycle import Phase


class Health:
    """What a server says of itself."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def router(self) -> APIRouter:
        router = APIRouter(tags=["server"])
        for path, endpoint in (
            ("/health", self.health),
            ("/readiness", self.readiness),
            ("/metrics", self.metrics),
        ):
            router.add_api_route(path, endpoint, methods=["GET"], response_class=Response)
        return router

    async def health(self) -> Response:
        """Whether the process is alive: it is if it answers."""
        return JSONResponse({"status": "alive"})

    async def readiness(self) -> Response:
        """200 when the model is loaded and warmed up and the server is not draining; else 503 and the reason."""
        life = self._service.lifecycle
        status = 200 if life.phase is Phase.READY else 503
        return JSONResponse({"status": life.phase.value, "reason": life.reason}, status_code=status)

    async def metrics(self) -> Response:
        """All metrics in the Prometheus text format."""
        return Response(self._service.exposition(), headers={"content-type": families.CONTENT_TYPE})
