"""What `holdfast failover` does. Its flags are in `cli.failover`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import flags
from holdfast.cli.work import clusters
from holdfast.control.operator.reasons import Type
from holdfast.control.operator.telling import by_hand, shown
from holdfast.control.operator.telling.by_hand import Override
from holdfast.control.operator.telling.shown import Shown
from holdfast.kube.kinds import FLEET, Object
from holdfast.model.errors import InputError
from holdfast.reports import terminal

if TYPE_CHECKING:
    from holdfast.kube.connection import Connection

_LOOK_S = 0.5
"""Between looks at the status: a person waits, and a fleet is looked at within a fifth of a second."""

_WHAT_HAPPENS = {
    Override.CAPACITY: "From now on every ready replica gets the same share of the traffic, whatever it costs, until "
    "you take it back. Replicas are left as they are asked for: nothing is scaled for capacity that is lost meanwhile.",
    Override.COST: "Traffic goes to the cheapest pools at once, as far as they have ready replicas: without "
    "dwell time and in one step, until you take it back. What protects requests stays: no traffic to a pool without a "
    "ready replica, none above its limit while another has room.",
    Override.AUTO: "From now on the fleet's own policy decides again. If capacity is as planned, a failover by hand is "
    "taken back by steps, after the dwell time.",
}


def failover(
    fleet: str,
    asked: str,
    namespace: str | None,
    kubeconfig: Path | None,
    context: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """See `holdfast failover --help`. Raises InputError."""
    override = Override(asked)

    async def work(connection: Connection) -> bool:
        where = namespace or connection.namespace
        found = await clusters.fleet(connection, fleet, where)
        _can(found, override)
        text = None if override is Override.AUTO else override.value
        await connection.merge(FLEET, fleet, where, {"metadata": {"annotations": {by_hand.ANNOTATION: text}}})
        if not as_json:
            click.echo(terminal.text(terminal.prose(_WHAT_HAPPENS[override])), nl=False)
            if override is not Override.AUTO:
                click.echo(f"To take it back: holdfast failover {fleet} -n {where} --to auto")
        try:
            async with asyncio.timeout(wait_s):
                now = await _taken_up(connection, fleet, where, override)
        except TimeoutError:
            now = None
        _tell(fleet, where, override, now, wait_s, as_json)
        return now is not None

    if not clusters.ask(work, kubeconfig, context):
        raise click.exceptions.Exit(1)


def _can(fleet: Object, asked: Override) -> None:
    """Raises InputError where what is asked would do nothing."""
    policy = fleet["spec"].get("routing", {}).get("policy", "merit-order")
    if asked is Override.COST and policy != "merit-order":
        raise InputError(
            f"the fleet's policy is {policy}, which has neither dwell time nor ramp to set aside",
            where="--to cost",
            mend="change spec.routing.policy",
        )


async def _taken_up(connection: Connection, name: str, namespace: str, asked: Override) -> Shown:
    """The fleet, once its status was written with what is asked."""
    while True:
        now = shown.read(await clusters.fleet(connection, name, namespace))
        told = now.condition(Type.FAILED_OVER)
        if told is not None and told.status != "Unknown" and by_hand.shown(told.message) is asked:
            return now
        await asyncio.sleep(_LOOK_S)


def _tell(name: str, namespace: str, asked: Override, now: Shown | None, wait_s: float, as_json: bool) -> None:
    status = None if now is None else now.status
    if as_json:
        weights = None if status is None else {pool.unit: pool.weight for pool in status.pools}
        mode = None if status is None else status.mode.value
        flags.echo_json(
            {
                "namespace": namespace,
                "name": name,
                "to": asked.value,
                "taken_up": status is not None,
                "mode": mode,
                "weights": weights,
            }
        )
    elif status is None:
        late = f"The operator has not taken it up within {wait_s:g} s. The annotation stays, and counts when it does."
        click.echo(terminal.text(terminal.prose(late)), nl=False)
        click.echo(f"To see what it does: holdfast status {name} -n {namespace}")
    else:
        weights_now = ", ".join(f"{pool.unit} {pool.weight}" for pool in status.pools)
        taken = f"The operator has taken it up: mode {status.mode.value}, weights {weights_now}."
        click.echo(terminal.text(terminal.prose(taken)), nl=False)
