"""Random models of some hundred parameters, and what transformers' own `generate` says with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.tasks import Task

VOCABULARY = 300
EOS = 2
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,  # with the usual 0.02 a random model says one token for ever
    "bos_token_id": 1,
    "eos_token_id": EOS,
    "pad_token_id": 0,
}


def made(name: str, attention: str = "sdpa", dtype: torch.dtype = torch.float32, **config: Any) -> Any:
    """A causal language model, by the name of its configuration, e.g. "Llama"."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = getattr(transformers, f"{name}Config")(**{**SHAPE, **config})
    model = transformers.AutoModelForCausalLM.from_config(settings, attn_implementation=attention)
    return model.to(dtype).eval()


def generated(
    model: Any, prompt: Sequence[int], max_tokens: int, *, ends: Sequence[int] = (), **settings: Any
) -> list[int]:
    """What `generate` adds to a prompt."""
    ids = torch.tensor([list(prompt)])
    with torch.no_grad():
        whole = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_tokens,
            pad_token_id=0,
            eos_token_id=list(ends) or -1,
            **{"do_sample": False, **settings},
        )
    new: list[int] = whole[0, len(prompt) :].tolist()
    return new


def prompts(*lengths: int) -> list[tuple[int, ...]]:
    """One of each length, all different."""
    return [
        tuple((place * number * 7 + 3) % VOCABULARY for place in range(1, length + 1))
        for number, length in enumerate(lengths, 1)
    ]


def byte_level() -> Any:
    """A tokenizer as GPT-2, Llama 3 and Qwen have: every token is some bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [("Ã", "©"), ("â", "Ĥ"), ("Ġ", "a"), ("Ġ", "Ġ"), ("â", "Ĥ¬"), ("ð", "Ł")]
    words = ["<unk>", "<s>", "</s>", *letters, *dict.fromkeys([a + b for a, b in pairs] + ["Ĥ¬"])]
    tokenizer = Tokenizer(BPE({word: number for number, word in enumerate(words)}, [("Ĥ", "¬"), *pairs]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return fast(tokenizer)


def fast(tokenizer: Tokenizer) -> Any:
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def files(folder: Path, model: Any, chat_template: str | None = None) -> ModelFiles:
    """The model's tokenizer and configuration in a folder; the weights stay where they are."""
    tokenizer = byte_level()
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)
    model.config.save_pretrained(folder)
    return ModelFiles("tiny", folder, Task.TEXT_GENERATION, model.config.to_dict())
