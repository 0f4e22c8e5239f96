"""Asking a cluster, and what it says in one sentence."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from holdfast.kube import errors
from holdfast.kube.kinds import FLEET, Object
from holdfast.model.errors import InputError, UnreachableError

if TYPE_CHECKING:
    from holdfast.kube.connection import Connection

T = TypeVar("T")

_INSTALL = "install the operator: `kubectl apply --server-side -k operator` in a rendered tree"


def ask(work: Callable[[Connection], Awaitable[T]], kubeconfig: Path | None, context: str | None) -> T:
    """What `work` finds in the cluster. Raises InputError for what the cluster, or the way to it, answers instead."""
    return asyncio.run(_asked(work, kubeconfig, context))


async def _asked(work: Callable[[Connection], Awaitable[T]], kubeconfig: Path | None, context: str | None) -> T:
    from holdfast.kube.connection import Connection  # only here: it loads TLS and HTTP, and `--help` need not

    try:
        async with Connection.from_environment(kubeconfig=kubeconfig, context=context) as connection:
            return await work(connection)
    except errors.UnavailableError as error:
        mend = "is the cluster up, and is it the right --context"
        raise UnreachableError(f"the API server does not answer ({error})", mend=mend) from error
    except errors.NotFoundError as error:
        raise InputError("the cluster does not know InferenceFleets", mend=_INSTALL) from error
    except errors.KubeError as error:
        raise InputError(f"the API server refuses ({error})", mend="ask who runs the cluster for the right") from error


async def fleet(connection: Connection, name: str, namespace: str) -> Object:
    """The InferenceFleet of that name. Raises InputError where there is none, and KubeError."""
    try:
        return await connection.get(FLEET, name, namespace)
    except errors.NotFoundError:
        there = [one["metadata"]["name"] for one in (await connection.list(FLEET, namespace)).items]
    near = difflib.get_close_matches(name, there, n=1, cutoff=0.4)
    mend = f"did you mean {near[0]!r}" if near else "`holdfast status -A` shows all fleets"
    raise InputError(f"there is no fleet {name!r} in the namespace {namespace}", mend=mend)
