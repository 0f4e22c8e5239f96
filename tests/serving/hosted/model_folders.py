"""Files of models with a few numbers in them, as they are published: enough to be found and checked, not to be run."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any


def safetensors(**tensors: int) -> bytes:
    """Float32 tensors of so many numbers."""
    header, at = {}, 0
    for name, count in tensors.items():
        header[name] = {"dtype": "F32", "shape": [count], "data_offsets": [at, at + 4 * count]}
        at += 4 * count
    told = json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + bytes(at)


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


BERT = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "vocab_size": 8}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 8}
VIT = {"architectures": ["ViTForImageClassification"], "model_type": "vit", "image_size": 8}
TOKENIZER = {"tokenizer.json": b'{"version": "1.0"}', "tokenizer_config.json": b'{"model_max_length": 8}'}


def bert(**config: Any) -> dict[str, bytes]:
    return {"config.json": text(BERT | config), **TOKENIZER, "model.safetensors": safetensors(a=3)}


def llama(**config: Any) -> dict[str, bytes]:
    """In two shards."""
    index = {
        "metadata": {},
        "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"},
    }
    return {
        "config.json": text(LLAMA | config),
        "generation_config.json": text({"n": 1}),
        **TOKENIZER,
        "model.safetensors.index.json": text(index),
        "model-00001-of-00002.safetensors": safetensors(a=300),
        "model-00002-of-00002.safetensors": safetensors(b=200),
    }


def vit(**config: Any) -> dict[str, bytes]:
    return {
        "config.json": text(VIT | config),
        "preprocessor_config.json": text({"n": 2}),
        "model.safetensors": safetensors(a=3),
    }


def sentences() -> dict[str, bytes]:
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    return {
        **bert(architectures=["BertModel"]),
        "modules.json": text(modules),
        "sentence_bert_config.json": text({"n": 3}),
        "1_Pooling/config.json": text({"pooling_mode_mean_tokens": True}),
    }


def diffusion(**index: Any) -> dict[str, bytes]:
    named = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.35.0",
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "image_encoder": [None, None],
        "requires_safety_checker": True,
    }
    return {
        "model_index.json": text(named | index),
        "scheduler/scheduler_config.json": text({"n": 4}),
        "text_encoder/config.json": text({"n": 5}),
        "text_encoder/model.safetensors": safetensors(a=1),
        "tokenizer/vocab.json": text({"n": 6}),
        "tokenizer/merges.txt": b"#version",
        "tokenizer/tokenizer_config.json": text({"n": 7}),
        "unet/config.json": text({"n": 8}),
        "unet/diffusion_pytorch_model.safetensors": safetensors(a=2),
        "vae/config.json": text({"n": 9}),
        "vae/diffusion_pytorch_model.safetensors": safetensors(a=3),
        "feature_extractor/preprocessor_config.json": text({"n": 10}),
    }


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
