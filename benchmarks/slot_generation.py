"""Tokens per second of the slot engine against transformers' own `generate`, on the same random model in the same run.

    python benchmarks/slot_generation.py [--shape tiny|30m|both] [--streams 1 8 32] [--rounds 3]
        [--threads 1] [--repeats 3]

Every stream asks some requests, whose prompts and answers differ in length. Three ways to answer them:

- slots: the engine that `holdfast serve` runs, with as many slots as streams; who is done makes room for the next;
- alone: `generate` for one after the other;
- padded: `generate` for as many as there are streams, prompts padded on the left, as a batch server without slots
  would: each batch ends with its longest answer, and what it makes for those that are done is thrown away.

Tokens are those that were asked for, by second of this process on its processors: the machine may be shared. The best
of the repeats counts, and the ways take turns.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers

from holdfast.serving.hosted.generation.engine import Prompt, SlotEngine
from holdfast.serving.hosted.generation.torch_decoder import TorchDecoder

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 176, "vocab_size": 1024},
    "30m": {"hidden_size": 384, "num_hidden_layers": 8, "intermediate_size": 1536, "vocab_size": 16384},
}
POSITIONS = 256


def model(shape: str) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        **SHAPES[shape],
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
    )
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def requests(number: int, vocabulary: int) -> list[Prompt]:
    drawn = random.Random(number)
    return [
        Prompt(
            tuple(drawn.randrange(3, vocabulary) for _ in range(drawn.randint(8, 96))),
            drawn.randint(16, 128),
            ignore_eos=True,
        )
        for _ in range(number)
    ]


def slots(decoder: TorchDecoder, prompts: list[Prompt]) -> list[list[int]]:
    engine = SlotEngine(decoder)
    answers: list[list[int]] = [[] for _ in prompts]
    waiting = list(range(len(prompts)))
    while waiting or engine.free < decoder.slots:
        while waiting and engine.free:
            engine.begin(waiting[0], prompts[waiting.pop(0)])
        for made in engine.step():
            answers[made.key].append(made.token)
    return answers


def generated(told: Any, prompts: list[Prompt]) -> list[list[int]]:
    """By one `generate` of them all."""
    width = max(len(prompt.tokens) for prompt in prompts)
    ids = torch.tensor([[0] * (width - len(prompt.tokens)) + list(prompt.tokens) for prompt in prompts])
    seen = torch.tensor([[0] * (width - len(one.tokens)) + [1] * len(one.tokens) for one in prompts])
    most = max(prompt.max_tokens for prompt in prompts)
    with torch.no_grad():
        whole = told.generate(ids, attention_mask=seen, max_new_tokens=most, do_sample=False)
    return [row[width : width + prompt.max_tokens].tolist() for row, prompt in zip(whole, prompts, strict=True)]


def best_s(ways: dict[str, Callable[[], list[list[int]]]], repeats: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds of each way, and what it answered."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    answers: dict[str, Any] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            begun_s = time.process_time()
            answers[name] = way()
            took[name].append(time.process_time() - begun_s)
    return {name: min(times) for name, times in took.items()}, answers


def measured(shape: str, streams: int, rounds: int, repeats: int) -> dict[str, Any]:
    told = model(shape)
    prompts = requests(streams * rounds, SHAPES[shape]["vocab_size"])
    decoder = TorchDecoder(told, slots=streams, positions=POSITIONS, device=torch.device("cpu"))
    decoder.warm_up(512)
    ways: dict[str, Callable[[], list[list[int]]]] = {
        "slots": lambda: slots(decoder, prompts),
        "alone": lambda: [generated(told, [prompt])[0] for prompt in prompts],
        "padded": lambda: [
            answer
            for first in range(0, len(prompts), streams)
            for answer in generated(told, prompts[first : first + streams])
        ],
    }
    took, answers = best_s(ways, repeats)
    tokens = sum(prompt.max_tokens for prompt in prompts)
    rates = {f"{name}_tokens_per_cpu_s": round(tokens / seconds) for name, seconds in took.items()}
    return {
        "shape": shape,
        "parameters": sum(weights.numel() for weights in told.parameters()),
        "streams": streams,
        "tokens": tokens,
        **rates,
        "over_alone": round(took["alone"] / took["slots"], 2),
        "over_padded": round(took["padded"] / took["slots"], 2),
        "same_as_alone": sum(ours == theirs for ours, theirs in zip(answers["slots"], answers["alone"], strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shape", choices=[*SHAPES, "both"], default="both")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=3, help="requests of each stream")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    transformers.logging.set_verbosity_error()
    for shape in SHAPES if asked.shape == "both" else [asked.shape]:
        for streams in asked.streams:
            print(json.dumps(measured(shape, streams, asked.rounds, asked.repeats)))


if __name__ == "__main__":
    main()
