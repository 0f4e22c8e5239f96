"""docs/cli.md: every verb and option, as the command itself declares them.

python -m holdfast.cli.reference > docs/cli.md
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from holdfast.cli.main import cli

WIDTH = 78
"""What click leaves of a terminal of 80 columns."""

_HEAD = """\
# Verbs and options

What `holdfast VERB --help` says, of every verb. This page is made of the command itself by
`python -m holdfast.cli.reference > docs/cli.md`, and a test fails when it is stale.

Exit codes, of every verb: 0 done, 1 the answer is no, 2 bad input; 130 when it was interrupted.

`holdfast completion bash`, `zsh` or `fish` prints what makes a shell complete verbs, options and names:
`source <(holdfast completion bash)`.
"""


def page() -> str:
    """The page, as Markdown."""
    found = list(contexts())
    index = "\n".join(f"- [`{one.command_path}`](#{_anchor(one)}): {_first(one.command)}" for one in found)
    return "\n".join((_HEAD, index, *(_section(one) for one in found)))


def contexts() -> Iterator[click.Context]:
    """Of every verb, and of what stands behind a verb."""
    root = click.Context(cli, info_name="holdfast", terminal_width=WIDTH, **cli.context_settings)
    for verb in cli.list_commands(root):
        command = cli.get_command(root, verb)
        assert command is not None
        context = click.Context(command, parent=root, info_name=verb, terminal_width=WIDTH)
        yield context
        if isinstance(command, click.Group):
            for name, part in command.commands.items():
                yield click.Context(part, parent=context, info_name=name, terminal_width=WIDTH)


def _anchor(context: click.Context) -> str:
    return context.command_path.replace(" ", "-")


def _first(command: click.Command) -> str:
    """The first sentence of its help."""
    text = " ".join((command.help or "").split("\n\n")[0].split())
    sentence, stop, _ = text.partition(". ")
    return sentence + "." * bool(stop)


def _section(context: click.Context) -> str:
    return f"\n## {context.command_path}\n\n```text\n{context.command.get_help(context)}\n```"


if __name__ == "__main__":
    click.echo(page())
