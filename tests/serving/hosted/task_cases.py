"""A request of each task, and what transformers or diffusers answer to it in this process."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from holdfast.serving.hosted.tasks import Task
from serving.hosted import picture_files, tiny_models

TEXT = "the tide"
PICTURE = picture_files.drawing()
_IMAGE = {"image": base64.b64encode(picture_files.file_of(PICTURE)).decode()}
_BY_PILLOW = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}


@dataclass(frozen=True)
class Case:
    """model: its folder; path, body: of the request; long: what makes it take long, where anything does.

    load: of GET /load/1000/infer/{load}. agrees: asserts that an answer is what the library says of the folder.
    """

    task: Task
    model: Callable[[], Path]
    path: str
    body: dict[str, Any]
    agrees: Callable[[Path, Any], None]
    long: dict[str, Any] = field(default_factory=dict)
    load: int = 1


def _generated(folder: Path, answer: Any) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    prompt = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        whole = model.generate(**prompt, max_new_tokens=24, do_sample=False)[0]
    made = whole[prompt["input_ids"].shape[1] :]
    assert answer["choices"][0]["text"] == tokenizer.decode(made, skip_special_tokens=True)
    assert answer["usage"]["completion_tokens"] == len(made)


def _texts_classified(folder: Path, answer: Any) -> None:
    expected = transformers.pipeline("text-classification", model=str(folder), top_k=None)([TEXT])
    assert _scores(answer["data"][0]["scores"]) == pytest.approx(_scores(expected[0]), abs=1e-5)


def _embedded(folder: Path, answer: Any) -> None:
    states = np.array(transformers.pipeline("feature-extraction", model=str(folder))(TEXT)[0])
    mean = states.mean(axis=0)
    assert answer["data"][0]["embedding"] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def _images_classified(folder: Path, answer: Any) -> None:
    assert _scores(answer["data"]) == pytest.approx(
        _scores(_looking("image-classification", folder)(PICTURE)), abs=1e-5
    )


def _detected(folder: Path, answer: Any) -> None:
    expected = _looking("object-detection", folder)(PICTURE, threshold=0.5)
    expected.sort(key=lambda found: -found["score"])
    assert expected
    assert [found["label"] for found in answer["data"]] == [found["label"] for found in expected]
    for found, same in zip(answer["data"], expected, strict=True):
        assert found["score"] == pytest.approx(same["score"], abs=1e-4)
        assert found["box"] == pytest.approx(same["box"], abs=1)  # the pipeline cuts fractions off


def _painted(folder: Path, answer: Any) -> None:
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline(TEXT, num_inference_steps=2, generator=torch.Generator().manual_seed(1)).images[0]
    sent = Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"])))
    assert np.abs(np.asarray(sent).astype(int) - np.asarray(image).astype(int)).max() <= 1


def _looking(task: str, folder: Path) -> Any:
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **_BY_PILLOW)
    return transformers.pipeline(task, model=str(folder), image_processor=processor)


def _scores(labels: Any) -> dict[str, float]:
    return {one["label"]: one["score"] for one in labels}


GENERATION = Case(
    Task.TEXT_GENERATION,
    tiny_models.llama,
    "/v1/completions",
    {"prompt": TEXT, "max_tokens": 24, "temperature": 0},
    _generated,
    long={"max_tokens": 240, "ignore_eos": True},
    load=50,
)
CLASSIFICATION = Case(
    Task.TEXT_CLASSIFICATION, tiny_models.bert_classifier, "/classify", {"input": TEXT}, _texts_classified
)
EMBEDDINGS = Case(Task.EMBEDDINGS, tiny_models.bert_embedder, "/v1/embeddings", {"input": TEXT}, _embedded)
IMAGE_CLASSIFICATION = Case(Task.IMAGE_CLASSIFICATION, tiny_models.vit, "/classify-image", _IMAGE, _images_classified)
DETECTION = Case(Task.OBJECT_DETECTION, tiny_models.yolos, "/detect", _IMAGE, _detected)
IMAGES = Case(
    Task.TEXT_TO_IMAGE,
    tiny_models.stable_diffusion,
    "/v1/images/generations",
    {"prompt": TEXT, "seed": 1, "steps": 2},
    _painted,
    long={"steps": 100},
    load=4,
)
