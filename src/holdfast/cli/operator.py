"""`holdfast operator`: keeps the InferenceFleets of a cluster as they are declared."""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import clusters
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
def operator(**given: Any) -> None:
    """Keep the InferenceFleets of a cluster as they are declared, until stopped.

    \b
    holdfast operator             # in a cluster, as `holdfast render` deploys it
    holdfast operator --dry-run   # from anywhere: what would it do?

    Of several, the one that holds the Lease acts, and the others watch. The Lease is in the namespace $POD_NAMESPACE,
    else in that of the kubeconfig's context. Exit code 0 when it was stopped.
    """
    from holdfast.cli.work import operator as work

    work.operator(**given)
