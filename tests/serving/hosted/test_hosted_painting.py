"""Images from prompts: as diffusers makes them, the same for the same seed in any company."""

from __future__ import annotations

import functools
import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from holdfast.model.errors import InputError
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.predicting.painting import Painted, Painter, Painting
from holdfast.serving.hosted.predicting.prompts import Prompts
from holdfast.serving.hosted.tasks import Task
from serving.hosted import tiny_models
from serving.hosted.plain_device import PlainDevice, files

FOX = Painting("a fox on mars", steps=2, seed=7)
OTHER = Painting("the lazy dog", steps=2, seed=8)


class Calls(PlainDevice):
    """Notes how its pipeline is called."""

    def __init__(self, framework: str = "eager", **fixed: int) -> None:
        super().__init__(framework, **fixed)
        self.calls: list[dict[str, Any]] = []

    def pipeline(self, files: ModelFiles) -> Any:
        calls = self.calls

        class Noted(diffusers.StableDiffusionPipeline):  # type: ignore[misc]
            def __call__(self, **asked: Any) -> Any:
                calls.append(asked)
                return super().__call__(**asked)

        return Noted.from_pretrained(files.folder, use_safetensors=True)


def painter(device: PlainDevice | None = None, **bounds: int) -> Painter:
    found = files(tiny_models.stable_diffusion(), Task.TEXT_TO_IMAGE)
    return Painter(found, device or PlainDevice(), Bounds(**bounds))


shared = functools.cache(painter)


def paint(model: Painter, *asked: Painting) -> list[Painted]:
    return model.predict([model.prepare(one) for one in asked])


def pixels(painted: Painted) -> npt.NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(painted.png), formats=["PNG"])).astype(int)


def alike(ours: Painted, theirs: Painted) -> None:
    """But for sums in another order: at most one of 255 in a thousandth of the colours."""
    difference = np.abs(pixels(ours) - pixels(theirs))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


@pytest.mark.parametrize(
    "asked",
    [
        FOX,
        replace(FOX, negative_prompt="a dog"),
        replace(FOX, width=96, height=64, guidance=3.0),
        replace(FOX, guidance=0.0),
        replace(FOX, steps=1),
    ],
    ids=["plain", "negative", "wide", "unguided", "one-step"],
)
def test_an_image_is_the_one_that_diffusers_makes(asked: Painting) -> None:
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny_models.stable_diffusion(), use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    own = {"negative_prompt": asked.negative_prompt or None, "width": asked.width, "height": asked.height}
    theirs = pipeline(
        asked.prompt,
        num_inference_steps=asked.steps,
        guidance_scale=7.5 if asked.guidance is None else asked.guidance,
        generator=torch.Generator().manual_seed(7),
        **own,
    ).images[0]
    (ours,) = paint(shared(), asked)
    np.testing.assert_array_equal(pixels(ours), np.asarray(theirs).astype(int))


def test_a_seed_makes_the_same_image_alone_and_anywhere_in_a_batch() -> None:
    (alone,) = paint(shared(), FOX)
    (again,) = paint(shared(), FOX)
    assert again == alone
    for place in range(4):
        batch = [OTHER] * 4
        batch[place] = FOX
        alike(paint(shared(), *batch)[place], alone)
    (other,) = paint(shared(), replace(FOX, seed=9))
    assert np.abs(pixels(other) - pixels(alone)).mean() > 5


def test_an_image_without_a_seed_tells_the_one_that_it_got() -> None:
    first, second = paint(shared(), replace(FOX, seed=None), replace(FOX, seed=None))
    assert first.seed != second.seed
    alike(paint(shared(), replace(FOX, seed=first.seed))[0], first)


def test_only_images_of_one_format_share_a_batch() -> None:
    def shape(**asked: Any) -> object:
        return shared().shape(shared().prepare(replace(FOX, **asked)))

    assert shape(prompt="a dog", seed=1) == shape() == shape(width=64, height=64, guidance=7.5)
    assert len({shape(), shape(width=96), shape(steps=3), shape(guidance=1.0), shape(negative_prompt="a dog")}) == 5


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": " \n"}, "the prompt is empty"),
        ({"prompt": "a " * 76}, "prompt has 78 tokens; the text encoder takes at most 77"),
        ({"prompt": "x" * 8000}, "prompt has 8000 characters"),
        ({"prompt": "\ud83d"}, "half of a surrogate pair"),
        ({"negative_prompt": "a " * 76}, "negative_prompt has 78 tokens"),
        ({"width": 65}, "65 x 64 pixels; sides are multiples of 8 from 64 to 128"),
        ({"height": 0}, "sides"),
        ({"height": -64}, "sides"),
        ({"width": 136}, "sides"),
        ({"steps": 0}, "steps is 0; it is from 1 to 5"),
        ({"steps": 6}, "steps"),
        ({"guidance": math.nan}, "guidance is nan"),
        ({"guidance": math.inf}, "guidance"),
        ({"guidance": -1.0}, "guidance"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_what_cannot_be_painted_is_refused_with_400(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says) as refused:
        shared(max_steps=5, max_side=128).prepare(replace(FOX, **asked))
    assert refused.value.status == 400


def test_a_prompt_of_as_many_tokens_as_the_encoder_reads_is_taken() -> None:
    assert shared().prepare(replace(FOX, prompt="a " * 75))


@settings(max_examples=100)
@given(
    st.builds(
        Painting,
        prompt=st.text(st.characters(codec=None), max_size=90),
        width=st.none() | st.integers(),
        steps=st.none() | st.integers(),
        guidance=st.none() | st.floats(),
        seed=st.none() | st.integers(),
    )
)
def test_any_wish_is_refused_in_a_sentence_or_within_bounds(asked: Painting) -> None:
    try:
        canvas = shared().prepare(asked)
    except RequestError as refused:
        assert refused.status == 400
    else:
        assert canvas.format.width in range(64, 1025, 8)
        assert canvas.format.steps in range(1, 101)


def test_what_is_not_said_is_the_models_own_within_the_servers_bound() -> None:
    own = shared().prepare(Painting("a fox")).format
    assert (own.width, own.height, own.steps, own.guidance) == (64, 64, 50, 7.5)
    assert shared(max_steps=5, max_side=128).prepare(Painting("a fox")).format.steps == 5


def test_a_model_whose_own_size_is_out_of_bounds_is_refused() -> None:
    with pytest.raises(InputError, match=r"makes images of 64 x 64 pixels, and a side may have 32.*--max-side"):
        painter(max_side=32)


def test_the_smallest_image_can_be_painted() -> None:
    (small,) = paint(shared(), replace(FOX, width=64, height=72))
    assert pixels(small).shape == (72, 64, 3)


def test_warming_up_runs_one_image_and_a_full_batch_of_few_steps() -> None:
    device = Calls()
    painter(device, max_batch=3).warm_up()
    assert [len(call["prompt"]) for call in device.calls] == [3, 1]
    assert {call["num_inference_steps"] for call in device.calls} == {2}


def test_a_pipeline_with_fixed_shapes_gets_exactly_these() -> None:
    device = Calls(batch_size=2, height=64, width=64)
    model = painter(device)
    assert model.max_batch == 2
    (ours,) = paint(model, FOX)
    assert [len(call["prompt"]) for call in device.calls] == [2]
    alike(ours, paint(shared(), FOX)[0])
    with pytest.raises(RequestError, match="compiled for images of 64 x 64 pixels alone"):
        model.prepare(replace(FOX, width=72))
    with pytest.raises(RequestError, match="compiled for guidance above 1; it is 1"):
        model.prepare(replace(FOX, guidance=1.0))


def test_an_empty_negative_prompt_is_not_handed_on() -> None:
    """SDXL tells none from an empty one."""
    device = Calls()
    model = painter(device)
    paint(model, FOX)
    paint(model, replace(FOX, negative_prompt="a dog"))
    assert ["negative_prompt" in call for call in device.calls] == [False, True]


def test_a_prompt_must_fit_every_text_encoder(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_models.stable_diffusion(), tmp_path / "model")
    shutil.copytree(folder / "tokenizer", folder / "tokenizer_2")
    for path, edits in {
        folder / "tokenizer_2" / "tokenizer_config.json": {"model_max_length": 20},
        folder / "model_index.json": {"tokenizer_2": ["transformers", "CLIPTokenizer"]},
    }.items():
        path.write_text(json.dumps(json.loads(path.read_text()) | edits))
    with pytest.raises(RequestError, match="22 tokens; the text encoder takes at most 20"):
        Prompts(files(folder, Task.TEXT_TO_IMAGE)).check("a " * 20, "prompt")
