"""An emulated accelerator as a process: cold start, service, draining, and death when its instance is reclaimed."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
import uvloop

from holdfast.model.errors import InputError
from holdfast.serving.app import Face
from holdfast.serving.device import Device
from holdfast.serving.engine import ContinuousBatching
from holdfast.serving.lifecycle import Lifecycle, Phase
from holdfast.serving.metrics import Metrics
from holdfast.serving.profiles import Profile

EMULATED_HEADER = "x-holdfast-emulated"
_LOG = logging.getLogger("holdfast.serving")
_KILLED = 137  # what a shell shows for a process that SIGKILL ended
_LOST = 1
_BACKLOG = 2048
_KEEP_ALIVE_S = 75


class _Listener(uvicorn.Server):
    """Uvicorn with its two moments handed out: when it accepts connections, and when a signal asks it to end."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None], signalled: Callable[[], object]) -> None:
        super().__init__(config)
        self._listening = listening
        self._signalled = signalled

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._signalled()


class EmulatedServer:
    """One emulated unit on one socket.

    profile:         in emulated time; every duration is divided by `time_scale`.
    drain_timeout_s: wall seconds that requests in flight are given after SIGTERM.
    """

    def __init__(self, profile: Profile, *, time_scale: float, drain_timeout_s: float) -> None:
        self._profile = profile.scaled(time_scale)
        self._drain_timeout_s = drain_timeout_s
        self._lifecycle = Lifecycle(f"loading the model takes {self._profile.cold_start_s:g} s")
        metrics = Metrics(
            unit=profile.name,
            model=profile.model,
            time_scale=time_scale,
            has_tokens=isinstance(profile.device, ContinuousBatching),
        )
        self._device = Device(self._profile.device.engine(), metrics.step_ended)
        metrics.watch(self._device.occupancy, self._device.busy_s)
        self._app = Face(
            self._profile,
            time_scale=time_scale,
            device=self._device,
            lifecycle=self._lifecycle,
            published=metrics,
            withdraw=self._withdraw,
        ).app()
        self._stop = asyncio.Event()

    def run(self, listener: socket.socket, on_listening: Callable[[], None]) -> None:
        """Serve on the bound socket until SIGTERM or SIGINT has been obeyed; `on_listening` is called once."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(listener, on_listening))

    async def _serve(self, listener: socket.socket, on_listening: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        server = _Listener(self._config(), on_listening, functools.partial(loop.call_soon_threadsafe, self._signalled))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._device.run(), name="device"),
                group.create_task(self._load(), name="cold start"),
                group.create_task(self._drain(server), name="drain"),
            ]
            await server.serve(sockets=[listener])
            for task in tasks:
                task.cancel()

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            headers=[(EMULATED_HEADER, self._profile.name)],
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )

    async def _load(self) -> None:
        await asyncio.sleep(self._profile.cold_start_s)
        if self._lifecycle.phase is Phase.LOADING:
            self._lifecycle.move(Phase.READY, "the model is loaded")
            _LOG.info("ready unit=%s", self._profile.name)

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._die(_LOST, "a second signal came while draining")
        self._leave("a signal asked the process to end")
        self._stop.set()

    def _withdraw(self, notice_s: float) -> None:
        if notice_s == 0:
            self._die(_KILLED, "withdrawn without notice")
        self._leave(f"the instance is reclaimed in {notice_s:g} s")
        asyncio.get_running_loop().call_later(notice_s, self._die, _KILLED, "withdrawn")

    def _leave(self, reason: str) -> None:
        if self._lifecycle.phase is not Phase.DRAINING:
            self._lifecycle.move(Phase.DRAINING, reason)
            _LOG.info("draining unit=%s reason=%r", self._profile.name, reason)

    async def _drain(self, server: uvicorn.Server) -> None:
        """Let requests in flight finish, then the connections. The listener stays, so that /readiness can tell why."""
        await self._stop.wait()
        asyncio.get_running_loop().call_later(self._drain_timeout_s, self._die, _LOST, "the drain timed out")
        await self._device.idle()
        server.should_exit = True

    def _die(self, status: int, reason: str) -> None:
        _LOG.warning("ended unit=%s reason=%r in_flight=%d", self._profile.name, reason, self._device.in_flight)
        os._exit(status)


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket bound to the address, port 0 for any free one. Raises InputError when it cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"the host {host!r} cannot be used ({error})", mend="give another --host") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise InputError(f"cannot listen on {host}:{port} ({error})", mend="give another --port") from error
    return bound
