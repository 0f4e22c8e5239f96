"""How much memory the client takes with a thousand streams at once, as the recorded requests grow to a million.

    python benchmarks/client_memory.py [REQUESTS] [TOKENS]

A closed loop of 1,000 users against near_free_server.c (compiled here), each answer streamed in TOKENS events of 10 ms
after a first of 50 ms. Two runs of `holdfast sweep`, as a user starts it: of 20,000 requests and of REQUESTS (1,000,000
by default). Memory is the peak of the resident set of the process, result files and reports included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("near_free_server.c")
STREAMS, FIRST_US, GAP_US = 1000, 50_000, 10_000
FEW = 20_000


def run(url: str, requests: int, tokens: int, folder: Path) -> tuple[float, dict[str, float]]:
    """The peak in MB, and the stage that the verb prints."""
    command = (
        f"{sys.executable} -m holdfast sweep {url} --model near-free --input-tokens 100 --output-tokens {tokens} "
        f"--concurrency {STREAMS} --requests-per-level {requests // STREAMS}x --out {folder / str(requests)} --json"
    )
    with (folder / "log").open("w+") as log, subprocess.Popen(command.split(), stdout=log) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        said = log.read()
    if child.returncode:
        sys.exit(f"holdfast sweep ended with {child.returncode}:\n{said}")
    return usage.ru_maxrss / 1024, json.loads(said)["stages"][0]


def main(requests: int, tokens: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        binary = folder / "near_free_server"
        subprocess.run(["cc", "-O2", "-o", str(binary), str(SOURCE)], check=True)
        arguments = [str(binary), "0", str(tokens), str(GAP_US), str(FIRST_US)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
                print(f"{'requests':>10}{'tokens each':>13}{'in flight':>11}{'req/s':>8}{'failed':>8}{'peak MB':>9}")
                for count in (min(FEW, requests), requests):
                    peak_mb, stage = run(url, count, tokens, folder)
                    failed = stage["requests"] - stage["ok"]
                    print(
                        f"{stage['requests']:10}{tokens:13}{stage['in_flight']:11.0f}{stage['achieved_per_s']:8.0f}"
                        f"{failed:8}{peak_mb:9.0f}",
                        flush=True,
                    )
            finally:
                server.kill()


if __name__ == "__main__":
    main(*(int(argument) for argument in [*sys.argv[1:], *["1000000", "8"][len(sys.argv) - 1 :]]))
