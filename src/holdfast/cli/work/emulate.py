"""What `holdfast emulate` does. Its flags are in `cli.emulate`."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import emulated_units
from holdfast.cli.emulated_units import Changes, Source
from holdfast.model.errors import InputError
from holdfast.serving.emulated import faults, profiles
from holdfast.serving.emulated.faults import Faults
from holdfast.serving.emulated.pace import Pace
from holdfast.serving.emulated.profiles import Profile

if TYPE_CHECKING:
    from holdfast.serving.emulated.server import Settings


def emulate(**given: Any) -> None:
    """See `holdfast emulate --help`. Raises InputError."""
    if given["list_units"]:
        click.echo("\n".join(emulated_units.line(profiles.load_profile(name)) for name in profiles.profile_names()))
        return
    source = Source(
        **{name: given[name] for name in ("unit", "calibrate", "up_to", "model", "instance_type", "framework", "tp")},
        max_model_len=given["max_model_len"],
    )
    found = emulated_units.find(source)
    if found.fit is not None:
        show = emulated_units.fit_document if given["as_json"] else emulated_units.fit_text
        shown = show(found.profile.name, found.fit)
        click.echo(shown if isinstance(shown, str) else json.dumps(shown), err=not given["fit_only"])
    if given["fit_only"]:
        if found.fit is None:
            raise InputError("there is no fit to show", where="--fit-only", mend="give --calibrate FILE.csv")
        return
    changes = Changes(
        **{name: given[name] for name in Changes.__dataclass_fields__ if name in given}, pace=_pace(given)
    )
    profile = emulated_units.changed(found.profile, changes)
    settings = _settings(given)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    _serve(profile, given["host"], given["port"], settings)


def _pace(given: dict[str, Any]) -> Pace:
    if (given["slow_factor"] > 1) != (given["slow_time"] > 0):
        raise InputError("a slow start needs both", where="--slow-factor", mend="give --slow-factor and --slow-time")
    try:
        return Pace(given["slow_factor"], given["slow_time"], given["jitter"], given["seed"])
    except ValueError as error:
        raise InputError(str(error), where="--jitter", mend="give less") from error


def _settings(given: dict[str, Any]) -> Settings:
    from holdfast.serving import listening
    from holdfast.serving.emulated.server import Settings

    listening.check_certificate(given["ssl_certfile"], given["ssl_keyfile"])
    wanted = Faults(
        error_share=given["error_share"],
        error_kinds=faults.kinds(given["error_kinds"]),
        stall_share=given["stall_share"],
        stall_s=given["stall_time"],
        reset_share=given["reset_share"],
    )
    return Settings(
        time_scale=given["time_scale"],
        drain_timeout_s=given["drain_timeout"],
        faults=wanted,
        seed=given["seed"],
        crash_after_s=given["crash_after"],
        withdraw_after_s=given["withdraw_after"],
        withdraw_notice_s=given["withdraw_notice"],
        max_body_mib=given["max_body_mib"],
        certificate=given["ssl_certfile"],
        key=given["ssl_keyfile"],
    )


def _serve(profile: Profile, host: str, port: int, settings: Settings) -> None:
    from holdfast.serving import listening
    from holdfast.serving.emulated.server import EmulatedServer

    server = EmulatedServer(profile, settings)
    listener = listening.bind(host, port)
    url = listening.url(listener, secure=settings.certificate is not None)
    scale = settings.time_scale

    def tell() -> None:
        event = {"event": "listening", "unit": profile.name, "url": url, "pid": os.getpid(), "time_scale": scale}
        click.echo(json.dumps(event))
        logging.getLogger("holdfast.serving").info(
            "emulated accelerator: unit=%s time_scale=%g cold_start_s=%g url=%s",
            profile.name, scale, profile.cold_start_s / scale, url,
        )  # fmt: skip

    server.run(listener, tell)
