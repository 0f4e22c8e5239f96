"""The flags that share a load out: over processes of this machine, and over machines."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from holdfast.cli import flags
from holdfast.cli.sections import option
from holdfast.load.shards import WHOLE, Shard
from holdfast.model import quantities
from holdfast.model.errors import InputError

if TYPE_CHECKING:
    from holdfast.cli.measuring import Endpoint
    from holdfast.load.bench import Bench
    from holdfast.load.crew import Crew
    from holdfast.load.rundir import RunDir
    from holdfast.model.fleet import Slo

_RUN = "Run"

_LONGEST_WAIT_S = 7 * 86400.0


@dataclass(frozen=True)
class Moment:
    """A moment on the wall clock; `in_s` instead, counted from when the command was run."""

    unix_s: float = 0.0
    in_s: float | None = None

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Reads `2026-11-21T10:00:00Z` (with any offset) or `+30s`. Raises ValueError with a sentence."""
        if text.startswith("+"):
            return cls(in_s=quantities.duration_s(text[1:]))
        try:
            when = datetime.datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(
                f"{text!r} is no time to start at; write it like 2026-11-21T10:00:00Z, or +30s for in half a minute"
            ) from error
        if when.tzinfo is None:
            raise ValueError(f"{text!r} has no time zone; end it with Z for UTC")
        return cls(when.timestamp())


_SHARD = flags.Quantity("shard", Shard.parse)
_MOMENT = flags.Quantity("time", Moment.parse)

WORKERS = option(
    _RUN,
    "--workers",
    "processes",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes that send it together; for more than a core can send.",
)


OPTIONS = (
    WORKERS,
    option(
        _RUN,
        "--shard",
        type=_SHARD,
        default="0/1",
        help="Send only part i of n, e.g. 0/4 to 3/4 on four machines; see `holdfast merge`.",
    ),
    option(
        _RUN,
        "--start-at",
        type=_MOMENT,
        help="When to begin, e.g. 2026-11-21T10:00:00Z or +30s: the same for all shards.",
    ),
)


@dataclass(frozen=True)
class Division:
    """How a load is divided: over `processes` of this machine, of which this command is one `shard`; and its start."""

    processes: int
    shard: Shard
    start_at: Moment | None
    run_unix_s: float

    @property
    def whole(self) -> bool:
        """Whether one process sends all of it."""
        return self.processes == 1 and self.shard.whole

    def start(self, duration_s: float) -> Start:
        """When the load begins, now that all is ready; see start_of."""
        return start_of(self.start_at, self.run_unix_s, duration_s)


def division(*, processes: int, shard: Shard, start_at: Moment | None) -> Division:
    """The division that the flags describe. Raises InputError for a shard without what makes it one of several."""
    source = click.get_current_context().get_parameter_source
    if not shard.whole and source("seed") is ParameterSource.DEFAULT:
        raise InputError("the shards of a load need one seed", where="--shard", mend="give each the same --seed")
    if not shard.whole and source("out") is ParameterSource.DEFAULT:
        raise InputError("each shard needs a folder of its own", where="--shard", mend="give each another --out")
    return Division(processes, shard, start_at, time.time())


def bench_of(
    endpoint: Endpoint,
    processes: int,
    run: RunDir,
    *,
    slo: Slo | None = None,
    judges: bool = False,
    shard: Shard = WHOLE,
    part: int = 0,
) -> Bench | Crew:
    """What holds the levels: one process, or a crew of several. slo, judges: see Bench."""
    from holdfast.load.bench import Bench
    from holdfast.load.crew import Crew

    subject, seed = endpoint.subject, endpoint.seed
    # One of the shards reads the metrics for all.
    sources = endpoint.sources if shard.index == 0 else ()
    if processes == 1:
        return Bench(subject, slo, seed, run, judges=judges, sources=sources, shard=shard, part=part)
    return Crew(subject, seed, processes, run, slo=slo, judges=judges, sources=sources, shard=shard, part=part)


@dataclass(frozen=True)
class Start:
    """When a level begins.

    start_s: on `time.perf_counter`; None for at once. late_s: how long after the moment that was asked for.
    """

    start_s: float | None = None
    late_s: float = 0.0

    @property
    def note(self) -> str:
        return f"begun {self.late_s:.3g} s after the time to start at: its whole part was sent, that much later"


def start_of(moment: Moment | None, run_unix_s: float, duration_s: float) -> Start:
    """When to begin, now that all is ready; what was missed is never sent in a burst, the whole begins later.

    run_unix_s: when the command was run. duration_s: of the load, on the wall clock.
    Raises InputError when the load would be over by now, or is too far away to be meant.
    """
    from holdfast.load.bench import READY_S

    if moment is None:
        return Start()
    unix_s = moment.unix_s if moment.in_s is None else run_unix_s + moment.in_s
    left_s = unix_s - time.time()
    if left_s < -duration_s:
        raise InputError(
            f"the load was to start {-left_s:.0f} s ago and would be over, so this would be sent alone",
            where="--start-at",
            mend="give a time to come",
        )
    if left_s > _LONGEST_WAIT_S:
        raise InputError("the time to start at is more than a week away", where="--start-at", mend="check the date")
    soon_s = time.perf_counter() + max(left_s, 2 * READY_S)
    return Start(soon_s, max(0.0, 2 * READY_S - left_s))
