"""The flags that say which cluster is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from holdfast.cli import flags


def _name(text: str) -> str:
    if re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", text) is None:
        raise ValueError(f"{text!r} is not a name in Kubernetes: those have lower-case letters, digits and hyphens")
    return text


NAME = flags.Quantity("name", _name)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--kubeconfig` and `--context`."""
    for option in (
        click.option("--context", help="Of the kubeconfig.  [default: its current one]"),
        click.option("--kubeconfig", type=flags.FILE, help="By default $KUBECONFIG, or ~/.kube/config, or the pod's."),
    ):
        command = option(command)
    return command
