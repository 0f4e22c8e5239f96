"""A model server as a process: it listens at once, loads, warms up, serves, and drains when it is told to end."""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from fastapi import FastAPI

from holdfast.model.errors import HoldfastError, InputError
from holdfast.serving import listening
from holdfast.serving.hosted import app as apps
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.service import Model, Service
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.hosted.threads import DEVICE
from holdfast.serving.lifecycle import Phase

_LOG = logging.getLogger("holdfast.serving")
_LOST = 1


@dataclass(frozen=True)
class Settings:
    """What is served, where and how.

    model: an id of the Hub, or a folder; names: others that it answers to. task, framework, dtype, revision: None for
    what the model or the device says. keys: one of which requests must bring, if any. certificate, key: files
    for HTTPS. drain_timeout_s: what requests in flight get after SIGTERM. page: whether there is one at /serve.
    """

    model: str
    names: tuple[str, ...] = ()
    task: Task | None = None
    device: str = "auto"
    framework: str | None = None
    dtype: str | None = None
    revision: str | None = None
    local_only: bool = False
    trust_remote_code: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    unit: str = ""
    node_pool: str = ""
    drain_timeout_s: float = 30.0
    keys: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    page: bool = False


class HostedServer:
    """One model on one socket."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._service = Service(
            (settings.model, *settings.names), settings.bounds, unit=settings.unit, node_pool=settings.node_pool
        )
        self._front = apps.Front(self._service, apps.loading(self._service), settings.keys)
        self._model: Model | None = None
        self._refused: HoldfastError | None = None
        self._stop = asyncio.Event()

    def run(self, listener: socket.socket, on_listening: Callable[[], None]) -> None:
        """Serve on the bound socket until SIGTERM or SIGINT has been obeyed; `on_listening` is called once.

        Raises InputError when the model cannot be loaded.
        """
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(listener, on_listening))
        if self._refused is not None:
            raise self._refused

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

    async def _live(self, server: listening.Listener) -> None:
        """Load the model and answer its requests."""
        loop = asyncio.get_running_loop()
        try:
            self._model = model = await loop.run_in_executor(DEVICE, self._load, loop)
        except HoldfastError as error:
            self._refused = error
            server.should_exit = True
            return
        self._front.app = self._served(model)
        # What was made until now stays: it is not to be looked through while requests wait.
        gc.collect()
        gc.freeze()
        async with asyncio.TaskGroup() as group:
            group.create_task(model.loaded.run(), name="batches")
            if self._service.lifecycle.phase is not Phase.DRAINING:
                self._service.lifecycle.move(Phase.READY, "the model is loaded and warmed up")
                _LOG.info("ready model=%s device=%s kind=%r", model.files.name, model.device.name, model.device.kind)

    def _load(self, loop: asyncio.AbstractEventLoop) -> Model:
        """In the device's thread: the libraries too, which take seconds to import. Raises InputError."""
        from holdfast.serving.hosted import files
        from holdfast.serving.hosted.devices import choose
        from holdfast.serving.hosted.loaded import load
        from holdfast.serving.hosted.metrics import Labels, Published

        settings, service = self._settings, self._service
        found = files.find(
            settings.model,
            task=settings.task,
            local_only=settings.local_only,
            trust_remote_code=settings.trust_remote_code,
            revision=settings.revision,
        )
        device = choose.choose(settings.device, settings.framework, settings.dtype)
        labels = Labels(settings.unit, service.names[0], device.name, settings.node_pool)
        published = Published(labels, has_tokens=found.task is Task.TEXT_GENERATION)
        loop.call_soon_threadsafe(service.publish, published)

        def warming() -> None:
            loop.call_soon_threadsafe(self._move, Phase.WARMING, "every shape that will be served is run once")

        try:
            return Model(found, device, load(found, device, settings.bounds, published, warming=warming))
        except HoldfastError:
            raise
        except Exception as error:
            # The libraries raise whatever they like at files that they do not understand.
            _LOG.exception("the model cannot be loaded")
            first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise InputError(
                f"the model cannot be loaded ({first})", where=settings.model, mend="the log has the whole of it"
            ) from error

    def _served(self, model: Model) -> FastAPI:
        from holdfast.serving.hosted.served import serving

        app = serving(self._service, model)
        if self._settings.page:
            importlib.import_module("holdfast.serving.hosted.page").mount(app, model.loaded, model.files)
        return app

    def _move(self, phase: Phase, reason: str) -> None:
        if self._service.lifecycle.phase is not Phase.DRAINING:
            self._service.lifecycle.move(phase, reason)
            _LOG.info("%s model=%s reason=%r", phase.value, self._settings.model, reason)

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._die(_LOST, "a second signal came while draining")
        self._move(Phase.DRAINING, "a signal asked the process to end")
        self._stop.set()

    async def _drain(self, server: listening.Listener) -> None:
        """Let requests in flight finish, then the connections. The listener stays, so that /readiness can tell why."""
        await self._stop.wait()
        if self._model is None:
            self._die(0, "the model was still being loaded")  # which nothing can interrupt
            return
        timeout_s = self._settings.drain_timeout_s
        asyncio.get_running_loop().call_later(timeout_s, self._die, _LOST, "the drain timed out")
        await self._model.loaded.idle()
        server.should_exit = True

    def _die(self, status: int, reason: str) -> None:
        _LOG.warning("ended model=%s reason=%r", self._settings.model, reason)
        logging.shutdown()
        os._exit(status)
