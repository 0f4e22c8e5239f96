"""`holdfast emulate`: a model server with the timing of a given accelerator, which says that it is emulated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from holdfast.cli import completing
from holdfast.cli.quantity import Quantity
from holdfast.model import quantities

_FASTEST = 1e6


def _time_scale(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = float("nan")
    if not 0 < factor <= _FASTEST:
        raise ValueError(f"{text!r} is no time scale; give a number above 0 and at most {_FASTEST:g}")
    return factor


def _number(least: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text) if text.replace(".", "", 1).isdigit() else float("nan")
        if not value >= least:
            raise ValueError(f"{text!r} is no number of at least {least:g}")
        return value

    return read


_FILE = click.Path(path_type=Path)
_COUNT = click.IntRange(min=1)
_SHARE = Quantity("percentage", quantities.share)
_SECONDS = Quantity("duration", quantities.duration_s)
_SCALE = Quantity("factor", _time_scale)
_SLOWER = Quantity("factor", _number(1.0))
_MIB = Quantity("MiB", _number(0.001))
_KINDS = Quantity("list", lambda text: tuple(name.strip() for name in text.split(",")))

_UNIT = (
    click.argument("unit", required=False, shell_complete=completing.units),
    click.option("--list", "list_units", is_flag=True, help="Show the units that can be emulated, and end."),
    click.option("--calibrate", type=_FILE, metavar="FILE.csv", help="Fit the step time to the levels of UNIT there."),
    click.option("--up-to", type=_COUNT, help="Leave out levels of --calibrate with a higher concurrency."),
    click.option("--json", "as_json", is_flag=True, help="Show the fit as one JSON document."),
    click.option("--fit-only", is_flag=True, help="Show how well --calibrate fits, and end."),
    click.option(
        "--model",
        metavar="MODEL",
        shell_complete=completing.models,
        help="A model that nobody measured: its id or the folder of a config.json.",
    ),
    click.option(
        "--instance-type",
        metavar="NAME",
        shell_complete=completing.instance_types,
        help="Where --model runs, or what --calibrate was measured on.",
    ),
    click.option("--framework", help="Whose coefficients --model takes. [default: vllm]"),
    click.option("--tp", type=_COUNT, help="Tensor parallelism of --model. [default: the least that fits]"),
)
_DEVICE = (
    click.option(
        "--served-model-name", multiple=True, metavar="NAME", help="Another name of the model; may be repeated."
    ),
    click.option("--max-model-len", type=_COUNT, help="Tokens of a prompt and its answer together."),
    click.option("--max-num-seqs", type=_COUNT, help="Sequences in one step."),
    click.option("--max-num-batched-tokens", type=_COUNT, help="Tokens in one step, decoded and prefilled."),
    click.option("--max-queued", type=click.IntRange(min=0), help="Requests that may wait."),
    click.option("--kv-blocks", type=_COUNT, help="Blocks of the KV cache."),
    click.option("--block-size", type=_COUNT, help="Tokens in a block."),
    click.option("--prefix-caching/--no-prefix-caching", default=None, help="Whether prompts share blocks."),
    click.option("--answer-tokens", type=_COUNT, help="Where an answer ends that the request does not bound."),
    click.option("--step-base", type=_SECONDS, help="Of the time of a step: the fixed part,"),
    click.option("--step-per-sequence", type=_SECONDS, help="that of each sequence in it,"),
    click.option("--step-per-prefill-token", type=_SECONDS, help="that of each token prefilled,"),
    click.option("--step-per-kv-token", type=_SECONDS, help="and that of each token in the KV cache."),
)
_TIME = (
    click.option("--time-scale", type=_SCALE, default="1", show_default=True, help="Divide all emulated times by it."),
    click.option("--cold-start", type=_SECONDS, help="Time to readiness, e.g. 5s; the profile's by default."),
    click.option("--slow-factor", type=_SLOWER, default="1", help="How much slower it is at first, falling to 1"),
    click.option("--slow-time", type=_SECONDS, default="0s", help="in this time after readiness."),
    click.option("--jitter", type=_SHARE, default="0%", help="Standard deviation of the time of a step, e.g. 10%."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of all chance."),
)
_FAULTS = (
    click.option("--error-share", type=_SHARE, default="0%", help="Share of requests answered with an error,"),
    click.option("--error-kinds", type=_KINDS, default="server_error", show_default=True, help="one of these."),
    click.option("--stall-share", type=_SHARE, default="0%", help="Share of answers that stop after their start"),
    click.option("--stall-time", type=_SECONDS, default="30s", show_default=True, help="for so long."),
    click.option("--reset-share", type=_SHARE, default="0%", help="Share whose connection is then reset."),
    click.option("--crash-after", type=_SECONDS, help="End the process so long after readiness."),
    click.option("--withdraw-after", type=_SECONDS, help="Reclaim the instance so long after readiness,"),
    click.option("--withdraw-notice", type=_SECONDS, default="0s", show_default=True, help="told so long before."),
)
_SERVER = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.option(
        "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port; 0 takes a free one."
    ),
    click.option(
        "--drain-timeout",
        type=_SECONDS,
        default="30s",
        show_default=True,
        help="Wall time given to requests in flight.",
    ),
    click.option("--max-body-mib", type=_MIB, default="4", show_default=True, help="Longest body of a request."),
    click.option("--ssl-certfile", type=_FILE, help="Certificate, to serve HTTPS."),
    click.option("--ssl-keyfile", type=_FILE, help="Its key."),
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed((*_UNIT, *_DEVICE, *_TIME, *_FAULTS, *_SERVER)):
        command = option(command)
    return command


@click.command()
@_options
def emulate(**given: Any) -> None:
    """Serve an emulated accelerator UNIT over HTTP: one of --list, a profile in a YAML file, or what --calibrate or
    --model make. Times are emulated time unless they say otherwise. docs/emulate.md has it all.

    One JSON line on stdout tells the URL once it listens; logs go to stderr.

    \b
    holdfast emulate --list
    holdfast emulate gpt-oss-20b-g5-12xlarge --time-scale 10
    holdfast emulate g5-8xlarge --calibrate measurements.csv --fit-only
    holdfast emulate --model llama-3.1-8b --instance-type g6e.xlarge
    """
    from holdfast.cli.work import emulate as work

    work.emulate(**given)
