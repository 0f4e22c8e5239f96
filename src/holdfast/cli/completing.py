"""What a shell may complete values with: names that the package knows, each looked up when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def _of(names: Callable[[], Iterable[str]], *, or_file: bool = False) -> Complete:
    """Completes with the names. or_file: with a path, where no name begins so."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name) for name in names() if name.startswith(begun)]
        return found if found or not or_file else [CompletionItem(begun, type="file")]

    return complete


def _units() -> Iterable[str]:
    from holdfast.serving.emulated import profiles

    return profiles.profile_names()


def _models() -> Iterable[str]:
    from holdfast.catalog import models

    return (entry.id for entry in models.entries())


def _instance_types() -> Iterable[str]:
    from holdfast import catalog

    return (kind.name for kind in catalog.instance_types())


def _accelerators() -> Iterable[str]:
    from holdfast import catalog

    return (device.name for device in catalog.accelerators())


def _regions() -> Iterable[str]:
    from holdfast.catalog import prices

    return prices.regions()


units, models = _of(_units, or_file=True), _of(_models, or_file=True)
instance_types, accelerators, regions = _of(_instance_types), _of(_accelerators), _of(_regions)
