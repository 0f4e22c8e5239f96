"""The flags that say what is read and shown of a load while it is sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from holdfast.cli.sections import option
from holdfast.model.errors import InputError

if TYPE_CHECKING:
    from holdfast.load.exporter import Published
    from holdfast.load.scrape import Source


def _exporters(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[Source, ...]:
    if not values:
        return ()
    from holdfast.load.scrape import Source

    return tuple(map(Source.exporter, values))


scrape_option = option(
    "Run",
    "--scrape",
    "exporters",
    multiple=True,
    metavar="NAME=URL",
    callback=_exporters,
    help="Also read this exporter of device metrics; NAME=URL{gpu=\"0\"} reads some devices.",
)  # fmt: skip

quiet_option = option("Run", "--quiet", is_flag=True, help="Show nothing while it runs.")


@dataclass(frozen=True)
class MetricsPage:
    """Where metrics are served. port: None for nowhere."""

    host: str
    port: int | None

    @contextlib.contextmanager
    def serving(self, targets: Sequence[Published]) -> Iterator[None]:
        """Serves the targets' tallies within the block, and says where on standard error."""
        if self.port is None:
            yield
            return
        from holdfast.load.exporter import published

        with published(targets, self.host, self.port) as url:
            click.echo(f"metrics: {url}", err=True)
            yield


OPTIONS = (
    option(
        "Run",
        "--metrics-port",
        "port",
        type=click.IntRange(0, 65535),
        help="Publish the load for Prometheus here, e.g. 9109.",
    ),
    option(
        "Run",
        "--metrics-host",
        "host",
        default="127.0.0.1",
        show_default=True,
        help="Where --metrics-port listens.",
    ),
)


def exporters_of(name: str, names: Sequence[str], exporters: Sequence[Source]) -> tuple[Source, ...]:
    """The exporters of one target: all of them when it is the only one, else those of its name.

    Raises InputError for an exporter that no target has the name of.
    """
    if len(names) == 1:
        return tuple(exporters)
    for exporter in exporters:
        if exporter.name not in names:
            raise InputError(
                f"{exporter.name!r} is none of the targets",
                where="--scrape",
                mend=f"with several targets, write NAME=URL with the name of its target: {', '.join(names)}",
            )
    return tuple(exporter for exporter in exporters if exporter.name == name)
