"""The CUDA path on a GPU: the same answers as the CPU's, in its own dtype, compiled, and its refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from holdfast.model.errors import InputError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices import choose, torch_device
from holdfast.serving.hosted.devices.torch_device import TorchDevice
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.engine import Prompt, SlotEngine
from holdfast.serving.hosted.tasks import Task

# torch.compile imports parts of PyTorch that PyTorch says are deprecated.
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256}


def _saved(model: Any, folder: Path, task: Task) -> ModelFiles:
    model.save_pretrained(folder)
    return ModelFiles("small", folder, task, model.config.to_dict())


def _bert(folder: Path) -> ModelFiles:
    config = transformers.BertConfig(vocab_size=512, **SMALL)
    return _saved(transformers.BertForSequenceClassification(config), folder, Task.TEXT_CLASSIFICATION)


def _llama(folder: Path) -> ModelFiles:
    config = transformers.LlamaConfig(
        vocab_size=512, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.2, **SMALL
    )
    return _saved(transformers.LlamaForCausalLM(config), folder, Task.TEXT_GENERATION)


def test_the_dtype_is_the_hardwares_own(gpu: TorchDevice) -> None:
    has_bfloat16 = torch.cuda.get_device_capability() >= torch_device.BFLOAT16_FROM

    assert gpu.dtype == (torch.bfloat16 if has_bfloat16 else torch.float16)
    assert gpu.kind == torch.cuda.get_device_name()


@pytest.mark.parametrize("framework", ["eager", "compile"])
def test_an_encoder_answers_as_on_the_cpu(framework: str, tmp_path: Path) -> None:
    files, tokens = _bert(tmp_path), torch.arange(1, 33).reshape(2, 16)
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    device = choose.choose("cuda", framework, "float32")

    answer = device.encoder(files)(**device.move(inputs)).logits.cpu()

    expected = torch_device.cpu("eager").encoder(files)(**inputs).logits
    torch.testing.assert_close(answer, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("framework", ["eager", "compile"])
def test_slots_give_what_generate_gives(framework: str, tmp_path: Path) -> None:
    files = _llama(tmp_path)
    device = choose.choose("cuda", framework, "float32")
    engine = SlotEngine(device.decoder(files, Bounds(max_batch=4, max_tokens=128)))
    prompts = {key: tuple(range(1 + key, 9 + 3 * key)) for key in range(4)}

    made: dict[int, list[int]] = {}
    for key, prompt in prompts.items():
        made[key] = [engine.enter(key, Prompt(prompt, 24, ignore_eos=True)).token]
        for one in engine.step():  # those before are already on their way
            made[one.key].append(one.token)
    while engine.free < 4:
        for one in engine.step():
            made[one.key].append(one.token)

    model = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).to("cuda")
    for key, prompt in prompts.items():
        alone = model.generate(
            torch.tensor([prompt]).to("cuda"), max_new_tokens=24, min_new_tokens=24, do_sample=False, pad_token_id=0
        )
        assert made[key] == alone[0, len(prompt) :].tolist()


def test_a_cache_larger_than_the_gpu_is_refused_with_what_fits(gpu: TorchDevice, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"GiB free after the weights; give (--max-tokens|a smaller --max-batch)"):
        gpu.decoder(_llama(tmp_path), Bounds(max_batch=10_000_000))


def test_memory_that_runs_out_is_a_sentence(gpu: TorchDevice) -> None:
    from holdfast.serving.hosted.devices import memory

    with pytest.raises(InputError, match="does not fit in the memory of"), memory.telling("a model", gpu.kind):
        torch.empty(2**50, dtype=torch.uint8, device=gpu.place)
