"""`holdfast compile`: artifacts of a model for accelerators that load what was compiled before."""

from __future__ import annotations

import json
from pathlib import Path

import click

from holdfast.serving.hosted import compiling
from holdfast.serving.hosted.compiling import Compilation
from holdfast.serving.hosted.tasks import Task

_SIZE = click.IntRange(min=1)


@click.command()
@click.argument("model")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FOLDER", help="Where the artifact is written."
)
@click.option("--device", default="neuron", show_default=True, help="What it is for.")
@click.option(
    "--task",
    type=click.Choice([task.value for task in Task]),
    metavar="TASK",
    help="What it will be served for, as Hugging Face calls it. [default: by its files]",
)
@click.option("--batch-size", type=_SIZE, help="Requests at once; the slots of a text generator.")
@click.option("--sequence-length", type=_SIZE, help="Tokens of a text, or of a prompt and its answer.")
@click.option("--height", type=_SIZE, help="Pixels of an image that is made,")
@click.option("--width", type=_SIZE, help="and its width.")
@click.option(
    "--tensor-parallel", type=_SIZE, default=1, show_default=True, help="NeuronCores that share one text generator."
)
@click.option("--dtype", default="bfloat16", show_default=True, help="Of multiplications: bfloat16 or float32.")
@click.option("--target", help="inf2, trn1 or trn2. [default: this machine]")
@click.option("--revision", help="Branch, tag or commit of the model on the Hub.")
@click.option("--local-only", is_flag=True, help="Download nothing.")
@click.option("--trust-remote-code", is_flag=True, help="Let Python code of the model run.")
@click.option("--json", "as_json", is_flag=True, help="Show the manifest as one JSON document.")
def compile(
    model: str,
    out: Path,
    device: str,
    task: str | None,
    batch_size: int | None,
    sequence_length: int | None,
    height: int | None,
    width: int | None,
    tensor_parallel: int,
    dtype: str,
    target: str | None,
    revision: str | None,
    local_only: bool,
    trust_remote_code: bool,
    as_json: bool,
) -> None:
    """Compile MODEL, a folder or an id of the Hub, for AWS NeuronCores: once, for minutes to hours, so that
    `holdfast serve FOLDER --device neuron` only loads. A machine without NeuronCores can do it, with --target.

    \b
    holdfast compile meta-llama/Llama-3.1-8B-Instruct --out llama --target trn1 \\
        --batch-size 8 --sequence-length 4096 --tensor-parallel 8
    holdfast compile stabilityai/stable-diffusion-2-1-base --out sd21 \\
        --target inf2 --batch-size 1 --height 512 --width 512
    """
    compiling.check_device(device)
    wanted = Compilation(
        batch_size=batch_size,
        sequence_length=sequence_length,
        height=height,
        width=width,
        tensor_parallel=tensor_parallel,
        dtype=dtype,
        target=compiling.target_here() if target is None else target,
    )
    from holdfast.serving.hosted import files

    found = files.find(
        model,
        task=None if task is None else Task(task),
        local_only=local_only,
        trust_remote_code=trust_remote_code,
        revision=revision,
    )
    made, compiled = compiling.compile_model(found, wanted, out)
    if as_json:
        click.echo(json.dumps({**made, "compiled": compiled, "folder": str(out)}))
        return
    click.echo(compiling.line(made))
    click.echo(f"{'written to' if compiled else 'was compiled before, in'} {out}")
