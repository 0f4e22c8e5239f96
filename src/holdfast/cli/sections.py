"""Flags in sections of `--help`, and sets of flags that a verb takes as one value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_OWN = "Options"


class Option(click.Option):
    """An option that `--help` lists under a heading of its own."""

    def __init__(self, *names: Any, section: str = _OWN, **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        self.section = section


class Command(click.Command):
    """A command whose `--help` lists its options by section, its own first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "section", _OWN), []).append(record)
        own = sections.pop(_OWN)
        # Beside --help there may be none.
        for name, records in [(_OWN, own), *sections.items()] if len(own) > 1 else [*sections.items(), (_OWN, own)]:
            with formatter.section(name):
                formatter.write_dl(records)


def option(section: str, *names: str, **attributes: Any) -> Decorator:
    """A click option under a heading of `--help`."""
    return click.option(*names, cls=Option, section=section, **attributes)


def bundle(
    name: str, options: Sequence[Decorator], build: Callable[..., Any], *, also: Collection[str] = ()
) -> Decorator:
    """Adds `options` to a command, which gets what `build` makes of them as its one argument `name`.

    also: arguments, made by other bundles, that `build` takes too.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own: set[str] = set(also)

        def run(**given: Any) -> None:
            command(**{name: build(**{key: given.pop(key) for key in own})}, **given)

        run.__doc__, run.__name__ = command.__doc__, command.__name__
        decorated: Any = run
        # Flags that the command declared itself come along.
        declared: list[click.Parameter] = list(getattr(command, "__click_params__", []))
        decorated.__click_params__ = list(declared)
        for add in reversed(options):
            decorated = add(decorated)
        own |= {str(parameter.name) for parameter in decorated.__click_params__[len(declared) :]}
        done: Callable[..., Any] = decorated
        return done

    return decorate
