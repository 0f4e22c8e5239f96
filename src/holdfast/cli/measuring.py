"""The flags that name an endpoint and a workload, shared by `limit` and `load`."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from holdfast.cli import flags
from holdfast.load.bench import Subject
from holdfast.load.http import Target
from holdfast.load.rundir import RunDir, RunSpec
from holdfast.load.shards import WHOLE, Shard
from holdfast.model import fleet
from holdfast.model.errors import InputError
from holdfast.model.fleet import Slo, TokenLengths

_OPTIONS = (
    click.argument("url"),
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
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text."),
)


@dataclass(frozen=True)
class Endpoint:
    """The values of the shared flags."""

    subject: Subject
    seed: int
    out: Path
    as_json: bool

    def run_dir(
        self, verb: str, slo: Slo | None, arrivals: str, *, shard: Shard = WHOLE, again: bool = False
    ) -> RunDir:
        """A new run directory, or with `again` the one of a run to go on with."""
        spec = self.spec(verb, slo, arrivals, shard)
        return RunDir.reopen(self.out, spec) if again else RunDir.create(self.out, spec)

    def spec(self, verb: str, slo: Slo | None, arrivals: str, shard: Shard = WHOLE) -> RunSpec:
        """What run.json says that was asked for."""
        subject = self.subject
        return RunSpec(
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
        )


def endpoint_options(verb: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the shared flags; the command gets them as one `endpoint` argument."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def run(
            url: str,
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
            as_json: bool,
            **rest: Any,
        ) -> None:
            if not math.isfinite(time_scale):
                raise InputError("the time scale is not a finite number", where="--time-scale")
            if not model.isprintable() or not model.strip():
                raise InputError("the model name is empty or has characters that cannot be sent", where="--model")
            subject = Subject(
                unit=url,
                target=Target.parse(url),
                workload=flags.workload(api, input_tokens, output_tokens),
                model=model,
                headers=_authorization(token_from),
                stream=stream,
                timeout_s=timeout,
                time_scale=time_scale,
            )
            folder = out or Path("holdfast-runs") / f"{verb}-{time.strftime('%Y%m%d-%H%M%S')}"
            # A new seed by default: the prompts of an earlier run may still be in the server's prefix cache.
            drawn = secrets.randbelow(2**31) if seed is None else seed
            command(endpoint=Endpoint(subject, drawn, folder, as_json), **rest)

        run.__doc__ = command.__doc__
        run.__name__ = command.__name__
        decorated: Callable[..., Any] = run
        # Flags that the command declared itself come along.
        decorated.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        for option in reversed(_OPTIONS):
            decorated = option(decorated)
        return decorated

    return decorate


def _authorization(variable: str | None) -> tuple[tuple[str, str], ...]:
    if variable is None:
        return ()
    token = os.environ.get(variable)
    if not token:
        raise InputError(f"the environment variable {variable!r} is empty", where="--token-from", mend="set it")
    if not token.isascii() or not token.isprintable():
        raise InputError(f"the token in {variable!r} has characters that a header cannot carry", where="--token-from")
    return (("authorization", f"Bearer {token}"),)
