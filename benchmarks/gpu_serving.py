"""How much text a device serves through the model server's slots, where that breaks, and how near that is to its peak.

    python benchmarks/gpu_serving.py [--model meta-llama/Llama-3.1-8B] [--device auto] [--out benchmarks/results]

The model has the shape of a built-in one of the catalogue and random weights, drawn on the device. Concurrency doubles
from 1 until the bounds break, throughput no longer rises, or the KV cache does not fit. Slots of a level are all in
use; prompts enter as others end, as in the server, but without HTTP before them. A JSON file is written per device and
day.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import serving_levels
from benchmarks.serving_levels import Level, Shape

import holdfast
from holdfast.catalog import configs, models
from holdfast.model.errors import HoldfastError, InputError
from holdfast.serving.hosted.devices import choose, memory
from holdfast.serving.hosted.devices.torch_device import TorchDevice
from holdfast.serving.hosted.generation.engine import PREFILL_TOKENS
from holdfast.serving.hosted.generation.torch_decoder import TorchDecoder

TINY = {
    "model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 64, "vocab_size": 256, "max_position_embeddings": 512,
    "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
}  # fmt: skip


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """The result, as it is written."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--model", default="meta-llama/Llama-3.1-8B", help="id of the catalogue, or `tiny`")
    asked.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    asked.add_argument("--framework", default="eager", choices=("eager", "compile"))
    asked.add_argument("--dtype", choices=choose.DTYPES)
    asked.add_argument("--input-tokens", type=int, default=512)
    asked.add_argument("--output-tokens", type=int, default=128)
    asked.add_argument("--most", type=int, default=256, help="requests at once, at the highest level")
    asked.add_argument("--itl-ms", type=float, default=100.0, help="bound on the 95th percentile between two tokens")
    asked.add_argument("--ttft-ms", type=float, default=2000.0, help="and on that until the first")
    asked.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = asked.parse_args(arguments)

    if given.input_tokens < 1 or given.output_tokens < 4 or given.most < 1:
        raise InputError("a sweep needs prompts of 1 token, answers of 4 and 1 request at once, or more of each")
    device = choose.choose(given.device, given.framework, given.dtype)
    assert isinstance(device, TorchDevice)
    fields = TINY if given.model == "tiny" else _fields(given.model)
    config = transformers.AutoConfig.for_model(**{key: fields[key] for key in fields if key != "torch_dtype"})
    stored = {"torch_dtype": str(device.dtype).removeprefix("torch.")}
    architecture = configs.read({**fields, **stored}, name=given.model, where=given.model, source="catalogue")
    shape = Shape(given.input_tokens, given.output_tokens)
    with memory.telling(given.model, device.kind):
        model = serving_levels.random_model(config, device.place, device.dtype)
    levels, full = _sweep(model, device, shape, given)
    accelerator = serving_levels.accelerator_of(device.kind)
    broke = serving_levels.breaking_point(
        levels, itl_s=given.itl_ms / 1e3, ttft_s=given.ttft_ms / 1e3, out_of_memory=full
    )
    bounds = [serving_levels.bound(level, architecture, accelerator) for level in levels]
    result = {
        "version": 1,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": {"name": device.name, "kind": device.kind, "accelerator": accelerator and accelerator.name},
        "versions": _versions(),
        "model": {"shape": given.model, "parameters": architecture.parameters, "weights": "random", **stored},
        "framework": device.framework,
        "requests": dataclasses.asdict(shape),
        "slo": {"itl_p95_s": given.itl_ms / 1e3, "ttft_p95_s": given.ttft_ms / 1e3},
        "breaking_point": dataclasses.asdict(broke),
        "levels": [
            {**dataclasses.asdict(level), "roofline": one and dataclasses.asdict(one)}
            for level, one in zip(levels, bounds, strict=True)
        ],
    }
    _show(result)
    given.out.mkdir(parents=True, exist_ok=True)
    words = (device.kind, given.model.rpartition("/")[2], device.framework, str(result["date"]))
    name = "-".join("".join(one if one.isalnum() else "-" for one in word).strip("-") for word in words)
    (given.out / f"gpu-serving-{name}.json".lower()).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _sweep(model: Any, device: TorchDevice, shape: Shape, given: argparse.Namespace) -> tuple[list[Level], bool]:
    """The levels, one past the breaking point; and whether the next one did not fit."""
    levels: list[Level] = []
    concurrency = 1
    while concurrency <= given.most:
        try:
            memory.check_cache(
                slots=concurrency,
                positions=shape.positions,
                bytes_per_token=memory.kv_bytes_per_token(model.config, device.dtype),
                free=memory.free_bytes(device.place),
                kind=device.kind,
            )
            with memory.telling(given.model, device.kind):
                decoder = TorchDecoder(
                    model,
                    slots=concurrency,
                    positions=shape.positions,
                    device=device.place,
                    compiled=device.framework == "compile",
                )
                decoder.warm_up(PREFILL_TOKENS)
                levels.append(serving_levels.measure(decoder, device, shape))
        except memory.NoRoomError as error:
            print(error, file=sys.stderr)
            return levels, True
        del decoder
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        broke = serving_levels.breaking_point(levels, itl_s=given.itl_ms / 1e3, ttft_s=given.ttft_ms / 1e3)
        if broke.cause != "none":
            break
        concurrency *= 2
    return levels, False


def _fields(name: str) -> dict[str, Any]:
    entry = next((one for one in models.entries() if name in (one.id, *one.also) and one.config), None)
    if entry is None or entry.config is None:
        raise InputError(f"{name!r} is no language model of the catalogue", where="--model")
    return dict(entry.config)


def _versions() -> dict[str, str | None]:
    return {
        "holdfast": holdfast.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cuda": torch.version.cuda,
    }


def _show(result: dict[str, Any]) -> None:
    broke, device = result["breaking_point"], result["device"]
    print(f"{result['model']['shape']} ({result['model']['torch_dtype']}, {result['framework']}) on {device['kind']}")
    print(f"{'at once':>7} {'req/s':>8} {'tok/s':>8} {'TTFT p95':>9} {'ITL p95':>8} {'step':>8} {'of peak':>8}")
    for level in result["levels"]:
        share = f"{level['roofline']['share']:.0%}" if level["roofline"] else "unknown"
        print(
            f"{level['concurrency']:7} {level['rate_per_s']:8.2f} {level['output_tokens_per_s']:8.0f} "
            f"{1e3 * level['ttft_p95_s']:6.0f} ms {1e3 * level['itl_p95_s']:5.1f} ms {1e3 * level['decode_s']:5.1f} ms "
            f"{share:>8}"
        )
    held = "no level holds" if broke["concurrency"] is None else f"{broke['rate_per_s']:.2f} requests/s hold"
    print(f"{held}; what broke: {broke['cause']}")


if __name__ == "__main__":
    try:
        main()
    except HoldfastError as error:
        sys.exit(str(error))
