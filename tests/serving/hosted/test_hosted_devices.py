"""CPU and CUDA: what a machine has decides the device; models load whole, or with a sentence."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from holdfast.model.errors import InputError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices import choose, memory, torch_device
from holdfast.serving.hosted.devices.choose import Present
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.tasks import Task

torch.set_num_threads(1)
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
GPU, NEURON = Present(nvidia=True, cuda=True, triton=True), Present(neuron=True, optimum_neuron="0.4.5")


@pytest.mark.parametrize(
    ("name", "framework", "present", "decided"),
    [
        ("auto", None, Present(), ("cpu", "eager")),
        ("auto", None, GPU, ("cuda", "eager")),
        ("auto", "compile", GPU, ("cuda", "compile")),
        ("auto", None, NEURON, ("neuron", "neuronx")),
        ("auto", "eager", NEURON, ("cpu", "eager")),
        ("cpu", None, GPU, ("cpu", "eager")),
        ("cpu", "compile", Present(compiler=True), ("cpu", "compile")),
    ],
)
def test_the_device_is_what_is_asked_for_and_auto_what_is_there(
    name: str, framework: str | None, present: Present, decided: tuple[str, str]
) -> None:
    assert choose.decide(name, framework, present) == decided


@pytest.mark.parametrize(
    ("name", "framework", "present", "said"),
    [
        ("tpu", None, Present(), "'tpu' is no device"),
        ("cpu", "neuronx", Present(), "give --framework eager or compile"),
        ("cuda", None, Present(), "shows no NVIDIA GPU"),
        ("auto", None, Present(nvidia=True), "PyTorch cannot use"),
        ("neuron", None, Present(), "/dev/neuron0"),
        ("auto", "neuronx", Present(), "/dev/neuron0"),
        ("auto", None, Present(neuron=True), "optimum-neuron is not installed"),
        ("neuron", None, Present(neuron=True, optimum_neuron="0.3.0"), "0.3.0 is installed"),
        ("cpu", "compile", Present(), "C\\+\\+ compiler"),
        ("cuda", "compile", Present(nvidia=True, cuda=True), "Triton"),
    ],
)
def test_what_is_not_there_is_said_instead_of_served_on_something_slower(
    name: str, framework: str | None, present: Present, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        choose.decide(name, framework, present)


def test_devices_are_told_by_what_their_drivers_show(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    assert not choose.look(tmp_path).neuron

    (tmp_path / "dev/neuron0").touch()
    assert choose.look(tmp_path).neuron


def test_the_cpu_computes_in_float32_unless_told_otherwise() -> None:
    assert (choose.choose("cpu").name, choose.choose("cpu").framework) == ("cpu", "eager")
    assert torch_device.cpu("eager").dtype == torch.float32
    assert torch_device.cpu("eager", "bfloat16").dtype == torch.bfloat16
    assert torch_device.cpu("eager").kind
    with pytest.raises(InputError, match="give one of float32, bfloat16, float16"):
        choose.choose("cpu", None, "int3")


@pytest.mark.parametrize(
    ("capability", "dtype", "got"),
    [
        ((9, 0), None, torch.bfloat16),
        ((8, 6), None, torch.bfloat16),
        ((7, 5), None, torch.float16),  # T4
        ((7, 5), "float32", torch.float32),
        ((8, 0), "float16", torch.float16),
    ],
)
def test_a_gpu_computes_in_bfloat16_where_it_has_that(
    capability: tuple[int, int], dtype: str | None, got: torch.dtype
) -> None:
    assert torch_device.cuda_dtype(capability, dtype, "a GPU") == got


def test_bfloat16_is_refused_where_it_would_be_emulated() -> None:
    with pytest.raises(InputError, match="Tesla T4 has no bfloat16 in hardware"):
        torch_device.cuda_dtype((7, 5), "bfloat16", "Tesla T4")


Saved = Callable[..., ModelFiles]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    def save(model: Any, task: Task, **others: Any) -> ModelFiles:
        model.save_pretrained(tmp_path)
        return ModelFiles("tiny", tmp_path, task, model.config.to_dict(), **others)

    return save


def _bert(kind: Any = transformers.BertForSequenceClassification) -> Any:
    return kind(transformers.BertConfig(vocab_size=32, max_position_embeddings=16, **TINY))


def _vit() -> Any:
    return transformers.ViTForImageClassification(transformers.ViTConfig(image_size=16, patch_size=8, **TINY))


def _yolos() -> Any:
    config = transformers.YolosConfig(image_size=[16, 16], patch_size=8, num_detection_tokens=2, **TINY)
    return transformers.YolosForObjectDetection(config)


TOKENS = {"input_ids": torch.tensor([[1, 2, 3]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
PIXELS = {"pixel_values": torch.rand(1, 3, 16, 16, dtype=torch.float64)}


@pytest.mark.parametrize(
    ("make", "task", "inputs"),
    [
        (_bert, Task.TEXT_CLASSIFICATION, TOKENS),
        (lambda: _bert(transformers.BertModel), Task.EMBEDDINGS, TOKENS),
        (_vit, Task.IMAGE_CLASSIFICATION, PIXELS),
        (_yolos, Task.OBJECT_DETECTION, PIXELS),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_encoder_answers_as_the_model_that_was_saved(
    saved: Saved, make: Callable[[], Any], task: Task, inputs: dict[str, torch.Tensor], dtype: str
) -> None:
    original = make().eval()
    device = torch_device.cpu("eager", dtype)

    model = device.encoder(saved(original, task))
    moved = device.move(inputs)
    answer = model(**moved)
    device.synchronise()

    expected = original.to(device.dtype)(**moved)
    torch.testing.assert_close(answer[0], expected[0].detach())
    assert not answer[0].requires_grad
    assert moved.get("input_ids", inputs.get("input_ids")) is inputs.get("input_ids")  # only floats change their dtype


def test_a_model_without_the_weights_of_its_task_is_refused(saved: Saved) -> None:
    untrained = saved(_bert(transformers.BertModel), Task.TEXT_CLASSIFICATION)

    with pytest.raises(InputError, match=r"lack classifier\.bias, classifier\.weight for text-classification"):
        torch_device.cpu("eager").encoder(untrained)


def test_weights_of_another_shape_than_the_configuration_are_refused(saved: Saved) -> None:
    files = saved(_bert(), Task.TEXT_CLASSIFICATION)
    config = json.loads((files.folder / "config.json").read_text()) | {"vocab_size": 64}
    (files.folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(InputError, match="tiny: cannot be loaded for text-classification"):
        torch_device.cpu("eager").encoder(files)


def test_vectors_need_no_pooler(saved: Saved) -> None:
    files = saved(_bert(), Task.EMBEDDINGS)
    bare = transformers.BertModel(transformers.BertConfig(vocab_size=32, **TINY), add_pooling_layer=False)

    assert torch_device.cpu("eager").encoder(files) is not None
    assert torch_device.cpu("eager").encoder(saved(bare, Task.EMBEDDINGS)) is not None


def test_pickled_weights_are_never_loaded(tmp_path: Path) -> None:
    model = _bert()
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")

    with pytest.raises(InputError, match="tiny: cannot be loaded for text-classification"):
        torch_device.cpu("eager").encoder(ModelFiles("tiny", tmp_path, Task.TEXT_CLASSIFICATION, {}))


def test_artifacts_of_neuron_are_refused_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds artifacts for Neuron, and this is cpu"):
        torch_device.cpu("eager").encoder(ModelFiles("tiny", tmp_path, Task.EMBEDDINGS, {}, compiled=True))


def test_a_device_out_of_memory_is_a_sentence() -> None:
    with pytest.raises(InputError, match="llama does not fit in the memory of NVIDIA A10G"):  # noqa: SIM117
        with memory.telling("llama", "NVIDIA A10G"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


def test_a_cache_that_cannot_fit_is_refused_with_what_would() -> None:
    llama = transformers.LlamaConfig(
        num_hidden_layers=32, hidden_size=4096, num_attention_heads=32, num_key_value_heads=8
    )
    per_token = memory.kv_bytes_per_token(llama, torch.bfloat16)
    assert per_token == 128 * 1024  # 2 x 32 layers x 8 heads x 128 numbers x 2 bytes

    check = functools.partial(memory.check_cache, slots=8, bytes_per_token=per_token, free=8 * memory.GIB, kind="a GPU")
    check(positions=8192)
    with pytest.raises(InputError, match=r"takes 128\.0 GiB.*--max-tokens of at most 8192"):
        check(positions=131072)


def test_free_memory_of_the_host_is_what_is_available_there_and_to_the_container(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  4000 kB\nMemAvailable:  3000 kB\n")
    free = functools.partial(memory.free_host_bytes, tmp_path / "meminfo", tmp_path)
    assert free() == 3000 * 1024

    (tmp_path / "memory.stat").write_text("anon 1000\nfile 9000\n")
    for bound, expected in (("max", 3000 * 1024), ("10000", 9000), ("500", 0), (str(2**40), 3000 * 1024)):
        (tmp_path / "memory.max").write_text(f"{bound}\n")
        assert free() == expected
    assert memory.free_bytes(torch.device("cpu")) > 0


def _llama(positions: int = 64, *, tied: bool = False) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=32, max_position_embeddings=positions, eos_token_id=2, tie_word_embeddings=tied, **TINY
    )
    return transformers.LlamaForCausalLM(config)


@pytest.mark.parametrize("tied", [False, True])
def test_a_text_generator_has_slots_of_the_models_own_length_or_less(saved: Saved, tied: bool) -> None:
    original = _llama(tied=tied).eval()
    files = saved(original, Task.TEXT_GENERATION)
    device = torch_device.cpu("eager")

    decoder = device.decoder(files, Bounds(max_batch=3))

    assert (decoder.slots, decoder.positions, decoder.eos_ids) == (3, 64, frozenset({2}))
    expected = original(torch.tensor([[5, 6, 7]])).logits[0, -1].detach()
    torch.testing.assert_close(decoder.prefill(1, [5, 6, 7]), expected)
    assert device.decoder(files, Bounds(max_tokens=32)).positions == 32
    assert device.decoder(files, Bounds(max_tokens=1000)).positions == 64


def test_a_text_generator_that_cannot_fit_is_refused_before_its_cache_is_made(saved: Saved) -> None:
    files = saved(_llama(2**20), Task.TEXT_GENERATION)

    with pytest.raises(memory.NoRoomError, match=r"GiB free after the weights; give"):
        torch_device.cpu("eager").decoder(files, Bounds(max_batch=1_000_000))
