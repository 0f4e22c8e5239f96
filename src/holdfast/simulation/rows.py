"""The state of a simulated fleet: requests, replicas and pools as rows of numpy records, for `kernel` to change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from holdfast.simulation.histogram import BINS, GROWTH, LOWEST_S
from holdfast.simulation.service import Service

NOWHERE = -1
"""Stands for no replica, no pool or no place, in any of the rows."""

REQUEST = np.dtype(
    [
        ("finish", "f8"),  # virtual time at which it is done; unset while it waits
        ("arrived_s", "f8"),  # when it first came
        ("work", "f8"),
        ("tried", "u4"),  # bit p: an attempt at pool p has gone wrong
        ("tries", "i4"),  # attempts so far, beyond the first
    ]
)
REPLICA = np.dtype(
    [
        ("now_s", "f8"),  # how far it has been brought up to date
        ("virtual", "f8"),
        ("next_s", "f8"),  # its next departure, infinite when idle
        ("serving", "i4"),
        ("waiting", "i4"),
        ("head", "i4"),  # of its ring of waiting requests
        ("phase", "i4"),
        ("place", "i4"),  # where it stands among its pool's members
        ("due_place", "i4"),  # where it stands in its pool's heap of departures, NOWHERE when idle
        ("before", "i4"),  # neighbours in the ring of its number outstanding
        ("after", "i4"),
        ("level", "i4"),  # that number
        ("pool", "i4"),
    ]
)
POOL = np.dtype(
    [
        ("slots", "i8"),
        ("queue", "i8"),
        ("most", "i8"),
        ("first", "i8"),  # its replica 0 among all replicas
        ("first_slot", "i8"),  # its first row of `serving`, `waiting`, `seconds`, `levels`
        ("first_waiting", "i8"),
        ("first_seconds", "i8"),
        ("first_level", "i8"),
        ("weight", "f8"),
        ("members", "i8"),  # replicas that are drawn
        ("turn", "i8"),
        ("due", "i8"),  # replicas in the heap of departures
        ("lowest", "i8"),  # the lowest level that may have a replica
        ("arrived", "i8"),
        ("taken", "i8"),
        ("served", "i8"),
        ("failed", "i8"),
        ("refused", "i8"),
        ("retried", "i8"),
        ("late", "i8"),
        ("latency_s", "f8"),
        ("work", "f8"),
        ("busy_s", "f8"),
    ]
)
FLEET = np.dtype(
    [
        ("now_s", "f8"),
        ("weight", "f8"),  # of all pools
        ("late_s", "f8"),
        ("lowest_s", "f8"),  # of the histogram's bins
        ("log_growth", "f8"),
        ("balance", "i8"),
        ("ingress", "i8"),
        ("retries", "i8"),
        ("random", "u8"),
        ("ends", "i8"),  # requests whose end was written down
    ]
)
END = np.dtype([("arrived_s", "f8"), ("end_s", "f8"), ("pool", "i4"), ("replica", "i4"), ("how", "i4")])


class State(NamedTuple):
    """All that a run changes. Rows of a pool's replicas are next to each other, pools in their order."""

    fleet: NDArray[Any]  # (1,) FLEET
    pools: NDArray[Any]  # (pools,) POOL
    replicas: NDArray[Any]  # (replicas,) REPLICA
    serving: NDArray[Any]  # (slots of all replicas,) REQUEST: a heap by `finish` for each replica
    waiting: NDArray[Any]  # (places in all queues,) REQUEST: a ring for each replica
    seconds: NDArray[np.float64]  # load curves, one after another
    members: NDArray[np.int64]  # (replicas,): those that are drawn, in the order in which they came
    due: NDArray[np.int64]  # (replicas,): a heap by `next_s` for each pool
    levels: NDArray[np.int64]  # first replica of the ring for each number outstanding, or NOWHERE
    latencies: NDArray[np.int64]  # (pools, BINS)
    ends: NDArray[Any]  # (as many as are to be written down,) END


def empty(services: Sequence[Service], most_replicas: Sequence[int], ends: int) -> State:
    """A fleet without replicas, at time 0."""
    most = np.array(most_replicas, dtype=np.int64)
    slots = np.array([service.slots for service in services], dtype=np.int64)
    queue = np.array([service.queue for service in services], dtype=np.int64)
    pools = np.zeros(len(services), POOL)
    pools["slots"], pools["queue"], pools["most"] = slots, queue, most
    for name, sizes in {
        "first": most,
        "first_slot": most * slots,
        "first_waiting": most * queue,
        "first_seconds": slots,
        "first_level": slots + queue + 1,
    }.items():
        pools[name] = np.cumsum(sizes) - sizes
    fleet = np.zeros(1, FLEET)
    fleet["lowest_s"], fleet["log_growth"] = LOWEST_S, math.log(GROWTH)
    return State(
        fleet=fleet,
        pools=pools,
        replicas=np.zeros(int(most.sum()), REPLICA),
        serving=np.empty(int((most * slots).sum()), REQUEST),
        waiting=np.empty(int((most * queue).sum()), REQUEST),
        seconds=np.array([each_s for service in services for each_s in service.seconds], np.float64),
        members=np.zeros(int(most.sum()), np.int64),
        due=np.zeros(int(most.sum()), np.int64),
        levels=np.full(int((slots + queue + 1).sum()), NOWHERE, np.int64),
        latencies=np.zeros((len(services), BINS), np.int64),
        ends=np.zeros(ends, END),
    )
