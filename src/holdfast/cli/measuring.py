"""The flags that name an endpoint and a workload, shared by `limit` and `load`."""

from __future__ import annotations

import math
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from holdfast.cli import flags, watching
from holdfast.load.bench import Subject
from holdfast.load.http import Target
from holdfast.load.rundir import RunDir, RunSpec
from holdfast.load.scrape import Source
from holdfast.model import fleet
from holdfast.model.errors import InputError
from holdfast.model.fleet import Slo, TokenLengths

_OPTIONS = (
    click.option("--api", type=flags.API, default="completions", show_default=True),
    click.option("--model", required=True, help="The model name that the server answers to."),
    click.option("--input-tokens", type=flags.TOKENS, default="200", show_default=True, help="e.g. 200 or 200±20"),
    click.option("--output-tokens", type=flags.TOKENS, default="100", show_default=True, help="e.g. 100 or 100±10"),
    click.option("--stream/--no-stream", default=True, show_default=True, help="Ask for server-sent events."),
    click.option("--token-from", metavar="VARIABLE", help="Send a bearer token from this environment variable."),
    click.option("--timeout", type=flags.DURATION, default="120s", show_default=True),
    click.option(
        "--time-scale",
        type=click.FloatRange(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="Of an emulated target; everything is reported in its time.",
    ),
    click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of prompts and arrivals.  [default: a new one]"),
    click.option("--out", type=flags.OUT, help="Run directory.  [default: holdfast-runs/VERB-TIME]"),
    watching.scrape_option,
    watching.quiet_option,
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text."),
)


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

    def run_dir(self, verb: str, slo: Slo | None, arrivals: str) -> RunDir:
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
        )
        return RunDir(self.out, spec)


def endpoint_options(verb: str, *, many: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the shared flags; the command gets them as one `endpoint` argument.

    many: the command takes several targets, `NAME=URL` each, and gets a tuple of them, each with its own folder.
    """
    argument = (
        click.argument("urls", nargs=-1, required=True, metavar="URL | NAME=URL...")
        if many
        else click.argument("urls", nargs=1, metavar="URL", callback=lambda _, __, url: (url,))
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def run(
            urls: tuple[str, ...],
            api: str,
            model: str,
            input_tokens: TokenLengths,
            output_tokens: TokenLengths,
            stream: bool,
            token_from: str | None,
            timeout: float,
            time_scale: float,
            seed: int | None,
            out: Path | None,
            exporters: tuple[Source, ...],
            quiet: bool,
            as_json: bool,
            **rest: Any,
        ) -> None:
            if not math.isfinite(time_scale):
                raise InputError("the time scale is not a finite number", where="--time-scale")
            if not model.isprintable() or not model.strip():
                raise InputError("the model name is empty or has characters that cannot be sent", where="--model")
            folder = out or Path("holdfast-runs") / f"{verb}-{time.strftime('%Y%m%d-%H%M%S')}"
            # A new seed by default: the prompts of an earlier run may still be in the server's prefix cache.
            drawn = secrets.randbelow(2**31) if seed is None else seed
            named = _named(urls) if many else {url: url for url in urls}
            endpoints = []
            for name, url in named.items():
                subject = Subject(
                    unit=name,
                    target=Target.parse(url),
                    workload=flags.workload(api, input_tokens, output_tokens),
                    model=model,
                    headers=_authorization(token_from),
                    stream=stream,
                    timeout_s=timeout,
                    time_scale=time_scale,
                )
                own = folder / name if len(named) > 1 else folder
                read = watching.exporters_of(name, tuple(named), exporters)
                endpoints.append(Endpoint(subject, drawn, own, as_json, read, quiet))
            command(endpoint=tuple(endpoints) if many else endpoints[0], **rest)

        run.__doc__ = command.__doc__
        run.__name__ = command.__name__
        decorated: Callable[..., Any] = run
        # Flags that the command declared itself come along.
        decorated.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        for option in reversed((argument, *_OPTIONS)):
            decorated = option(decorated)
        return decorated

    return decorate


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


def _authorization(variable: str | None) -> tuple[tuple[str, str], ...]:
    if variable is None:
        return ()
    token = os.environ.get(variable)
    if not token:
        raise InputError(f"the environment variable {variable!r} is empty", where="--token-from", mend="set it")
    if not token.isascii() or not token.isprintable():
        raise InputError(f"the token in {variable!r} has characters that a header cannot carry", where="--token-from")
    return (("authorization", f"Bearer {token}"),)
