"""How much CPU a command takes until it says something: `--help` of every verb, what a shell completes, bad input.

Beside `python -c pass`, which is what no command in Python can be below. The least of several runs of each, since
nothing but other work on the machine makes one longer.

    python benchmarks/startup.py [RUNS]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.cli import reference

URL = ("http://127.0.0.1:9", "--model", "m")
BAD = (
    ("plan", "nowhere.yaml"),
    ("plan", "misspelt.yaml"),
    ("plan", "fleet.yaml", "--rate", "3"),
    ("limit", *URL, "--slo", "nonsense"),
    ("limit", "nowhere", "--model", "m", "--slo", "p95<1s"),
    ("load", *URL),
    ("sweep", *URL),
    ("estimate", "nobodys-model", "--instance", "g5.xlarge"),
    ("audit", "misspelt.csv"),
    ("simulate", "nowhere.json", "--scenario", "s.yaml"),
    ("render", "plan.json"),
    ("report", "empty"),
    ("emulate", "nobody"),
    ("catalog", "--accelerator", "x"),
)
COMPLETED = ("em", "limit --", "plan fleet.yaml --weights i", "emulate sd", "estimate gpt2 --instance g6")


def cpu_s(command: Sequence[str], runs: int, environment: Mapping[str, str]) -> float:
    """The least CPU time, user and system, that the command took."""
    took = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=False, timeout=60, env=dict(environment))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(took)


def main(runs: int) -> None:
    holdfast = (sys.executable, "-m", "holdfast")
    print(f"least CPU seconds of {runs} runs")
    print(f"{cpu_s((sys.executable, '-c', 'pass'), runs, os.environ):.3f}  python -c pass")
    for context in reference.contexts():
        words = context.command_path.split()[1:]
        print(f"{cpu_s((*holdfast, *words, '--help'), runs, os.environ):.3f}  {context.command_path} --help")
    for bad in BAD:
        print(f"{cpu_s((*holdfast, *bad), runs, os.environ):.3f}  holdfast {' '.join(bad)}")
    for line in COMPLETED:
        asked = {"COMP_WORDS": f"holdfast {line}", "COMP_CWORD": str(len(line.split()))}
        environment = {**os.environ, **asked, "_HOLDFAST_COMPLETE": "bash_complete"}
        print(f"{cpu_s(holdfast, runs, environment):.3f}  holdfast {line}<TAB>")


def prepare() -> None:
    """The files that bad input names, in the folder."""
    for name, text in (
        ("misspelt.yaml", "apiVersion: holdfast.dev/v1alpha1\nkind: InferenceFleet\nsepc: {}\n"),
        ("misspelt.csv", "unti,model\nu,m\n"),
        ("plan.json", "{}"),
        ("s.yaml", ""),
    ):
        Path(name).write_text(text, encoding="utf-8")
    Path("empty").mkdir()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        prepare()
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
