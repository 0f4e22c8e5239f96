"""From a model's files to an application that answers for it: place, load, warm up. Loads PyTorch; blocks for long."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from fastapi import FastAPI

from holdfast.serving.hosted import cloudwatch, loaded
from holdfast.serving.hosted.devices import choose
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.loaded import Model
from holdfast.serving.hosted.metrics import Labels, Published
from holdfast.serving.hosted.served import serving
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.settings import CloudWatch, Settings
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.lifecycle import Phase
from holdfast.telemetry.publishing.cloudwatch import CloudWatchMetrics
from holdfast.telemetry.publishing.datums import Source
from holdfast.telemetry.publishing.publisher import LogLines, Publisher


@dataclass(frozen=True)
class Started:
    """What is there once the model is warm. publisher: None unless CloudWatch is told of the requests."""

    model: Model
    app: FastAPI
    publisher: Publisher | None


def start(found: ModelFiles, settings: Settings, service: Service, loop: asyncio.AbstractEventLoop) -> Started:
    """In the device's thread; `service` belongs to the event loop. Raises InputError."""

    def say(phase: Phase, reason: str) -> None:
        loop.call_soon_threadsafe(service.reach, phase, reason)

    device = choose.choose(settings.device, settings.framework, settings.dtype)
    labels = Labels(settings.unit, service.names[0], device.name, settings.node_pool)
    published = Published(labels, has_tokens=found.task is Task.TEXT_GENERATION)
    published.watch_readiness(lambda: service.lifecycle.phase is Phase.READY)
    publisher = None if settings.cloudwatch is None else _publisher(settings.cloudwatch, labels)
    if publisher is not None:
        cloudwatch.tell(published, publisher)
        publisher.start()
    loop.call_soon_threadsafe(service.publish, published)

    def warming() -> None:
        say(Phase.WARMING, "every shape that will be served is run once")

    model = Model(found, device, loaded.load(found, device, settings.bounds, published, warming=warming))
    app = serving(service, model)
    if settings.page:
        from holdfast.serving.hosted import page

        page.mount(app, model.loaded, found, labels=labels, bounds=settings.bounds, lifecycle=service.lifecycle)
    return Started(model, app, publisher)


def _publisher(told: CloudWatch, labels: Labels) -> Publisher:
    source = Source(labels.model, labels.unit, labels.device, labels.node_pool, told.namespace, told.app)
    delivery = LogLines(sys.stdout, source) if told.log_lines else CloudWatchMetrics.in_region(told.region, source)
    return Publisher(delivery)
