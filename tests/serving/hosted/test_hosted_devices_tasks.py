"""From files to answers: every task on the CPU device, and artifacts for Neuron from `compile` to `serve`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from holdfast.serving.hosted import compiling, files
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.compiling import Compilation
from holdfast.serving.hosted.devices import choose
from holdfast.serving.hosted.devices.neuron import NeuronDevice
from holdfast.serving.hosted.predicting.painting import Painter, Painting
from holdfast.serving.hosted.predicting.pictures import ImageClassifier, ObjectDetector, Picture
from holdfast.serving.hosted.predicting.texts import Embedder, Text, TextClassifier
from holdfast.serving.hosted.tasks import Task
from serving.hosted import tiny_models
from serving.hosted.fake_neuron import FakeNeuron
from serving.hosted.test_hosted_neuron_interface import TRACED

torch.set_num_threads(1)
BOUNDS = Bounds(max_batch=2)


def _picture() -> Picture:
    drawn = io.BytesIO()
    Image.new("RGB", (20, 10), "teal").save(drawn, "PNG")
    return Picture(drawn.getvalue(), threshold=0.0)


def test_texts_are_classified_and_embedded() -> None:
    device = choose.choose("cpu")
    classifier = TextClassifier(files.find(str(tiny_models.bert_classifier())), device, BOUNDS)
    embedder = Embedder(files.find(str(tiny_models.bert_embedder()), task=Task.EMBEDDINGS), device, BOUNDS)

    (classified,) = classifier.predict([classifier.prepare(Text("a fox"))])
    (embedded,) = embedder.predict([embedder.prepare(Text("a fox"))])

    assert sum(one.score for one in classified.labels) == pytest.approx(1)
    assert float((embedded.vector**2).sum()) == pytest.approx(1)


def test_pictures_are_classified_and_searched() -> None:
    device = choose.choose("cpu", None, "bfloat16")
    classifier = ImageClassifier(files.find(str(tiny_models.vit())), device, BOUNDS)
    detector = ObjectDetector(files.find(str(tiny_models.yolos())), device, BOUNDS)

    (recognised,) = classifier.predict([classifier.prepare(_picture())])
    (detected,) = detector.predict([detector.prepare(_picture())])

    assert sum(one.score for one in recognised.labels) == pytest.approx(1, abs=0.01)
    assert (detected.width, detected.height) == (20, 10)


def test_an_image_is_painted_by_its_seed() -> None:
    painter = Painter(files.find(str(tiny_models.stable_diffusion())), choose.choose("cpu"), BOUNDS)
    wanted = painter.prepare(Painting("a fox", steps=1, seed=7))

    assert painter.predict([wanted])[0].png == painter.predict([wanted])[0].png


def test_a_prompt_is_taken_into_a_slot() -> None:
    decoder = choose.choose("cpu").decoder(files.find(str(tiny_models.llama())), Bounds(max_batch=2, max_tokens=64))

    assert (decoder.slots, decoder.positions) == (2, 64)
    assert decoder.prefill(1, [3, 4, 5]).isfinite().all()


@pytest.mark.parametrize("task", [Task.TEXT_GENERATION, Task.EMBEDDINGS])
def test_what_was_compiled_is_found_and_has_its_shapes(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeNeuron().install(monkeypatch, TRACED)
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "")
    source = tiny_models.llama() if task is Task.TEXT_GENERATION else tiny_models.bert_embedder()
    wanted = Compilation(4, 16, None, None, 1, "bfloat16", "inf2")

    compiling.compile_model(files.find(str(source), task=task), wanted, tmp_path / "out")
    found = files.find(str(tmp_path / "out"), task=task)

    assert found.compiled
    assert NeuronDevice().shapes(found) == {"batch_size": 4, "sequence_length": 16}
