"""What `holdfast operator` does. Its flags are in `cli.operator`."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
from pathlib import Path

from prometheus_client import CollectorRegistry

from holdfast.cli import log_lines, running
from holdfast.control.operator.loop import Operator
from holdfast.control.operator.metrics.sources import Sources
from holdfast.control.operator.plans.planner import Planner
from holdfast.control.operator.telling import listening
from holdfast.kube import leases
from holdfast.kube.connection import Connection
from holdfast.kube.leases import Leadership


def operator(
    lease: str,
    listen: tuple[str, int],
    namespaces: tuple[str, ...],
    dry_run: bool,
    json_logs: bool,
    kubeconfig: Path | None,
    context: str | None,
) -> None:
    """See `holdfast operator --help`. Raises InputError."""
    log_lines.begin(as_json=json_logs)
    instance = os.environ.get("POD_NAME") or socket.gethostname()

    async def operate() -> None:
        chance = random.Random(leases.identity(instance))
        connection = Connection.from_environment(kubeconfig=kubeconfig, context=context)
        async with connection, Sources() as sources:
            leadership = None
            if not dry_run:
                space = os.environ.get("POD_NAMESPACE") or connection.namespace
                leadership = Leadership(connection, lease, space, leases.identity(instance), clock=time.time)
            own = Operator(
                connection,
                leadership,
                Planner(time.time),
                sources.of,
                instance=instance,
                namespaces=namespaces,
                clock=time.time,
                chance=chance,
            )
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, own.stop)
            registry = CollectorRegistry()
            registry.register(own.exported)
            app = listening.app(registry, beat_age_s=lambda: own.beat_age_s, unready=lambda: own.unready)
            async with listening.listening(app, *listen):
                await own.run()

    running.run(operate())
