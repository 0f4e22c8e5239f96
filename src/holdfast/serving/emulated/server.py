"""An emulated accelerator as a process: cold start, service, draining, and death when its instance is reclaimed."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
import uvloop

from holdfast.serving import listening
from holdfast.serving.emulated.answers import TRANSPORT
from holdfast.serving.emulated.app import Ends, Face
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.device import Device
from holdfast.serving.emulated.faults import Draw, Faults
from holdfast.serving.emulated.metrics import Metrics
from holdfast.serving.emulated.profiles import Profile
from holdfast.serving.lifecycle import Lifecycle, Phase

EMULATED_HEADER = "x-holdfast-emulated"
_LOG = logging.getLogger("holdfast.serving")
_KILLED = 137  # what a shell shows for a process that SIGKILL ended
_CRASHED = 139  # the same of one that ended with a segmentation fault
_LOST = 1


class _Connection(listening.Connection):
    """A connection that its requests can find, to be reset."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]


@dataclass(frozen=True)
class Settings:
    """How a unit is served. Times are emulated but for drain_timeout_s, what requests in flight get after SIGTERM.

    crash_after_s, withdraw_after_s: after readiness, None for never; withdraw_notice_s: before it is killed.
    max_body_mib: of a request. certificate, key: files for HTTPS.
    """

    time_scale: float = 1.0
    drain_timeout_s: float = 30.0
    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    crash_after_s: float | None = None
    withdraw_after_s: float | None = None
    withdraw_notice_s: float = 0.0
    max_body_mib: float = 4.0
    certificate: Path | None = None
    key: Path | None = None


class EmulatedServer:
    """One emulated unit on one socket. profile: in emulated time; every duration is divided by the time scale."""

    def __init__(self, profile: Profile, settings: Settings) -> None:
        self._profile = profile.scaled(settings.time_scale)
        self._settings = settings
        self._lifecycle = Lifecycle(f"loading the model takes {self._profile.cold_start_s:g} s")
        metrics = Metrics(
            unit=profile.name,
            model=profile.model,
            time_scale=settings.time_scale,
            has_tokens=isinstance(profile.device, ContinuousBatching),
        )
        ready_s = time.monotonic() + self._profile.cold_start_s
        self._device = Device(self._profile.device.engine(ready_s), metrics)
        metrics.watch(self._device.occupancy, self._device.busy_s)
        self._app = Face(
            self._profile,
            time_scale=settings.time_scale,
            device=self._device,
            lifecycle=self._lifecycle,
            published=metrics,
            draw=Draw(settings.faults.scaled(settings.time_scale), settings.seed),
            ends=Ends(self._withdraw, self._crash),
            max_body_mib=settings.max_body_mib,
        ).app()
        self._stop = asyncio.Event()

    def run(self, listener: socket.socket, on_listening: Callable[[], None]) -> None:
        """Serve on the bound socket until SIGTERM or SIGINT has been obeyed; `on_listening` is called once."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(listener, on_listening))

    async def _serve(self, listener: socket.socket, on_listening: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        signalled = functools.partial(loop.call_soon_threadsafe, self._signalled)
        server = listening.Listener(self._config(), on_listening, signalled)
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
        return listening.config(
            self._app,
            certificate=self._settings.certificate,
            key=self._settings.key,
            connection=_Connection,
            headers=[(EMULATED_HEADER, self._profile.name)],
        )

    async def _load(self) -> None:
        await asyncio.sleep(self._profile.cold_start_s)
        if self._lifecycle.phase is Phase.LOADING:
            self._lifecycle.move(Phase.READY, "the model is loaded")
            _LOG.info("ready unit=%s", self._profile.name)
            self._expect_the_end()

    def _expect_the_end(self) -> None:
        loop, settings = asyncio.get_running_loop(), self._settings
        if settings.crash_after_s is not None:
            loop.call_later(settings.crash_after_s / settings.time_scale, self._crash)
        if settings.withdraw_after_s is not None:
            notice_s = settings.withdraw_notice_s / settings.time_scale
            loop.call_later(settings.withdraw_after_s / settings.time_scale, self._withdraw, notice_s)

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

    def _crash(self) -> None:
        self._die(_CRASHED, "crashed on purpose")

    def _leave(self, reason: str) -> None:
        if self._lifecycle.phase is not Phase.DRAINING:
            self._lifecycle.move(Phase.DRAINING, reason)
            _LOG.info("draining unit=%s reason=%r", self._profile.name, reason)

    async def _drain(self, server: uvicorn.Server) -> None:
        """Let requests in flight finish, then the connections. The listener stays, so that /readiness can tell why."""
        await self._stop.wait()
        asyncio.get_running_loop().call_later(self._settings.drain_timeout_s, self._die, _LOST, "the drain timed out")
        await self._device.idle()
        server.should_exit = True

    def _die(self, status: int, reason: str) -> None:
        _LOG.warning("ended unit=%s reason=%r in_flight=%d", self._profile.name, reason, self._device.in_flight)
        os._exit(status)
