"""`--help` of every verb: quick, within 80 columns, and with examples that parse."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from holdfast.catalog import own
from holdfast.cli import flags, reference
from holdfast.cli.main import cli
from holdfast.control.operator.telling.by_hand import Override
from holdfast.control.policies import POLICIES
from holdfast.model.fleet import Api, WeightPolicy
from holdfast.planning import advice

HEAVY = (
    "asyncio", "anyio", "boto3", "gradio", "highspy", "httptools", "httpx2", "jinja2", "lightkube", "numba", "numpy",
    "plotly", "prometheus_client", "pyarrow", "pydantic", "rich", "starlette", "tokenizers", "torch", "transformers",
    "uvicorn", "uvloop", "yaml",
)  # fmt: skip
"""What takes from 10 ms of CPU to seconds to import; click alone takes 30 ms."""

VERBS = [context.command_path.split()[1:] for context in reference.contexts()]

_WALK = """
import contextlib, io, json, sys
from holdfast.cli.main import cli

heavy, verbs = map(json.loads, sys.argv[1:])
loaded = {}
for words in verbs:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        cli.main([*words, "--help"], standalone_mode=False)
    assert said.getvalue().startswith("Usage:")
    for name in set(heavy) & set(sys.modules):
        loaded.setdefault(name, words)
print(json.dumps(loaded))
"""


def test_no_help_waits_for_a_library() -> None:
    command = [sys.executable, "-c", _WALK, json.dumps(HEAVY), json.dumps([[], *VERBS])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


@pytest.mark.parametrize("words", [[], *VERBS], ids=" ".join)
def test_help_fits_80_columns(words: list[str]) -> None:
    said = CliRunner().invoke(cli, [*words, "--help"], terminal_width=reference.WIDTH).output
    assert [line for line in said.splitlines() if len(line) > 80] == []


def _examples(help: str) -> Iterator[list[str]]:
    """The words of the lines of a help text that begin like a command."""
    for line in help.replace("\\\n", " ").splitlines():
        if line.strip().startswith("holdfast "):
            words = shlex.split(line, comments=True)
            yield words[1 : words.index(">") if ">" in words else None]


def _parsed(words: list[str]) -> click.Context:
    """The verb's context after click has read the words, with files wherever the verb wants them to be there."""
    context = cli.make_context("holdfast", list(words))
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            break
        name, command, rest = context.command.resolve_command(context, rest)
        assert command is not None
        given, _, _ = command.make_parser(click.Context(command)).parse_args(list(rest))
        for parameter in command.params:
            if isinstance(parameter.type, flags.Existing):
                found = given.get(str(parameter.name)) or ()
                for path in [found] if isinstance(found, str) else found:
                    Path(path).parent.mkdir(parents=True, exist_ok=True)
                    Path(path).touch()
        context = command.make_context(name, rest, parent=context)
    return context


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_examples_and_each_parses(
    verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    help = next(one.command.help for one in reference.contexts() if one.command_path.split()[1:] == verb)
    examples = list(_examples(help or ""))
    assert [words[: len(verb)] for words in examples if words[: len(verb)] == verb], "no example of its own"
    for words in examples:
        assert _parsed(words).command_path.startswith(f"holdfast {verb[0]}")


def test_an_example_with_an_unknown_option_would_be_found() -> None:
    with pytest.raises(click.NoSuchOption):
        _parsed(["plan", "fleet.yaml", "--measurement-file", "x"])


def _choices(options: list[click.Parameter], name: str) -> list[str]:
    kind = next(one.type for one in options if one.name == name)
    assert isinstance(kind, click.Choice)
    return list(kind.choices)


def _params(verb: str) -> list[click.Parameter]:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    return command.params


def test_choices_that_are_written_down_are_those_of_the_library() -> None:
    # They are not taken from there, as `--help` would have to import it.
    assert list(flags.API.choices) == [api.value for api in Api]
    assert _choices(_params("plan"), "weights") == [policy.value for policy in WeightPolicy]
    assert _choices(_params("advise"), "phase") == list(advice.PHASES)
    assert _choices(_params("failover"), "asked") == [one.value for one in Override]
    assert ", ".join(advice.NEEDS) in str(_help("advise", "needs"))
    assert ", ".join(POLICIES) in str(_help("simulate", "policies"))
    assert f"${own.VARIABLE}," in str(_help("prices", "file"))


def _help(verb: str, name: str) -> str | None:
    return next(one.help for one in _params(verb) if isinstance(one, click.Option) and one.name == name)


def test_the_reference_is_what_the_command_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    # In a process of its own: click keeps with a command how its help was first asked for.
    command = [sys.executable, "-m", reference.__name__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert page.read_text(encoding="utf-8") == done.stdout, f"write it anew: python -m {reference.__name__} > {page}"
