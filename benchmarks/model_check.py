"""Explores every order of every disturbance of a small fleet, as deep as it is told, and prints what it visited.

    python benchmarks/model_check.py [--depth N] [--seconds S]

From a fleet at rest N deep (5 unless told), and two less from every moment of a failover and of an interruption
(`scope.stories`), level by level; a new level is begun only within S seconds of CPU (300 unless told). At every look
the decision as shipped is checked against all its promises; then every state is left alone and must settle. Exit
code 1, and the shortest way there, when something does not hold.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.model_checking import scope
from benchmarks.model_checking.explore import CounterexampleError, explore, settle

MOST_LOOKS = 1000


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--depth", type=int, default=5, help="disturbances from rest (default 5)")
    arguments.add_argument(
        "--seconds", type=float, default=300.0, help="CPU within which a level is begun (default 300)"
    )
    given = arguments.parse_args()
    print(f"{'from':<14} {'depth':>5} {'states':>9} {'transitions':>11} {'slowest to settle':>17} {'CPU s':>7}")
    scopes = ("rest", [scope.settled_fleet()], given.depth), ("every moment", scope.stories(), given.depth - 2)
    for name, roots, depth in scopes:
        began_s = time.process_time()
        try:
            found = explore(roots, depth, until_s=began_s + given.seconds)
            settle(found, MOST_LOOKS)
        except CounterexampleError as error:
            print(error)
            return 1
        spent_s, settled = time.process_time() - began_s, f"{found.slowest} looks"
        print(f"{name:<14} {found.depth:>5} {found.states:>9} {found.transitions:>11} {settled:>17} {spent_s:>7.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
