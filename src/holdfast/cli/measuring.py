"""The flags that name an endpoint and a workload, shared by the verbs that measure."""

from __future__ import annotations

import functools
import math
import re
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from holdfast.cli import calling, flags, prompting, watching
from holdfast.cli.sections import Decorator, bundle, option
from holdfast.load.shards import WHOLE, Shard
from holdfast.model.errors import InputError

if TYPE_CHECKING:
    from holdfast.cli.calling import Call
    from holdfast.load.pacers import Pacer
    from holdfast.load.recipes import Recipe
    from holdfast.load.rundir import RunDir
    from holdfast.load.scrape import Source
    from holdfast.load.subject import Subject
    from holdfast.model.fleet import Slo

_RUN = "Run"

_OPTIONS = (
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
    watching.scrape_option,
    watching.quiet_option,
    option(_RUN, "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."),
)
_ONE = click.argument("urls", nargs=1, metavar="URL", callback=lambda _, __, url: (url,))
_MANY = click.argument("urls", nargs=-1, required=True, metavar="URL | NAME=URL...")

_NAMED = re.compile(r"([A-Za-z0-9][\w.-]{0,62})=(https?:.*)")
"""A name is a folder and a label, too."""


@dataclass(frozen=True)
class Endpoint:
    """The values of the shared flags."""

    subject: Subject
    seed: int
    out: Path
    as_json: bool
    exporters: tuple[Source, ...] = ()
    quiet: bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """The metrics to read: the target's own, and those of the exporters."""
        return (self.subject.metrics, *self.exporters)

    def run_dir(
        self,
        verb: str,
        slo: Slo | None,
        arrivals: str,
        *,
        pacer: Pacer | None = None,
        shard: Shard = WHOLE,
        again: bool = False,
    ) -> RunDir:
        """A new run directory, or with `again` the one of a run to go on with."""
        from holdfast.load.rundir import RunDir, RunSpec
        from holdfast.model import fleet

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
            str(shard),
            recipe=subject.recipe.described(),
            pacer="" if pacer is None else str(pacer),
        )
        return RunDir.reopen(self.out, spec) if again else RunDir.create(self.out, spec)


def endpoint_options(verb: str, *, many: bool = False) -> Decorator:
    """Adds the shared flags; the command gets them as one `endpoint` argument.

    many: the command takes several targets, `NAME=URL` each, and gets a tuple of them, each with its own folder.
    """
    build = functools.partial(_endpoints if many else _endpoint, verb)
    endpoint = bundle("endpoint", (_MANY if many else _ONE, *_OPTIONS), build, also=("call", "recipe"))
    recipe = bundle("recipe", prompting.OPTIONS, prompting.recipe)
    call = bundle("call", calling.OPTIONS, calling.call)
    return lambda command: call(recipe(endpoint(command)))


def _endpoint(verb: str, *, urls: tuple[str, ...], **given: object) -> Endpoint:
    (endpoint,) = _endpoints(verb, urls=urls, **given)  # type: ignore[arg-type]
    return endpoint


def _endpoints(
    verb: str,
    *,
    urls: tuple[str, ...],
    call: Call,
    recipe: Recipe,
    timeout: float,
    time_scale: float,
    seed: int | None,
    out: Path | None,
    exporters: tuple[Source, ...],
    quiet: bool,
    as_json: bool,
) -> tuple[Endpoint, ...]:
    from holdfast.load.http import Target
    from holdfast.load.subject import Subject

    if not math.isfinite(time_scale):
        raise InputError("the time scale is not a finite number", where="--time-scale")
    recipe.check(call.workload)
    if verb == "limit" and recipe.turns > 1:
        # The turns that answers set off come on top of the rate, so a rate would no longer be what is searched for.
        raise InputError("a limit is of requests that do not wait for each other", where="--turns", mend="leave it out")
    folder = out or Path("holdfast-runs") / f"{verb}-{time.strftime('%Y%m%d-%H%M%S')}"
    # A new seed by default: the prompts of an earlier run may still be in the server's prefix cache.
    drawn = secrets.randbelow(2**31) if seed is None else seed
    named = _named(urls)

    def endpoint(name: str, url: str) -> Endpoint:
        subject = Subject(
            unit=name,
            target=Target.parse(url),
            workload=call.workload,
            model=call.model,
            recipe=recipe,
            headers=call.headers,
            stream=call.stream,
            timeout_s=timeout,
            time_scale=time_scale,
        )
        own = folder / name if len(named) > 1 else folder
        read = watching.exporters_of(name, tuple(named), exporters)
        return Endpoint(subject, drawn, own, as_json, read, quiet)

    return tuple(endpoint(name, url) for name, url in named.items())


def _named(urls: tuple[str, ...]) -> dict[str, str]:
    """The URLs by name: `NAME=URL`, or one URL alone, which is its own name. Raises InputError."""
    if len(urls) == 1 and _NAMED.fullmatch(urls[0]) is None:
        return {urls[0]: urls[0]}
    named: dict[str, str] = {}
    for text in urls:
        match = _NAMED.fullmatch(text)
        if match is None:
            raise InputError(f"{text!r} has no name", mend="write several targets like A=http://host:8000")
        if match[1] in named:
            raise InputError(f"two targets have the name {match[1]!r}", mend="give each its own")
        named[match[1]] = match[2]
    return named


def as_before(endpoint: Endpoint) -> Endpoint:
    """The endpoint with the seed of the run that is continued. Raises InputError when there is none."""
    from holdfast.load import rundir

    source = click.get_current_context().get_parameter_source
    if source("out") is ParameterSource.DEFAULT:
        raise InputError("--resume needs the folder of the run to continue", mend="give it with --out")
    if source("seed") is not ParameterSource.DEFAULT:
        return endpoint
    return replace(endpoint, seed=rundir.read_spec(endpoint.out).seed)
