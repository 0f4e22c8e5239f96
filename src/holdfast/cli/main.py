"""The `holdfast` command: one file per verb, loaded when it is asked for."""

from __future__ import annotations

import importlib
import resource
import sys
from typing import TYPE_CHECKING

import click

import holdfast
from holdfast.model.errors import HoldfastError, InputError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_VERBS = {
    "limit": "How much load does this endpoint hold before it breaks its SLO?",
    "load": "Send load to an endpoint and measure it.",
    "sweep": "Hold one load level after another, and print the table.",
    "merge": "Join the runs of shards to one run.",
    "audit": "Are these numbers possible?",
    "plan": "Which units, how many, at what cost?",
    "estimate": "What of a model fits on an instance, and how fast should it be?",
    "advise": "How would one serve this model on EKS, and why?",
    "render": "What do I apply to my cluster?",
    "simulate": "What happens when the cheap capacity runs out?",
    "status": "How do the fleets of a cluster stand, and what is to be done?",
    "operator": "Who watches a cluster at 3 a.m.? It keeps InferenceFleets as declared.",
    "failover": "Steer the traffic of a fleet in a cluster by hand.",
    "report": "A page of a run, a plan or a simulation.",
    "export": "A run for other tools: JSON, CSV, vLLM's names.",
    "demo": "The whole job on this machine, on emulated accelerators.",
    "serve": "Serve a model on a GPU, on Neuron or on a CPU.",
    "compile": "Make artifacts that `serve` loads, for accelerators that need them.",
    "emulate": "Serve as an emulated accelerator.",
    "prices": "What instances cost, how old each price is, and new ones from AWS.",
    "catalog": "Accelerators, instance types and prices, with their sources.",
    "schema": "The JSON schema of an InferenceFleet.",
    "completion": "What makes your shell complete all this.",
}


class _Verbs(click.Group):
    """A group whose commands are imported only when one is run, so that `--help` is quick."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command = getattr(importlib.import_module(f"holdfast.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        verbs = [CompletionItem(verb, help=text) for verb, text in _VERBS.items() if verb.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(holdfast.__version__, prog_name="holdfast")
def cli() -> None:
    """Find where inference breaks, deploy the cheapest mix that holds the SLO, keep it standing.

    Exit codes: 0 done, 1 the answer is no, 2 bad input.
    """


def main() -> None:
    """Entry point: turns an InputError into its sentence and exit code 2."""
    _allow_many_files()
    try:
        # Without its standalone mode, click returns the code of an Exit.
        sys.exit(cli.main(prog_name="holdfast", standalone_mode=False))
    except InputError as error:
        click.echo(f"holdfast: {error}", err=True)
        sys.exit(2)
    except HoldfastError as error:
        click.echo(f"holdfast: {error}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("holdfast: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(2)
    except OSError as error:
        click.echo(f"holdfast: the output cannot be written ({error.strerror or error}).", err=True)
        sys.exit(2)


def _allow_many_files() -> None:
    """Raises the soft limit on open files to the hard one: each request in flight holds a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > 65536:
        hard = 65536
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
