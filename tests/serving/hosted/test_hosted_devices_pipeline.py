"""Pipelines of several networks on a device, and torch.compile of what a device loads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers

from holdfast.model.errors import InputError
from holdfast.serving.hosted.devices import torch_device
from holdfast.serving.hosted.devices.torch_device import TorchDevice
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.tasks import Task

torch.set_num_threads(1)


def _write(folder: Path, **saving: Any) -> ModelFiles:
    """A Stable Diffusion of a few thousand weights that makes images of 16 x 16."""
    torch.manual_seed(0)
    letters = {letter: index for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    ends = {letter + "</w>": 26 + index for letter, index in letters.items()}
    vocabulary = letters | ends | {"<|startoftext|>": 52, "<|endoftext|>": 53}
    (folder / "words").mkdir(parents=True)
    (folder / "words/vocab.json").write_text(json.dumps(vocabulary))
    (folder / "words/merges.txt").write_text("#version: 0.2\n")
    text = transformers.CLIPTextConfig(
        vocab_size=54, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        max_position_embeddings=16, bos_token_id=52, eos_token_id=53, pad_token_id=53,
    )  # fmt: skip
    channels = {"block_out_channels": (4, 8), "norm_num_groups": 2, "layers_per_block": 1}
    made = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(
            latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
            **channels,
        ),
        unet=diffusers.UNet2DConditionModel(
            sample_size=8, cross_attention_dim=8, attention_head_dim=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **channels,
        ),
        text_encoder=transformers.CLIPTextModel(text),
        tokenizer=transformers.CLIPTokenizer(
            str(folder / "words/vocab.json"), str(folder / "words/merges.txt"), model_max_length=16
        ),
        scheduler=diffusers.PNDMScheduler(steps_offset=1, skip_prk_steps=True),
        safety_checker=None,
        feature_extractor=None,
    )  # fmt: skip
    made.save_pretrained(folder, **saving)
    config = json.loads((folder / "model_index.json").read_text())
    return ModelFiles("tiny", folder, Task.TEXT_TO_IMAGE, config)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return _write(tmp_path_factory.mktemp("pipeline"))


def _image(pipe: Any) -> torch.Tensor:
    made = pipe(
        ["a b"], height=16, width=16, num_inference_steps=1, generator=[torch.Generator().manual_seed(3)],
        output_type="pt",
    )  # fmt: skip
    images = made.images
    assert isinstance(images, torch.Tensor)
    return images


def test_a_pipeline_makes_the_image_of_its_seed_in_silence(
    files: ModelFiles, capfd: pytest.CaptureFixture[str]
) -> None:
    pipe = torch_device.cpu("eager").pipeline(files)
    capfd.readouterr()

    first, again = _image(pipe), _image(pipe)

    assert torch.equal(first, again)
    assert first.shape == (1, 3, 16, 16)
    assert not any(weight.requires_grad for weight in pipe.unet.parameters())
    assert capfd.readouterr().err == ""


def test_a_variant_of_the_weights_is_loaded_where_it_is_what_was_found(tmp_path: Path) -> None:
    halves = replace(_write(tmp_path, variant="fp16"), variant="fp16")

    assert list(tmp_path.glob("unet/*.fp16.safetensors"))
    assert torch_device.cpu("eager").pipeline(halves).unet.dtype == torch.float32


def test_what_is_no_pipeline_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^tiny: is no text-to-image pipeline \("):
        torch_device.cpu("eager").pipeline(ModelFiles("tiny", tmp_path, Task.TEXT_TO_IMAGE, {}))


def test_a_pipeline_without_weights_in_safetensors_is_refused(tmp_path: Path) -> None:
    files = _write(tmp_path, safe_serialization=False)

    with pytest.raises(InputError, match="is no text-to-image pipeline"):
        torch_device.cpu("eager").pipeline(files)


def _compiling(backend: Any) -> TorchDevice:
    place, dtype = torch.device("cpu"), torch.float32
    return TorchDevice("cpu", kind="a CPU", framework="compile", place=place, dtype=dtype, backend=backend)


def test_an_encoder_is_compiled_and_answers_the_same(tmp_path: Path) -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _inputs: Any) -> Any:
        """Builds nothing: counts the graphs that it was given."""
        graphs.append(graph)
        return graph.forward

    config = transformers.BertConfig(
        vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    original = transformers.BertForSequenceClassification(config).eval()
    original.save_pretrained(tmp_path)
    torch._dynamo.reset()
    model = _compiling(backend).encoder(ModelFiles("tiny", tmp_path, Task.TEXT_CLASSIFICATION, {}))
    tokens = torch.ones(2, 4, dtype=torch.long)

    answer = model(input_ids=tokens, attention_mask=tokens).logits

    torch.testing.assert_close(answer, original(input_ids=tokens, attention_mask=tokens).logits.detach())
    assert len(graphs) == 1
    assert type(model) is type(original)


def test_all_networks_of_a_pipeline_are_compiled_and_the_image_is_the_same(
    files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without tracing them, which takes many seconds: torch.compile is told what to compile, and gives it back."""
    compiled: list[str] = []

    def tell(function: Any, *, backend: str) -> Any:
        compiled.append(type(function.__self__).__name__)
        return function

    monkeypatch.setattr(torch, "compile", tell)
    pipe = _compiling("inductor").pipeline(files)

    assert sorted(compiled) == ["AutoencoderKL", "CLIPTextModel", "UNet2DConditionModel"]
    torch.testing.assert_close(_image(pipe), _image(torch_device.cpu("eager").pipeline(files)))
