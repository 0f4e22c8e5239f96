"""The words of conditions: commands to run, counts, times."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from holdfast.control.operator.account import Account

MOST = 2000
"""Characters of a message: what more there is to say is in the log."""


def look_failed(account: Account) -> str:
    return (
        f"The operator failed while it looked at the fleet ({account.error}) and tries again; weights stay as they "
        "are. `kubectl -n holdfast-system logs deploy/holdfast-operator` has the traceback."
    )


def unanswered() -> str:
    return (
        "The API server has not told of the fleet for half a minute; weights and replicas are held. "
        "`kubectl -n holdfast-system logs deploy/holdfast-operator` says what fails."
    )


def metrics() -> str:
    return "The operator's log says what Prometheus or CloudWatch answered."


def waiting(account: Account) -> str:
    return (
        f"`kubectl -n {account.namespace} get pods -l app.kubernetes.io/name={account.name}` shows what they wait for."
    )


def failover(account: Account) -> str:
    return f"holdfast failover {account.name} -n {account.namespace} --to"


def shortened(message: str) -> str:
    return message if len(message) <= MOST else f"{message[: MOST - 1]}…"


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def rate(rate_per_s: float) -> str:
    return f"{rate_per_s:.3g}/s"


def clock(t_s: float) -> str:
    """As a person reads it: the second in which it is, UTC."""
    return datetime.datetime.fromtimestamp(int(t_s), datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
