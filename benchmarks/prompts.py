"""What a prompt costs to make, and whether it has the tokens that were asked for.

    python benchmarks/prompts.py [DIRECTORY WITH A tokenizer.json ...]

Prints, for each vocabulary and length, microseconds for a whole request body (best of five rounds) and how many texts
had another number of tokens than was asked for, by the tokenizer itself.
"""

from __future__ import annotations

import itertools
import json
import sys
import time

from holdfast.load import prompts, tokenizers
from holdfast.load.recipes import Recipe
from holdfast.model.fleet import Api, TokenLengths, Workload

LENGTHS = (10, 200, 4000)
ROUNDS, BODIES = 5, 200


def main() -> None:
    print(f"{'vocabulary':<40} {'tokens':>6} {'us per body':>12} {'us per token':>13} {'not exact':>10}")
    for name in ("words", "bytes", *sys.argv[1:]):
        vocabulary = tokenizers.load(name)
        for length in LENGTHS:
            workload = Workload(
                api=Api.COMPLETIONS,
                input_tokens=TokenLengths(mean=length, stddev=length / 10),
                output_tokens=TokenLengths(mean=100, stddev=10),
            )
            made = prompts.asks(workload, "model", 0, recipe=Recipe(vocabulary))
            seconds = []
            for _ in range(ROUNDS):
                start_s = time.perf_counter()
                asks = list(itertools.islice(made, BODIES))
                seconds.append(time.perf_counter() - start_s)
            body_us = min(seconds) / BODIES * 1e6
            wrong: object = "unknown"
            if vocabulary.exact:
                counts = [vocabulary.count(json.loads(ask.body)["prompt"]) + vocabulary.specials for ask in asks]
                wrong = sum(count != ask.tokens_in for count, ask in zip(counts, asks, strict=True))
            print(f"{name[-40:]:<40} {length:>6} {body_us:>12.1f} {body_us / length:>13.2f} {wrong!s:>10}")


if __name__ == "__main__":
    main()
