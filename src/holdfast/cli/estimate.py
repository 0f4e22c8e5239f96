"""holdfast estimate"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import completing, flags
from holdfast.model.architecture import Dtype

_KV_DTYPES = [dtype.value for dtype in (Dtype.BF16, Dtype.FP16, Dtype.FP8, Dtype.INT8)]
"""Those that engines store a KV cache in."""


@click.command()
@click.argument("model", shell_complete=completing.models)
@click.option(
    "--instance", required=True, shell_complete=completing.instance_types, help="Instance type, e.g. g5.12xlarge."
)
@click.option(
    "--tp", type=flags.COUNT, help="Tensor parallelism, on Neuron in logical cores. By default the least that fits."
)
@click.option(
    "--pp",
    type=flags.COUNT,
    default=1,
    show_default=True,
    help="Pipeline parallelism, over several instances if need be.",
)
@click.option("--input-tokens", type=flags.COUNT, help="Of each request.")
@click.option("--output-tokens", type=flags.COUNT, help="Of each request.")
@click.option("--max-num-seqs", type=flags.COUNT, help="The engine's batch limit. By default the engine's own.")
@click.option("--dtype", type=click.Choice([dtype.value for dtype in Dtype]), help="Weights stored otherwise.")
@click.option("--kv-dtype", type=click.Choice(_KV_DTYPES), help="KV cache stored otherwise.")
@click.option("--framework", help="Whose coefficients: vllm, tensorrt-llm, deepspeed-mii. By default vllm.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
def estimate(**given: Any) -> None:
    """What of MODEL fits on an instance, and how fast it should be there.

    \b
    holdfast estimate openai/gpt-oss-20b --instance g5.12xlarge --tp 4 \\
        --input-tokens 200 --output-tokens 100

    MODEL is a Hugging Face id that the catalogue knows, or the folder of a config.json. More parallelism than one
    instance carries takes several of them. Exit code 1 when it does not fit.
    """
    from holdfast.cli.work import estimate as work

    work.estimate(**given)
