"""Shell completion: what a shell is told through click's protocol, and in real bashes."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from holdfast import catalog
from holdfast.cli.main import cli
from holdfast.serving.emulated import profiles

_MOST_S = 30.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the command as it is when it is installed, and a file."""
    command = tmp_path / "bin" / "holdfast"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m holdfast "$@"\n')
    command.chmod(0o755)
    (tmp_path / "fleet.yaml").touch()
    return tmp_path


def _environment(home: Path, **more: str) -> dict[str, str]:
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "HOME": str(home), "PATH": path, "TERM": "dumb", **more}


def _completed(*words: str) -> list[str]:
    """What may stand for the last of the words that follow `holdfast`; `file:` where that is a path."""
    shell = BashComplete(cli, {}, "holdfast", "_HOLDFAST_COMPLETE")
    found = shell.get_completions(list(words[:-1]), words[-1])
    return [one.value if one.type == "plain" else f"{one.type}:" for one in found]


def test_verbs_are_completed() -> None:
    assert _completed("em") == ["emulate"]
    assert "plan" in _completed("") and "completion" in _completed("")
    assert _completed("nosuch") == []
    assert _completed("prices", "ref") == ["refresh"]


def test_options_are_completed_and_not_twice() -> None:
    assert _completed("plan", "fleet.yaml", "--me") == ["--measurements", "--measured-only"]
    assert _completed("plan", "fleet.yaml", "--measured-only", "--measured") == []
    assert "--input-tokens" in _completed("limit", "http://x", "--slo", "p95<1s", "--")


def test_values_are_completed() -> None:
    assert _completed("emulate", "sd21-g5") == [one for one in profiles.profile_names() if one.startswith("sd21-g5")]
    names = [kind.name for kind in catalog.instance_types()]
    assert _completed("estimate", "gpt2", "--instance", "") == names
    assert _completed("prices", "--instance", "g6.1") == [name for name in names if name.startswith("g6.1")]
    assert _completed("emulate", "--instance-type", "inf2.x") == ["inf2.xlarge"]
    assert _completed("catalog", "--accelerator", "l40") == ["l40s"]
    assert _completed("catalog", "--region", "us-west") == ["us-west-2"]
    assert _completed("advise", "openai/gpt-oss-2") == ["openai/gpt-oss-20b"]
    assert _completed("plan", "fleet.yaml", "--weights", "i") == ["inverse-cost"]
    assert _completed("completion", "") == ["bash", "zsh", "fish"]


def test_paths_are_left_to_the_shell() -> None:
    for words in (["plan", "f"], ["emulate", "my"], ["audit", ""], ["render", "p", "--out", ""]):
        assert _completed(*words) == ["file:"]


_WALK = """
import contextlib, io, json, os, sys
from holdfast.cli.main import cli

os.environ["_HOLDFAST_COMPLETE"] = "bash_complete"
for words in (["holdfast", ""], ["holdfast", "plan", "--"], ["holdfast", "load", "http://x", "--arrivals", ""]):
    os.environ.update(COMP_WORDS=" ".join(words), COMP_CWORD=str(len(words) - 1))
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())) as said:
        cli.main([], prog_name="holdfast", standalone_mode=False)
    said.seek(0)
    assert "plain," in said.read(), words
print(json.dumps(sorted({"numpy", "pydantic", "rich", "yaml", "asyncio"} & set(sys.modules))))
"""


def test_verbs_and_options_are_completed_without_a_library() -> None:
    done = subprocess.run([sys.executable, "-c", _WALK], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("shell", "words", "at", "expected"),
    [
        ("bash", "holdfast em", "1", "plain,emulate"),
        ("zsh", "holdfast em", "1", "plain\nemulate\nServe as an emulated accelerator."),
        ("fish", "holdfast em", "em", "plain,emulate\tServe as an emulated accelerator."),
    ],
)
def test_each_shell_is_answered_in_its_own_form(shell: str, words: str, at: str, expected: str) -> None:
    environment = {
        **os.environ, "_HOLDFAST_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": at
    }  # fmt: skip
    command = [sys.executable, "-m", "holdfast"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, expected, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_the_command(shell: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert f"_HOLDFAST_COMPLETE={shell}_complete" in done.output


def test_an_unknown_shell_is_bad_input() -> None:
    done = CliRunner().invoke(cli, ["completion", "tcsh"])
    assert done.exit_code == 2 and "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.output


def test_a_real_bash_fills_in_what_it_is_told(home: Path) -> None:
    script = """
    source <(holdfast completion bash)
    reply() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _holdfast_completion holdfast 2>/dev/null
              echo "${COMPREPLY[@]}"; }
    reply holdfast repo
    reply holdfast emulate sd21-inf
    reply holdfast plan fleet.yaml --weights cap
    complete -p holdfast
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=_environment(home), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "report",
        "sd21-inf2-neuronx",
        "capacity-optimized",
        "complete -o nosort -F _holdfast_completion holdfast",
    ], done.stderr


def test_a_person_at_bash_presses_tab(home: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(home)
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], _environment(home, PS1="> "))
    try:
        _type(terminal, b"bind 'set enable-bracketed-paste off'; source <(holdfast completion bash); echo re''ady\n")
        assert b"ready" in _read_until(terminal, b"ready\r\n")
        _type(terminal, b"holdfast emul\t")
        assert b"holdfast emulate " in _read_until(terminal, b"holdfast emulate ")
        _type(terminal, b"sd21-inf\t")
        assert b"sd21-inf2-neuronx " in _read_until(terminal, b"sd21-inf2-neuronx ")
        _type(terminal, b"\x15holdfast plan fle\t")
        assert b"holdfast plan fleet.yaml " in _read_until(terminal, b"fleet.yaml ")
    finally:
        os.close(terminal)  # which hangs up, and bash ends
        os.waitpid(child, 0)


def _type(terminal: int, keys: bytes) -> None:
    os.write(terminal, keys)


def _read_until(terminal: int, end: bytes) -> bytes:
    """What the terminal shows up to `end`, or in half a minute."""
    shown, until_s = b"", time.monotonic() + _MOST_S
    while end not in shown and (left_s := until_s - time.monotonic()) > 0:
        if select.select([terminal], [], [], left_s)[0]:
            shown += os.read(terminal, 4096)
    return shown
