"""holdfast advise"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import completing, flags


@click.command()
@click.argument("model", shell_complete=completing.models)
@click.option("--needs", default="", metavar="LIST", help="Of mig, dra, multi-node, with commas.")
@click.option("--phase", type=click.Choice(["pilot", "production"]), default="production", show_default=True)
@click.option(
    "--region", default="us-east-1", shell_complete=completing.regions, show_default=True, help="Whose prices."
)
@click.option(
    "--sequence-tokens", type=flags.COUNT, help="Prompt and answer of a sequence. [default: 4096, or the model's most]"
)
@click.option("--sequences", type=flags.COUNT, default=8, show_default=True, help="Sequences that must fit at once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def advise(**given: Any) -> None:
    """Say how to serve MODEL on EKS: nodes, engine, routing, fallback, and the instances that hold it.

    MODEL is a built-in Hugging Face id, or a folder with its config.json. Every answer has the rule that led to it
    and what would change it; the rules are in docs/advise.md.

    \b
    holdfast advise meta-llama/Llama-3.3-70B-Instruct --region us-west-2
    holdfast advise Qwen/Qwen3-32B-FP8 --needs mig --phase pilot
    """
    from holdfast.cli.work import advise as work

    work.advise(**given)
