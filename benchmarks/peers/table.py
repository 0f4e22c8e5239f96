"""Figures as tables that read the same on a terminal and in Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.figures import Result, Target

MiB = 1024 * 1024


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool) -> str:
    """Columns aligned: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [
            text.rjust(width) if i else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |" if markdown else "  ".join(cells).rstrip()

    rule = [("-" * (width - 1) + ":") if i and markdown else "-" * width for i, width in enumerate(widths)]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def closed(results: dict[str, Result], *, markdown: bool) -> str:
    """Cost, rate, memory and truth at many streams."""
    ours = results.get("holdfast")
    header = (
        "200 streams",
        "us/token",
        "to end",
        "x",
        "req/s",
        "ideal",
        "MiB",
        "p50 ms",
        "p99 ms",
        "true p99",
        "error",
    )
    rows = []
    for name, r in results.items():
        seen = r.ttft
        assert seen is not None
        rows.append(
            (
                name,
                f"{r.cost.sending_us:.1f}",
                f"{r.cost.to_end_us:.1f}",
                _times(r, ours),
                f"{r.achieved_per_s:.1f}",
                f"{r.achieved_per_s / r.load.ideal_per_s:.0%}",
                f"{r.peak_mib:.0f}",
                f"{seen.reported_p50_ms:.1f}",
                f"{seen.reported_p99_ms:.1f}",
                f"{seen.true_p99_ms:.1f}",
                f"{seen.error_p99_ms:+.1f}",
            )
        )
    return table(header, rows, markdown=markdown)


def short(results: dict[str, Result], *, markdown: bool) -> str:
    """Cost and rate of short requests."""
    ours = results.get("holdfast")
    header = ("short requests", "us/request", "to end", "x", "requests/s", "of ideal", "MiB")
    rows = [
        (
            name,
            f"{r.cost.sending_us:.0f}",
            f"{r.cost.to_end_us:.0f}",
            _times(r, ours),
            f"{r.achieved_per_s:.0f}",
            f"{r.achieved_per_s / r.load.ideal_per_s:.0%}",
            f"{r.peak_mib:.0f}",
        )
        for name, r in results.items()
    ]
    return table(header, rows, markdown=markdown)


def ladder(results: dict[str, dict[float, tuple[float, float]]], rates: Sequence[float], *, markdown: bool) -> str:
    """Of each rate per second: the achieved one, and the error of the reported p99 TTFT in ms."""
    header = ("asked/s", *(f"{rate:g}" for rate in rates))
    rows = [
        (name, *("{:.1f} ({:+.1f})".format(*steps[rate]) if rate in steps else "failed" for rate in rates))
        for name, steps in results.items()
    ]
    return table(header, rows, markdown=markdown)


def targets(found: Sequence[Target], *, markdown: bool) -> str:
    """The issue's targets and their verdicts."""
    return table(("target", "found", ""), [(t.claim, t.found, t.verdict) for t in found], markdown=markdown)


def machine(cores: Sequence[int]) -> str:
    """The machine in a line: processor, cores, memory, kernel, Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MiB / 1024
    siblings = Path(f"/sys/devices/system/cpu/cpu{cores[0]}/topology/thread_siblings_list")
    shared = siblings.exists() and str(cores[-1]) in siblings.read_text().strip().replace("-", ",").split(",")
    one = ", the two in use being threads of one core" if shared else ""
    return (
        f"{model}, {os.cpu_count()} processors{one}, {memory_gib:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _times(result: Result, ours: Result | None) -> str:
    return "" if ours is None else f"{result.cost.ratio_to(ours.cost):.1f}"
