"""holdfast schema"""

from __future__ import annotations

import json

import click


@click.command()
def schema() -> None:
    """Print the JSON schema of an InferenceFleet document.

    \b
    holdfast schema > inferencefleet.schema.json

    Point your editor's YAML support at it.
    """
    from holdfast.model import document

    click.echo(json.dumps(document.json_schema(), indent=2))
