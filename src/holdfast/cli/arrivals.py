"""The flags that say when requests are sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import flags
from holdfast.cli.sections import option
from holdfast.model.errors import InputError

if TYPE_CHECKING:
    from holdfast.cli.work.offered import Offered

_LOAD = "Load"
_KINDS = ("poisson", "constant", "gamma")

OPTIONS = (
    option(_LOAD, "--rate", type=flags.RATE, help="Open loop at this rate, e.g. 12/s."),
    option(_LOAD, "--ramp-to", type=flags.RATE, help="With --rate: a straight line to this rate."),
    option(_LOAD, "--wave-to", type=flags.RATE, help="With --rate: a cosine wave up to this rate and back."),
    option(_LOAD, "--period", type=flags.DURATION, help="Of the wave.  [default: the duration]"),
    option(_LOAD, "--steps", type=flags.STEPS, help="Open loop at one rate after another, e.g. 2/s:60s,4/s:60s."),
    option(
        _LOAD, "--trace", type=flags.FILE, metavar="FILE", help="Replay Azure's or BurstGPT's CSV with its lengths."
    ),
    option(_LOAD, "--trace-speed", type=flags.FACTOR, help="So many times as fast, e.g. 2.  [default: 1]"),
    option(_LOAD, "--trace-limit", type=flags.COUNT, help="Only its first so many requests."),
    option(_LOAD, "--arrivals", type=click.Choice(_KINDS), help="Of --rate and --steps.  [default: poisson]"),
    option(_LOAD, "--burstiness", type=float, help="Of gamma arrivals, as vLLM's: 1 is Poisson, below is burstier."),
    option(_LOAD, "--max-in-flight", type=flags.COUNT, help="Send later rather than have more unanswered."),
    option(_LOAD, "--concurrency", type=flags.COUNT, help="Closed loop with this many in flight."),
    option(_LOAD, "--think-time", type=flags.DURATION, help="Of one user, from an answer to the next request."),
    option(
        _LOAD,
        "--duration",
        type=flags.DURATION_OR_FOREVER,
        help="`forever` until Ctrl-C.  [default: 30s; that of the steps or the trace]",
    ),
    option(_LOAD, "--phase", type=flags.DURATION, help="The wave of each further target comes this much later."),
)


def offered(**given: Any) -> Offered:
    """The load that the flags describe. Raises InputError where they do not go together."""
    _check(given)
    from holdfast.cli.work import offered as work

    return work.offered(**given)


def _check(given: Mapping[str, Any]) -> None:
    ways = {
        "--rate": given["rate"],
        "--steps": given["steps"],
        "--trace": given["trace"],
        "--concurrency": given["concurrency"],
    }
    chosen = [way for way, value in ways.items() if value is not None]
    if len(chosen) != 1:
        raise InputError("give one of --rate, --steps, --trace and --concurrency", where=" and ".join(chosen))
    paced = chosen[0] in ("--rate", "--steps")
    for flag, value, fits, owner in (
        (
            "--ramp-to",
            given["ramp_to"],
            given["rate"] is not None and given["wave_to"] is None,
            "--rate without --wave-to",
        ),
        ("--wave-to", given["wave_to"], given["rate"] is not None, "--rate"),
        ("--period", given["period"], given["wave_to"] is not None, "--wave-to"),
        ("--trace-speed", given["trace_speed"], given["trace"] is not None, "--trace"),
        ("--trace-limit", given["trace_limit"], given["trace"] is not None, "--trace"),
        ("--arrivals", given["arrivals"], paced, "--rate and --steps"),
        ("--burstiness", given["burstiness"], paced and given["arrivals"] in (None, "gamma"), "--arrivals gamma"),
        ("--max-in-flight", given["max_in_flight"], given["concurrency"] is None, "an open loop"),
        ("--think-time", given["think_time"], given["trace"] is None, "--concurrency and --turns"),
        ("--duration", given["duration"], given["steps"] is None, "a load that is not in steps"),
        ("--phase", given["phase"], given["wave_to"] is not None, "--wave-to"),
    ):
        if value is not None and not fits:
            raise InputError(f"this is of {owner}", where=flag, mend="leave it out")
