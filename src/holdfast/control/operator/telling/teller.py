"""What came of a look, told: the status of the fleet, Events about it, metrics, and a line of the log.

None of it decides anything. Where it cannot be written, the next look tells what is so then.
"""

from __future__ import annotations

import logging

import pydantic

from holdfast.control.operator.account import Account, Result
from holdfast.control.operator.office import Office
from holdfast.control.operator.telling import said
from holdfast.control.operator.telling.exported import Exported
from holdfast.control.operator.telling.said import Memory
from holdfast.control.operator.telling.status import status, worth_writing
from holdfast.kube import kinds
from holdfast.kube.connection import Connection
from holdfast.kube.errors import ConflictError, KubeError, NotFoundError
from holdfast.kube.kinds import Object
from holdfast.model import codec
from holdfast.model.status import FleetStatus

EVERY_S = 1.0
"""Between two writes of a fleet's status at least."""

FAILED_S = 5.0
"""Before a status is tried again that could not be written."""

log = logging.getLogger("holdfast.operator")


class Teller:
    """Tells of one fleet. instance: who says so, a pod."""

    def __init__(self, connection: Connection, office: Office, exported: Exported, *, instance: str) -> None:
        self._connection, self._office, self._exported, self._instance = connection, office, exported, instance
        self._told: FleetStatus | None = None
        self._written: FleetStatus | None = None
        self._written_s: float | None = None
        self._not_before_s = 0.0
        self._memory = Memory()

    async def tell(self, account: Account) -> float | None:
        """Tells of a look. When to look again at the latest for what is left to tell; None for nothing."""
        if self._told is None:
            self._told = self._written = last_status(account.fleet)
        before, after = self._told, status(account, self._told)
        self._told = after
        self._exported.look(account, before, after)
        _log(account, before, after)
        if not self._office.acts or not self._office.leads():
            return None
        # First the status, which is the truth; who reads an event may look for it there.
        again_s = await self._write(account, after)
        await self._say(account, before, after)
        return again_s

    async def _write(self, account: Account, after: FleetStatus) -> float | None:
        now_s = account.now_s
        age_s = now_s if self._written_s is None else now_s - self._written_s
        if not worth_writing(self._written, after, age_s):
            return None
        if now_s < self._not_before_s:
            return self._not_before_s
        try:
            version = account.fleet["metadata"]["resourceVersion"]
            await self._connection.apply(_resource(account, after), subresource="status", resource_version=version)
        except (ConflictError, NotFoundError):
            # The fleet has moved on, or is gone: the watch is about to say so, and that wakes the loop.
            self._not_before_s = now_s + EVERY_S
            return self._not_before_s
        except KubeError as error:
            log.warning("status not written", extra={**_who(account), "because": str(error)})
            self._not_before_s = now_s + FAILED_S
            return self._not_before_s
        self._written, self._written_s, self._not_before_s = after, now_s, now_s + EVERY_S
        return None

    async def _say(self, account: Account, before: FleetStatus | None, after: FleetStatus) -> None:
        sayings = said.sayings(before, after, account)
        self._memory, writes = said.tell(
            self._memory, sayings, account.fleet, instance=self._instance, now_s=account.now_s
        )
        try:
            for event in writes.created:
                await self._connection.create(kinds.EVENT, event, account.namespace)
            for name, patch in writes.patched.items():
                await self._connection.merge(kinds.EVENT, name, account.namespace, patch)
        except ConflictError:
            return
        except KubeError as error:
            log.warning("event not said", extra={**_who(account), "because": str(error)})


def last_status(fleet: Object) -> FleetStatus | None:
    """The status that the resource has; None where it has none that is understood."""
    try:
        return pydantic.TypeAdapter(FleetStatus).validate_python(fleet["status"], by_alias=True, by_name=False)
    except (KeyError, pydantic.ValidationError):
        return None


def _resource(account: Account, after: FleetStatus) -> Object:
    """What is applied, at the version that was looked at: nobody writes over what a successor has told."""
    described = account.fleet["metadata"]
    return {
        "apiVersion": account.fleet["apiVersion"],
        "kind": account.fleet["kind"],
        "metadata": {"name": described["name"], "namespace": described["namespace"]},
        "status": {key: value for key, value in codec.to_jsonable(after).items() if value is not None},
    }


def _who(account: Account) -> dict[str, str]:
    return {"fleet": f"{account.namespace}/{account.name}"}


def _log(account: Account, before: FleetStatus | None, after: FleetStatus) -> None:
    """A line for each look that changed something."""
    if account.error or account.result in (None, Result.UNCHANGED):
        return
    decision = account.decision
    assert decision is not None
    changed = before is None or before.weights != after.weights or before.mode != after.mode
    log.log(
        logging.INFO if changed else logging.DEBUG,
        "decided",
        extra={
            **_who(account),
            "result": account.result.value if account.result else "",
            "mode": after.mode.value,
            "weights": after.weights,
            "summary": decision.summary,
        },
    )
