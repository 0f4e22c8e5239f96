"""holdfast beside AIPerf, guidellm and vLLM's bench script, against one near-free server, in one run.

    python benchmarks/load_generators.py [--tools holdfast,aiperf,guidellm,vllm] [--quick] [--markdown]

Each tool has its own environment (--envs), made from the package registry when absent: about 14 GB and some minutes in
all, most of it torch. The server has one core to itself and the tool, with all its processes, another.
docs/benchmarks.md says what is measured and how; `--into docs/benchmarks.md` puts the figures there.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.peers import environments, figures, processes, server, table, tools
from benchmarks.peers.figures import Result
from benchmarks.peers.loads import Load, Reported
from benchmarks.peers.processes import Run
from benchmarks.peers.server import Stamps
from benchmarks.peers.tools import Place, Tool

START_S = 120.0
"""The most that a tool may take beyond the load itself: importing, making prompts, writing its report."""
IDLE_LOAD = 0.5
"""A load average above this before the run: others are at work, and the figures are theirs as well."""
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"

CLOSED = Load("200 streams", duration_s=20, first_s=0.050, concurrency=200)
SHORT = Load("short requests", duration_s=10, first_s=0.020, concurrency=64, stream=False, output_tokens=1)
RATES_PER_S = (25.0, 50.0, 100.0, 200.0, 400.0)


class FailedError(Exception):
    """A tool did not do what it was asked; the message says how."""


@dataclass
class Report:
    """All figures of this run, by tool."""

    versions: dict[str, str] = field(default_factory=dict)
    closed: dict[str, Result] = field(default_factory=dict)
    short: dict[str, Result] = field(default_factory=dict)
    ladder: dict[str, dict[float, tuple[float, float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Stand:
    """Where tools are measured: the compiled server, its core and theirs, and a folder for what they write."""

    program: Path
    tokenizer: Path
    server_core: int
    client_core: int
    folder: Path

    def hold(self, tool: Tool, python: Path, load: Load) -> tuple[Run, Reported, Stamps]:
        """One tool offers one load. Raises FailedError."""
        say(f"{tool.name}: {load.name}, {load.duration_s:g} s")
        folder = Path(tempfile.mkdtemp(prefix=f"{tool.name}-", dir=self.folder))
        with server.serve(self.program, load, self.server_core, folder / "stamps.csv") as at:
            run = processes.run(
                tool.command(load, Place(python, self.tokenizer, folder, at.url)),
                environment=environments.variables(tool),
                folder=folder,
                core=self.client_core,
                server=at,
                limit_s=3 * load.duration_s + START_S,
            )
            if run.ended:
                raise FailedError(f"{load.name}: {run.ended}; {_last_line(folder / 'log')}")
            try:
                return run, tool.read(load, folder), at.stamps()
            except (OSError, LookupError, ValueError) as error:
                raise FailedError(f"{load.name}: its results cannot be read ({error!r})") from error


def measure(stand: Stand, tool: Tool, python: Path, load: Load, report: Report) -> Result:
    """One tool at one closed loop, with its cost. Raises FailedError."""
    run, said, stamps = stand.hold(tool, python, load)
    note(report, tool, load, said)
    if load.stream:
        rate_per_s = stamps.after(said.checks).rate_per_s(figures.RAMP_S)
        cost = figures.cost(run, lambda counts: counts.tokens)
        return Result(load, cost, rate_per_s, run.peak_mib, figures.ttft(said, stamps))
    cost = figures.cost(run, lambda counts: counts.requests)
    return Result(load, cost, _rate_by_samples(run), run.peak_mib, None)


def climb(
    stand: Stand, tool: Tool, python: Path, loads: list[Load], report: Report
) -> dict[float, tuple[float, float]]:
    """One tool at each rate of an open loop: the rate achieved and the error of its p99 TTFT in ms."""
    steps = {}
    for load in loads:
        assert load.rate_per_s is not None
        try:
            _, said, stamps = stand.hold(tool, python, load)
        except FailedError as failure:
            report.notes.append(f"{tool.name}: {failure}")
            continue
        note(report, tool, load, said)
        seen = figures.ttft(said, stamps)
        error_ms = math.nan if seen is None else seen.error_p99_ms
        steps[load.rate_per_s] = (stamps.after(said.checks).rate_per_s(figures.RAMP_S), error_ms)
    return steps


def note(report: Report, tool: Tool, load: Load, said: Reported) -> None:
    """What a reader must know of a result beside its figures."""
    if said.failed:
        report.notes.append(f"{tool.name}: {load.name}: {said.failed} of its requests failed.")
    if said.warning:
        report.notes.append(f"{tool.name}: {load.name}: {said.warning}.")


def render(report: Report, cores: list[int], seconds: float, rates: tuple[float, ...], *, markdown: bool) -> str:
    """Everything that was found, and what was not measured."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    parts = [
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}. {table.machine(cores)}. {versions}. "
        f"{seconds:g} s of 200 streams, {seconds / 2:g} s of each other load.",
        table.closed(report.closed, markdown=markdown),
        table.short(report.short, markdown=markdown),
        table.ladder(report.ladder, rates, markdown=markdown),
        table.targets(figures.targets(report.closed, report.short), markdown=markdown),
        "\n".join(f"- {line}" for line in report.notes),
    ]
    return "\n\n".join(parts) + "\n"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _rate_by_samples(run: Run) -> float:
    """Requests per second of answers that leave no stamp, from the server's counts while it was sent to."""
    total = run.counts.requests
    during = [s for s in run.samples if 0.1 * total < s.counts.requests < 0.95 * total]
    if len(during) < 2:
        return math.nan
    first, last = during[0], during[-1]
    return (last.counts.requests - first.counts.requests) / (last.at_s - first.at_s)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"


def _version(tool: Tool, python: Path) -> str:
    if tool.installs:
        return environments.version(tool, python)
    here = Path(__file__).parent
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True).stdout
    return commit.strip() or environments.version(tool, python)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder given, made, or a temporary one."""
    if given is None:
        with tempfile.TemporaryDirectory(prefix="load-generators-") as made:
            yield Path(made)
    else:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [tool.name for tool in tools.ALL]
    parser.add_argument("--tools", default=",".join(names), help=f"some of {','.join(names)}")
    parser.add_argument("--envs", type=Path, help="folder of the tools' environments [default: a temporary one]")
    parser.add_argument("--keep", type=Path, help="folder for logs and result files [default: a temporary one]")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the closed loop; the others take half [20]")
    parser.add_argument("--quick", action="store_true", help="6 seconds, and two rates: a trial, not a measurement")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    parser.add_argument("--into", type=Path, help="a Markdown file whose figures are replaced")
    given = parser.parse_args()
    given.tools = given.tools.split(",")
    if unknown := set(given.tools) - set(names):
        parser.error(f"no such tool: {', '.join(sorted(unknown))}")
    if not 2 <= given.seconds <= 600:
        parser.error("--seconds is not between 2 and 600")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two cores are needed, one for the server and one for the load generator")
    return given


def main() -> None:
    given = _arguments()
    seconds, rates = (6.0, (50.0, 200.0)) if given.quick else (given.seconds, RATES_PER_S)
    closed, short = replace(CLOSED, duration_s=seconds), replace(SHORT, duration_s=seconds / 2)
    ladder = [
        replace(CLOSED, name=f"{rate:g}/s", concurrency=None, rate_per_s=rate, duration_s=seconds / 2) for rate in rates
    ]
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})  # what measures stays off the core of what is measured
    processes.adopt_orphans()
    report = Report()
    if os.getloadavg()[0] > IDLE_LOAD:
        busy = f"the load average was {os.getloadavg()[0]:.1f} before it began"
        report.notes.append(f"**The machine was not idle** ({busy}): these figures are provisional.")
    with _folder(given.envs) as envs, _folder(given.keep) as folder:
        program = server.build(folder)
        for tool in (tool for tool in tools.ALL if tool.name in given.tools):
            try:
                say(f"{tool.name}: environment")
                python = environments.python_of(tool, envs)
                tokenizer = folder / f"tokenizer-{tool.name}"
                if tool.installs:
                    environments.train_tokenizer(python, tokenizer)
                report.versions[tool.name] = _version(tool, python)
                stand = Stand(program, tokenizer, cores[0], cores[-1], folder)
                report.closed[tool.name] = measure(stand, tool, python, closed, report)
                report.short[tool.name] = measure(stand, tool, python, short, report)
                report.ladder[tool.name] = climb(stand, tool, python, ladder, report)
            except (environments.CannotInstallError, FailedError) as failure:
                report.notes.append(f"{tool.name} could not be measured in full: {failure}.")
            report.notes.append(f"{tool.name}: {tool.how}.")
    text = render(report, cores, seconds, rates, markdown=given.markdown or given.into is not None)
    if given.into is None:
        print(text)
        return
    before, rest = given.into.read_text().split(BEGIN)
    given.into.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
