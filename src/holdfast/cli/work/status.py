"""What `holdfast status` does. Its flags are in `cli.status`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import flags
from holdfast.cli.work import clusters
from holdfast.control.operator.telling import shown
from holdfast.control.operator.telling.shown import Shown
from holdfast.kube.errors import GoneError
from holdfast.kube.kinds import FLEET, Object
from holdfast.model.errors import InputError
from holdfast.reports import terminal

if TYPE_CHECKING:
    from holdfast.kube.connection import Connection


def status(
    fleet: str | None,
    namespace: str | None,
    everywhere: bool,
    kubeconfig: Path | None,
    context: str | None,
    watch: bool,
    as_json: bool,
) -> None:
    """See `holdfast status --help`. Raises InputError."""
    if everywhere and (fleet or namespace):
        raise InputError("all namespaces are asked for, and one of them", mend="leave out -A, or FLEET and -n")

    async def work(connection: Connection) -> bool:
        where = None if everywhere else namespace or connection.namespace
        if watch:
            await _follow(connection, fleet, where, as_json)
        found = await _find(connection, fleet, where)
        return _show(found[0], fleet, everywhere, as_json)

    if not clusters.ask(work, kubeconfig, context):
        raise click.exceptions.Exit(1)


async def _find(connection: Connection, name: str | None, namespace: str | None) -> tuple[list[Object], str]:
    """The fleets that are asked for, and the version of the list to watch from."""
    listing = await connection.list(FLEET, namespace)
    if name is None:
        return list(listing.items), listing.resource_version
    one = await clusters.fleet(connection, name, namespace or connection.namespace)
    return [one], listing.resource_version


async def _follow(connection: Connection, name: str | None, namespace: str | None, as_json: bool) -> None:
    """Shows what is asked for until the process is interrupted, and after every change."""
    while True:
        objects, version = await _find(connection, name, namespace)
        fleets = {_key(one): one for one in objects}
        _show_again(list(fleets.values()), name, namespace is None, as_json)
        fields = "" if name is None else f"metadata.name={name}"
        with contextlib.suppress(GoneError):
            async for event in connection.watch(FLEET, namespace, resource_version=version, fields=fields):
                if event.type == "BOOKMARK":
                    continue
                if event.type == "DELETED":
                    fleets.pop(_key(event.object), None)
                else:
                    fleets[_key(event.object)] = event.object
                _show_again(list(fleets.values()), name, namespace is None, as_json)


def _key(fleet: Object) -> tuple[str, str]:
    return fleet["metadata"]["namespace"], fleet["metadata"]["name"]


def _show_again(found: Sequence[Object], name: str | None, everywhere: bool, as_json: bool) -> None:
    if sys.stdout.isatty() and not as_json:
        click.clear()
    _show(found, name, everywhere, as_json)


def _show(found: Sequence[Object], name: str | None, everywhere: bool, as_json: bool) -> bool:
    """Prints the fleets, and says whether all are Ready."""
    fleets = [shown.read(one) for one in found]
    if as_json:
        flags.echo_json(
            {
                "fleets": [
                    {"namespace": one.namespace, "name": one.name, "ready": one.ready, "status": object.get("status")}
                    for one, object in zip(fleets, found, strict=True)
                ]
            }
        )
    elif name is not None:
        for one in fleets:
            _say(one)
    elif fleets:
        click.echo(terminal.text(terminal.table(shown.fleets(fleets, everywhere=everywhere))), nl=False)
        for one in fleets:
            if not one.ready:
                click.echo(f"\nholdfast status {one.name} -n {one.namespace}   says what to do")
    else:
        click.echo("There is no fleet here; `holdfast status -A` shows those of all namespaces.")
    return all(one.ready for one in fleets)


def _say(one: Shown) -> None:
    click.echo(terminal.text(terminal.answer(f"{one.name} in namespace {one.namespace}")), nl=False)
    if one.status is None:
        click.echo(terminal.text(terminal.prose(one.trouble)), nl=False)
        return
    for told in one.conditions:
        heading = f"{told.type} {told.status}, {told.reason}, since {told.last_transition_time}"
        click.echo(terminal.text(terminal.prose(heading)), nl=False)
        advice = shown.mend(told)
        for line in (told.message, f"To do: {advice}" if advice else ""):
            click.echo(_indented(line), nl=False)
    click.echo()
    click.echo(terminal.text(terminal.table(shown.pools(one.status))), nl=False)
    for pool in one.status.pools:
        click.echo(_indented(f"{pool.unit} {pool.reason}"), nl=False)
    if one.status.proposal is not None:
        click.echo("\nA new plan waits for you:")
        click.echo(_indented(one.status.proposal.reason), nl=False)
        click.echo(_indented(one.status.proposal.difference), nl=False)
        click.echo(f"To let it through:\n{shown.approval(one)}")


def _indented(text: str) -> str:
    """The lines of the text within 80 columns, two further in."""
    wrapped = "".join(terminal.text(terminal.prose(line), terminal.WIDTH - 2) for line in text.splitlines())
    return "".join(f"  {line}\n" for line in wrapped.splitlines())
