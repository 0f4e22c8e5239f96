"""`holdfast serve`: a model behind OpenAI's API, on whatever device is there."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from holdfast.cli.quantity import Quantity
from holdfast.model import quantities
from holdfast.model.errors import InputError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.settings import CloudWatch, Settings
from holdfast.serving.hosted.tasks import Task

_NEEDED = ("torch", "transformers", "fastapi", "safetensors", "PIL", "huggingface_hub")
_FILE = click.Path(path_type=Path)
_COUNT = click.IntRange(min=1)
_SECONDS = Quantity("duration", quantities.duration_s)


def _mib(text: str) -> float:
    value = float(text) if text.replace(".", "", 1).isdigit() else float("nan")
    if not 0.001 <= value <= 4096:
        raise ValueError(f"{text!r} is no number of MiB from 0.001 to 4096")
    return value


_MODEL = (
    click.argument("model"),
    click.option(
        "--task",
        type=click.Choice([task.value for task in Task]),
        metavar="TASK",
        help="What it is for, as Hugging Face calls it. [default: what its files say]",
    ),
    click.option("--revision", help="Branch, tag or commit on the Hub."),
    click.option("--local-only", is_flag=True, help="Download nothing."),
    click.option("--trust-remote-code", is_flag=True, help="Let Python code run that comes with the model."),
    click.option(
        "--served-model-name",
        multiple=True,
        metavar="NAME",
        help="Call the model so (MODEL goes on too); may be repeated.",
    ),
)
_DEVICE = (
    click.option(
        "--device", type=click.Choice(["auto", "cpu", "cuda", "neuron"]), default="auto", show_default=True,
        help="Where it runs.",
    ),
    click.option(
        "--framework", type=click.Choice(["eager", "compile", "neuronx"]), help="[default: the device's own]"
    ),
    click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="[default: the device's own]"),
)  # fmt: skip
_BOUNDS = (
    click.option("--max-batch", type=_COUNT, default=Bounds.max_batch, show_default=True, help="Requests at once."),
    click.option(
        "--max-wait", type=_SECONDS, default=quantities.format_duration(Bounds.max_wait_s), show_default=True,
        help="For which a batch waits to be full.",
    ),
    click.option(
        "--max-queued", type=click.IntRange(min=1), default=Bounds.max_queued, show_default=True,
        help="Requests that may wait; more are answered 429.",
    ),
    click.option("--max-tokens", type=_COUNT, help="Of a prompt with its answer, or of a text. [default: the model's]"),
    click.option(
        "--max-body-mib", type=Quantity("MiB", _mib), default=f"{Bounds.max_body_mib:g}", show_default=True,
        help="Longest body of a request.",
    ),
    click.option(
        "--max-pixels", type=_COUNT, default=Bounds.max_pixels, show_default=True, help="Of an image that is sent."
    ),
    click.option(
        "--max-steps", type=_COUNT, default=Bounds.max_steps, show_default=True, help="Of an image that is made."
    ),
    click.option(
        "--max-side", type=_COUNT, default=Bounds.max_side, show_default=True, help="Of an image that is made, pixels."
    ),
)  # fmt: skip
_SERVER = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.option(
        "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 takes a free one."
    ),
    click.option(
        "--drain-timeout", type=_SECONDS, default="30s", show_default=True, help="Given to requests in flight."
    ),
    click.option("--api-key-file", type=_FILE, help="Keys, one a line; requests must bring one as a bearer token."),
    click.option("--ssl-certfile", type=_FILE, help="Certificate, to serve HTTPS."),
    click.option("--ssl-keyfile", type=_FILE, help="Its key."),
    click.option("--page", is_flag=True, help="A page at /serve to judge answers by eye."),
)
_TOLD = (
    click.option(
        "--unit", default="", envvar="HOLDFAST_UNIT", show_envvar=True, help="Unit of the fleet, a label of metrics."
    ),
    click.option("--node-pool", default="", envvar="NODEPOOL", show_envvar=True, help="Node pool, another."),
    click.option("--cloudwatch-namespace", metavar="NAME", help="Tell CloudWatch of the requests, in this namespace."),
    click.option("--cloudwatch-region", metavar="NAME", help="Its region. [default: the one of AWS's configuration]"),
    click.option("--cloudwatch-app", metavar="NAME", help="Count also as NAME-counter, as the published guides do."),
    click.option("--cloudwatch-log", is_flag=True, help="Write it to stdout in CloudWatch's embedded metric format."),
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed((*_MODEL, *_DEVICE, *_BOUNDS, *_SERVER, *_TOLD)):
        command = option(command)
    return command


@click.command()
@_options
def serve(**given: Any) -> None:
    """Serve MODEL, an id of the Hub or a folder, behind OpenAI's API: text, embeddings, classes, objects, images.
    docs/serve.md has it all.

    One JSON line on stdout tells the URL once it listens, which it does before the model is loaded: /readiness tells
    when it is. Logs go to stderr.

    \b
    holdfast serve meta-llama/Llama-3.1-8B-Instruct --device cuda --max-batch 32
    holdfast serve ./bert-sentiment --device cpu --task text-classification
    holdfast serve stabilityai/sd-turbo --framework compile --page
    """
    from holdfast.serving import listening  # only here: it loads uvicorn, and `--help` need not wait for it

    _require_extra("page" if given["page"] else "serve")
    keys = _keys(given["api_key_file"])
    if keys and given["page"]:
        raise InputError("a browser cannot bring the key to the page", where="--page", mend="leave out one of the two")
    listening.check_certificate(given["ssl_certfile"], given["ssl_keyfile"])
    bounds = Bounds(
        max_batch=given["max_batch"],
        max_wait_s=given["max_wait"],
        max_queued=given["max_queued"],
        max_body_mib=given["max_body_mib"],
        max_pixels=given["max_pixels"],
        max_tokens=given["max_tokens"],
        max_steps=given["max_steps"],
        max_side=given["max_side"],
    )
    # Its libraries are not in the default install.
    from holdfast.serving.hosted.server import HostedServer

    settings = Settings(
        model=given["model"],
        names=tuple(given["served_model_name"]),
        task=None if given["task"] is None else Task(given["task"]),
        **{name: given[name] for name in ("device", "framework", "dtype", "revision", "local_only", "page")},
        trust_remote_code=given["trust_remote_code"],
        bounds=bounds,
        unit=given["unit"],
        node_pool=given["node_pool"],
        drain_timeout_s=given["drain_timeout"],
        keys=keys,
        certificate=given["ssl_certfile"],
        key=given["ssl_keyfile"],
        cloudwatch=_cloudwatch(given),
    )
    # Logs are read by machines, and anybody may send an image of whose metadata Pillow warns.
    os.environ["TQDM_DISABLE"] = "1"
    warnings.filterwarnings("ignore", module="PIL")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    listener = listening.bind(given["host"], given["port"])
    url = listening.url(listener, secure=settings.certificate is not None)

    def tell() -> None:
        event = {"event": "listening", "model": settings.model, "unit": settings.unit, "url": url, "pid": os.getpid()}
        click.echo(json.dumps(event))

    HostedServer(settings).run(listener, tell)


def _require_extra(extra: str) -> None:
    needed = (*_NEEDED, "gradio") if extra == "page" else _NEEDED
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        extras = "serve,page" if extra == "page" else "serve"
        raise InputError(
            f"{missing[0]} is not installed, which serving needs", mend=f"pip install 'holdfast[{extras}]'"
        )


def _cloudwatch(given: dict[str, Any]) -> CloudWatch | None:
    region, app, log_lines = (given[f"cloudwatch_{name}"] for name in ("region", "app", "log"))
    if given["cloudwatch_namespace"] is None:
        if region or app or log_lines:
            raise InputError("there is no namespace", where="--cloudwatch-namespace", mend="give hw-agnostic-infer")
        return None
    if not log_lines and importlib.util.find_spec("boto3") is None:
        mend = "pip install 'holdfast[aws]', or give --cloudwatch-log"
        raise InputError("boto3 is not installed", where="--cloudwatch-namespace", mend=mend)
    return CloudWatch(given["cloudwatch_namespace"], region, app, log_lines)


def _keys(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    try:
        keys = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file} cannot be read ({error})", where="--api-key-file", mend="give a file with a key a line"
        ) from error
    if not keys:
        raise InputError(f"there is no key in {file}", where="--api-key-file", mend="write a key a line")
    return keys
