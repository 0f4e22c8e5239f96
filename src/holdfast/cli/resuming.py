"""What is said of a run that ended before its end, and can be continued."""

from __future__ import annotations

import shlex
import sys

import click
from click.core import ParameterSource

from holdfast.cli.measuring import Endpoint
from holdfast.load import rundir


def say_how(endpoint: Endpoint, planned: int | None = None) -> None:
    """Says on standard error how many levels (of `planned`) are kept, and the command that goes on; nothing of none."""
    curve = rundir.read_written_curve(endpoint.out)
    if curve is None:
        return
    words = sys.argv[1:] if "--resume" in sys.argv else [*sys.argv[1:], "--resume"]
    source = click.get_current_context().get_parameter_source("out")
    out = ["--out", str(endpoint.out)] if source is ParameterSource.DEFAULT else []
    of = "" if planned is None else f" of {planned}"
    click.echo(
        f"{len(curve.stages)}{of} levels are finished and kept; to go on:\n  {shlex.join(['holdfast', *words, *out])}",
        err=True,
    )
