"""Writes a Llama with random weights, and a tokenizer for it, that vLLM serves: nothing is downloaded.

    python write_model.py FOLDER [--size 1m|30m]

What such a model says is nonsense; how long it takes to say it is what vLLM takes for a model of that shape. Ask for
exact lengths with `max_tokens` and `ignore_eos` (holdfast always does). Needs numpy, safetensors and tokenizers.
"""

from __future__ import annotations

import argparse
import json
import pydoc_data.topics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers
from safetensors.numpy import save_file
from tokenizers import decoders, models, pre_tokenizers, trainers

END = "<|end|>"
MAX_TOKENS = 2048
"""The longest prompt and answer together."""

SPREAD = 0.2
"""Standard deviation of the weights. At the 0.02 of training, all tokens come out about equally likely."""


@dataclass(frozen=True)
class Shape:
    """A Llama's dimensions, under the names of Hugging Face's config.json."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int = 2048
    tie_word_embeddings: bool = True


SHAPES = {
    "1m": Shape(128, 384, 4, 4, 2, 32),
    "30m": Shape(512, 1536, 9, 8, 4, 64),
}


def write(folder: Path, shape: Shape, seed: int = 0) -> int:
    """Writes config.json, model.safetensors and the tokenizer below `folder`; the number of parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = dict(_weights(shape, np.random.default_rng(seed)))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(shape.vocab_size).save(str(folder / "tokenizer.json"))
    _write_json(folder / "config.json", _config(shape))
    _write_json(folder / "generation_config.json", {"eos_token_id": 0, "bos_token_id": 0})
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END,
            "model_max_length": MAX_TOKENS,
            "chat_template": "{% for message in messages %}{{ message['content'] }} {% endfor %}",
        },
    )
    return sum(weight.size for weight in weights.values())


def _config(shape: Shape) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **asdict(shape),
        "hidden_act": "silu",
        "max_position_embeddings": MAX_TOKENS,
        "initializer_range": SPREAD,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "torch_dtype": "float32",
    }


def _weights(shape: Shape, chance: np.random.Generator) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    hidden, inner = shape.hidden_size, shape.intermediate_size
    queries, values = (heads * shape.head_dim for heads in (shape.num_attention_heads, shape.num_key_value_heads))
    matrices = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (values, hidden),
        "self_attn.v_proj": (values, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }

    def drawn(size: tuple[int, int]) -> npt.NDArray[np.float32]:
        return chance.normal(0.0, SPREAD, size).astype(np.float32)

    yield "model.embed_tokens.weight", drawn((shape.vocab_size, hidden))
    for layer in range(shape.num_hidden_layers):
        for name, size in matrices.items():
            yield f"model.layers.{layer}.{name}.weight", drawn(size)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{layer}.{name}.weight", np.ones(hidden, np.float32)
    yield "model.norm.weight", np.ones(hidden, np.float32)


def _tokenizer(vocab_size: int) -> tokenizers.Tokenizer:
    """A byte-level BPE of the text that every Python brings along.

    A word that is one token is so wherever it stands, so a prompt of n such words has n tokens.
    """
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(pydoc_data.topics.topics.values(), trainer)
    return tokenizer


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SHAPES, default="1m")
    asked = parser.parse_args()
    parameters = write(asked.folder, SHAPES[asked.size])
    print(f"{asked.folder}: {parameters:,} random parameters")


if __name__ == "__main__":
    main()
