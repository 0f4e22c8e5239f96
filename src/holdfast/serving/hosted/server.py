"""A model server as a process: it listens at once, loads, warms up, serves, and drains when it is told to end."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvloop

from holdfast.model.errors import HoldfastError, InputError
from holdfast.serving import listening
from holdfast.serving.hosted import app as apps
from holdfast.serving.hosted import files
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.settings import Settings
from holdfast.serving.hosted.threads import on_device
from holdfast.serving.lifecycle import Phase

if TYPE_CHECKING:
    from holdfast.serving.hosted.starting import Started

_LOG = logging.getLogger("holdfast.serving")
_LOST = 1
_FLUSH_S = 5.0
"""What CloudWatch gets to take the last counts, after the drain."""


class HostedServer:
    """One model on one socket."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._service = Service(
            (*settings.names, settings.model), settings.bounds, unit=settings.unit, node_pool=settings.node_pool
        )
        self._front = apps.Front(self._service, apps.loading(self._service), settings.keys)
        self._started: Started | None = None
        self._failed: Exception | None = None
        self._stop = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None

    def run(self, listener: socket.socket, on_listening: Callable[[], None]) -> None:
        """Serve on the bound socket until SIGTERM or SIGINT has been obeyed; `on_listening` is called once.

        Raises InputError when the model cannot be loaded, and DeviceLostError when the device does not work any more.
        """
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(listener, on_listening))
        if self._failed is not None:
            raise self._failed

    async def _serve(self, listener: socket.socket, on_listening: Callable[[], None]) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        config = listening.config(self._front, certificate=settings.certificate, key=settings.key)
        signalled = functools.partial(loop.call_soon_threadsafe, self._signalled)
        server = listening.Listener(config, on_listening, signalled)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._live(server), name="model"),
                group.create_task(self._drain(server), name="drain"),
            ]
            await server.serve(sockets=[listener])
            for task in tasks:
                task.cancel()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._started is not None and self._started.publisher is not None:
            await loop.run_in_executor(None, self._started.publisher.close, _FLUSH_S)

    async def _live(self, server: listening.Listener) -> None:
        """Load the model and answer its requests, or have the server end."""
        try:
            await self._answer()
        except Exception as error:
            # Not for the task group: where uvicorn is cancelled its sockets stay open, and the loop never closes.
            self._failed = error
            self._service.reach(Phase.DRAINING, "the model failed")
            self._deadline = asyncio.get_running_loop().call_later(self._settings.drain_timeout_s, self._lose)
            server.should_exit = True

    async def _answer(self) -> None:
        self._started = started = await on_device(self._load, asyncio.get_running_loop())
        self._front.app = started.app
        # What was made until now stays: it is not to be looked through while requests wait.
        gc.collect()
        gc.freeze()
        self._service.reach(Phase.READY, "the model is loaded and warmed up")
        await started.model.loaded.run()

    def _load(self, loop: asyncio.AbstractEventLoop) -> Started:
        """In the device's thread: the libraries too, which take seconds to import. Raises InputError."""
        settings = self._settings
        found = files.find(
            settings.model,
            task=settings.task,
            local_only=settings.local_only,
            trust_remote_code=settings.trust_remote_code,
            revision=settings.revision,
        )
        loop.call_soon_threadsafe(self._service.reach, Phase.LOADING, "the model's files are here, and are loaded")
        try:
            from holdfast.serving.hosted import starting

            return starting.start(found, settings, self._service, loop)
        except HoldfastError:
            raise
        except Exception as error:
            # The libraries raise whatever they like at files that they do not understand.
            _LOG.exception("the model cannot be loaded")
            first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            mend = "the log has the whole of it"
            raise InputError(f"the model cannot be loaded ({first})", where=settings.model, mend=mend) from error

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._die(_LOST, "a second signal came while draining")
        self._service.reach(Phase.DRAINING, "a signal asked the process to end")
        self._stop.set()

    async def _drain(self, server: listening.Listener) -> None:
        """Let requests in flight finish, then the connections. The listener stays, so that /readiness can tell why."""
        await self._stop.wait()
        if self._started is None:
            self._die(0, "the model was still being loaded")  # which nothing can interrupt
            return
        timeout_s = self._settings.drain_timeout_s
        self._deadline = asyncio.get_running_loop().call_later(timeout_s, self._lose)
        await self._started.model.loaded.idle()
        server.should_exit = True

    def _lose(self) -> None:
        if self._started is not None and self._started.publisher is not None:
            self._started.publisher.close(_FLUSH_S)
        self._die(_LOST, "the drain timed out")

    def _die(self, status: int, reason: str) -> None:
        _LOG.warning("ended model=%s reason=%r", self._settings.model, reason)
        logging.shutdown()
        os._exit(status)
