"""`holdfast operator`: keeps the InferenceFleets of a cluster as they are declared."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
from pathlib import Path

import click
from prometheus_client import CollectorRegistry

from holdfast.cli import clusters, log_lines, running
from holdfast.control.operator.loop import Operator
from holdfast.control.operator.metrics.sources import Sources
from holdfast.control.operator.plans.planner import Planner
from holdfast.control.operator.telling import listening
from holdfast.kube import leases
from holdfast.kube.connection import Connection
from holdfast.kube.leases import Leadership
from holdfast.model.errors import InputError


def _address(_: click.Context, option: click.Parameter, value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not host or not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise InputError(f"{value!r} is not HOST:PORT", where=option.opts[0], mend="give e.g. 127.0.0.1:8080")
    return host.strip("[]"), int(port)


@click.command()
@click.option("--lease", type=clusters.NAME, default="holdfast-operator", show_default=True, help="Elects the leader.")
@click.option(
    "--listen",
    callback=_address,
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    help="Where /healthz, /readyz and /metrics are.",
)
@click.option(
    "--namespace", "-n", "namespaces", type=clusters.NAME, multiple=True, help="Only fleets in it; repeatable."
)
@click.option("--dry-run", is_flag=True, help="Write nothing; log what would be written.")
@click.option("--json-logs", is_flag=True, help="Log lines as JSON.")
@clusters.options
def operator(
    lease: str,
    listen: tuple[str, int],
    namespaces: tuple[str, ...],
    dry_run: bool,
    json_logs: bool,
    kubeconfig: Path | None,
    context: str | None,
) -> None:
    """Keep the InferenceFleets of a cluster as they are declared, until stopped.

    \b
    holdfast operator                      in a cluster, as `holdfast render` deploys it
    holdfast operator --dry-run            from anywhere: what would it do?

    Of several, the one that holds the Lease acts, and the others watch. The Lease is in the namespace $POD_NAMESPACE,
    else in that of the kubeconfig's context. Exit code 0 when it was stopped.
    """
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
