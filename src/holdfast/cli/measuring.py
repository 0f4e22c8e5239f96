"""The flags that name an endpoint and a workload, shared by the verbs that measure."""

from __future__ import annotations

import functools
import math
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import click

from holdfast.cli import calling, flags, prompting
from holdfast.cli.calling import Call
from holdfast.cli.sections import Decorator, bundle, option
from holdfast.load.bench import Subject
from holdfast.load.http import Target
from holdfast.load.pacers import Pacer
from holdfast.load.recipes import Recipe
from holdfast.load.rundir import RunDir, RunSpec
from holdfast.model import fleet
from holdfast.model.errors import InputError
from holdfast.model.fleet import Slo

_RUN = "Run"

_OPTIONS = (
    click.argument("url"),
    option(_RUN, "--timeout", type=flags.DURATION, default="120s", show_default=True, help="Of one request."),
    option(
        _RUN,
        "--time-scale",
        type=click.FloatRange(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="Of an emulated target; everything is reported in its time.",
    ),
    option(_RUN, "--seed", type=click.IntRange(0, 2**31 - 1), help="Of prompts and arrivals.  [default: a new one]"),
    option(_RUN, "--out", type=flags.OUT, help="Run directory.  [default: holdfast-runs/VERB-TIME]"),
    option(_RUN, "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."),
)


@dataclass(frozen=True)
class Endpoint:
    """The values of the shared flags."""

    subject: Subject
    seed: int
    out: Path
    as_json: bool

    def run_dir(self, verb: str, slo: Slo | None, arrivals: str, *, pacer: Pacer | None = None) -> RunDir:
        subject = self.subject
        spec = RunSpec(
            verb,
            subject.target.base,
            subject.workload.api.value,
            subject.model,
            None if slo is None else fleet.format_slo(slo),
            arrivals,
            self.seed,
            subject.time_scale,
            subject.workload.model_dump(mode="json", by_alias=True, exclude_none=True),
            subject.stream,
            recipe=subject.recipe.described(),
            pacer="" if pacer is None else str(pacer),
        )
        return RunDir.create(self.out, spec)


def endpoint_options(verb: str) -> Decorator:
    """Adds the shared flags; the command gets them as one `endpoint` argument."""
    endpoint = bundle("endpoint", _OPTIONS, functools.partial(_endpoint, verb), also=("call", "recipe"))
    recipe = bundle("recipe", prompting.OPTIONS, prompting.recipe)
    call = bundle("call", calling.OPTIONS, calling.call)
    return lambda command: call(recipe(endpoint(command)))


def _endpoint(
    verb: str,
    *,
    url: str,
    call: Call,
    recipe: Recipe,
    timeout: float,
    time_scale: float,
    seed: int | None,
    out: Path | None,
    as_json: bool,
) -> Endpoint:
    if not math.isfinite(time_scale):
        raise InputError("the time scale is not a finite number", where="--time-scale")
    recipe.check(call.workload)
    if verb == "limit" and recipe.turns > 1:
        # The turns that answers set off come on top of the rate, so a rate would no longer be what is searched for.
        raise InputError("a limit is of requests that do not wait for each other", where="--turns", mend="leave it out")
    subject = Subject(
        unit=url,
        target=Target.parse(url),
        workload=call.workload,
        model=call.model,
        recipe=recipe,
        headers=call.headers,
        stream=call.stream,
        timeout_s=timeout,
        time_scale=time_scale,
    )
    folder = out or Path("holdfast-runs") / f"{verb}-{time.strftime('%Y%m%d-%H%M%S')}"
    # A new seed by default: the prompts of an earlier run may still be in the server's prefix cache.
    return Endpoint(subject, secrets.randbelow(2**31) if seed is None else seed, folder, as_json)
