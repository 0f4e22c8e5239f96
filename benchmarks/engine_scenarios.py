"""10,000 random lives of the emulated engine, each held to the same promises as in the default tests.

    python benchmarks/engine_scenarios.py [LIVES]

Prints how much of what matters they met: preemptions, prefix cache hits, steps' tokens, cancelled and refused requests.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hypothesis import HealthCheck, given, settings

from holdfast.serving.emulated.batching import ContinuousBatching
from serving.scenarios import ACTIONS, Action, Life, shapes


def main(lives: int) -> None:
    counts = {"lives": 0, "requests": 0, "finished": 0, "tokens": 0, "preemptions": 0, "cached tokens": 0}

    @settings(max_examples=lives, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(shape=shapes(), actions=ACTIONS)
    def each(shape: ContinuousBatching, actions: list[Action]) -> None:
        life = Life(shape)
        life.live(actions)
        counts["lives"] += 1
        counts["requests"] += len(life.jobs)
        counts["finished"] += len(life.finished)
        counts["tokens"] += sum(life.produced.values())
        counts["preemptions"] += life.preemptions
        counts["cached tokens"] += life.hit_tokens

    began_s = time.process_time()
    each()
    print("; ".join(f"{count:,} {name}" for name, count in counts.items()))
    print(f"no promise was broken; {time.process_time() - began_s:.0f} s of CPU")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
