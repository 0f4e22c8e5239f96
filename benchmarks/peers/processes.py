"""Running a command with all of its processes on one core, and what the whole tree of them used."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.server import Counts, Server

SAMPLE_S = 0.1
PSS_EVERY = 20
"""Samples between two readings of memory: the kernel walks the pages of a process for it, which may hold it up."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Sample:
    """At a time: the tree's processor time so far, and what the server had answered by then."""

    at_s: float
    cpu_s: float
    counts: Counts


@dataclass(frozen=True)
class Run:
    """One run of a command.

    cpu_s:    user and system time of all its processes, from the first instruction to the last.
    peak_mib: the most memory seen, as proportional set size (shared pages are counted once); 0 when it was too short.
    ended:    empty, or how it went wrong.
    """

    cpu_s: float
    peak_mib: float
    samples: tuple[Sample, ...]
    counts: Counts
    ended: str


def adopt_orphans() -> None:
    """Makes this process the parent of processes whose own parent ended, so that their time is counted here."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(
    command: list[str], *, environment: dict[str, str], folder: Path, core: int, server: Server, limit_s: float
) -> Run:
    """Runs a command in a folder until it ends, at most limit_s, its output in the file `log` there."""
    before_s = _children_s()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        watch = _Watch(process.pid, server)
        watch.start()
        try:
            code = process.wait(limit_s)
            ended = f"it ended with exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            ended = f"it did not end within {limit_s:.0f} s"
        finally:
            watch.done.set()
            watch.join()
            _end_group(process)
    counts = server.counts()
    return Run(_children_s() - before_s, watch.peak_mib, tuple(watch.samples), counts, ended)


class _Watch(threading.Thread):
    """Samples a tree of processes, at a priority that leaves the core to the server."""

    def __init__(self, pid: int, server: Server) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.samples: list[Sample] = []
        self.peak_mib = 0.0
        self._pid, self._server = pid, server

    def run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)  # Linux: of this thread alone
        turn = 0
        while not self.done.wait(SAMPLE_S):
            tree = _tree(self._pid)
            cpu_s = sum(_cpu_s(stat) for stat in tree.values())
            self.samples.append(Sample(time.monotonic(), cpu_s, self._server.counts()))
            if turn % PSS_EVERY == 0:
                self.peak_mib = max(self.peak_mib, sum(_pss_mib(pid) for pid in tree))
            turn += 1


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _stats() -> dict[int, list[str]]:
    return {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def _tree(root: int) -> dict[int, list[str]]:
    """A process and its descendants, with their stat."""
    stats = _stats()
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        if stat:
            children.setdefault(int(stat[1]), []).append(pid)
    found, ahead = {}, [root]
    while ahead:
        pid = ahead.pop()
        if stats.get(pid):
            found[pid] = stats[pid]
        ahead += children.get(pid, [])
    return found


def _cpu_s(stat: list[str]) -> float:
    """User and system time of a process and of the children that it has waited for (proc(5), fields 14 to 17)."""
    return sum(int(ticks) for ticks in stat[11:15]) / TICKS_PER_S


def _pss_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends what a command left behind, and counts it: its session is its own, its orphans are our children."""
    deadline = time.monotonic() + 5
    while _in_session(process.pid) and time.monotonic() < deadline:
        _reap(process.pid)
        time.sleep(0.05)
    for pid in _in_session(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    while _in_session(process.pid):
        _reap(process.pid)
        time.sleep(0.05)


def _in_session(session: int) -> list[int]:
    return [pid for pid, stat in _stats().items() if stat and int(stat[3]) == session]


def _reap(session: int) -> None:
    for pid in _in_session(session):
        stat = _stat(pid)
        if stat and stat[0] == "Z" and int(stat[1]) == os.getpid() and pid != session:
            os.waitpid(pid, 0)
