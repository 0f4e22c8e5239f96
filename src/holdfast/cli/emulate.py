"""`holdfast emulate`: a model server with the timing of a given accelerator, which says that it is emulated."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from dataclasses import replace

import click

from holdfast.model import quantities
from holdfast.model.errors import InputError
from holdfast.serving import profiles
from holdfast.serving.engine import FixedWork
from holdfast.serving.profiles import Profile
from holdfast.serving.server import EmulatedServer, bind

_FASTEST = 1e6


def _seconds(_: click.Context, option: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else quantities.duration_s(value)
    except ValueError as error:
        raise InputError(str(error), where=option.opts[0]) from error


def _factor(_: click.Context, option: click.Parameter, value: str) -> float:
    try:
        factor = float(value)
    except ValueError:
        factor = math.nan
    if not 0 < factor <= _FASTEST:
        raise InputError(
            f"{value!r} is no time scale", where=option.opts[0], mend=f"give a number above 0 and at most {_FASTEST:g}"
        )
    return factor


@click.command()
@click.argument("unit", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--time-scale",
    callback=_factor,
    default="1",
    show_default=True,
    metavar="K",
    help="Divide every emulated duration by K.",
)
@click.option("--cold-start", callback=_seconds, help="Emulated time to readiness, e.g. 5s; the profile's by default.")
@click.option("--max-queued", type=click.IntRange(min=0), help="Requests that may wait; the profile's by default.")
@click.option(
    "--drain-timeout",
    callback=_seconds,
    default="30s",
    show_default=True,
    help="Wall time that requests in flight are given after SIGTERM.",
)
@click.option("--list", "list_units", is_flag=True, help="Show the units that can be emulated, and end.")
def emulate(
    unit: str | None,
    host: str,
    port: int,
    time_scale: float,
    cold_start: float | None,
    max_queued: int | None,
    drain_timeout: float,
    list_units: bool,
) -> None:
    """Serve an emulated accelerator UNIT over HTTP, with the timing that was published for it.

    One JSON line on stdout tells the URL once it listens; logs go to stderr.
    """
    if list_units:
        click.echo("\n".join(_line(profiles.load_profile(name)) for name in profiles.profile_names()))
        return
    if unit is None:
        raise InputError("no unit is given", mend="name one of `holdfast emulate --list`")
    profile = profiles.load_profile(unit)
    if cold_start is not None:
        profile = replace(profile, cold_start_s=cold_start)
    if max_queued is not None:
        profile = profile.with_queue(max_queued)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    _serve(profile, host, port, time_scale, drain_timeout)


def _serve(profile: Profile, host: str, port: int, time_scale: float, drain_timeout_s: float) -> None:
    listener = bind(host, port)
    address, bound_port = listener.getsockname()[:2]
    url = f"http://[{address}]:{bound_port}" if ":" in address else f"http://{address}:{bound_port}"

    def tell() -> None:
        event = {"event": "listening", "unit": profile.name, "url": url, "pid": os.getpid(), "time_scale": time_scale}
        click.echo(json.dumps(event))
        logging.getLogger("holdfast.serving").info(
            "emulated accelerator: unit=%s time_scale=%g cold_start_s=%g url=%s",
            profile.name, time_scale, profile.cold_start_s / time_scale, url,
        )  # fmt: skip

    EmulatedServer(profile, time_scale=time_scale, drain_timeout_s=drain_timeout_s).run(listener, tell)


def _line(profile: Profile) -> str:
    shape = profile.device
    timing = f"{shape.service_s:.3f} s per image" if isinstance(shape, FixedWork) else f"{shape.base_s:.4f} s per step"
    if profile.fit:
        timing += f" and up, fitted within {profile.fit.worst_miss:.1%} of the published rates"
    columns = (f"{profile.name:24}", f"{profile.model:40}", f"{profile.instance_type:12}", f"{profile.framework:8}")
    return "  ".join((*columns, timing))
