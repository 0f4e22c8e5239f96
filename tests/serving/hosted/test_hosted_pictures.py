"""Labels of images and the objects in them: as transformers gives them, whatever else is in the batch."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from holdfast.model.errors import InputError
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.predicting.pictures import Detected, ImageClassifier, ObjectDetector, Picture, Recognised
from holdfast.serving.hosted.tasks import Task
from serving.hosted import tiny_models
from serving.hosted.picture_files import drawing, file_of
from serving.hosted.plain_device import PlainDevice, files

CLOSE = 2e-6
"""Of scores; boxes: that share of the image's side."""


def classifier(device: PlainDevice | None = None, **bounds: int) -> ImageClassifier:
    found = files(tiny_models.vit(), Task.IMAGE_CLASSIFICATION)
    return ImageClassifier(found, device or PlainDevice(), Bounds(**bounds))


def detector(device: PlainDevice | None = None, folder: Path | None = None) -> ObjectDetector:
    found = files(folder or tiny_models.yolos(), Task.OBJECT_DETECTION)
    return ObjectDetector(found, device or PlainDevice(), Bounds(max_batch=3))


shared_classifier = functools.cache(classifier)
shared_detector = functools.cache(detector)


def recognise(model: ImageClassifier, *pictures: bytes) -> list[Recognised]:
    return model.predict([model.prepare(Picture(data)) for data in pictures])


def detect(model: ObjectDetector, *pictures: Picture) -> list[Detected]:
    return model.predict([model.prepare(picture) for picture in pictures])


def same(ours: Detected, theirs: Detected) -> None:
    assert [one.label for one in ours.objects] == [one.label for one in theirs.objects]
    for our, their in zip(ours.objects, theirs.objects, strict=True):
        assert our.score == pytest.approx(their.score, abs=CLOSE)
        assert our.box == pytest.approx(their.box, abs=CLOSE * max(ours.width, ours.height))


@pytest.mark.parametrize("size", [(80, 60), (33, 47), (40, 2)])
def test_labels_of_an_image_are_those_of_transformers_pipeline(size: tuple[int, int]) -> None:
    told = pipeline("image-classification", tiny_models.vit())(drawing(*size), top_k=10)
    (ours,) = recognise(shared_classifier(), file_of(drawing(*size)))
    assert [one.label for one in ours.labels] == [one["label"] for one in told]
    assert [one.score for one in ours.labels] == pytest.approx([one["score"] for one in told], abs=CLOSE)


@pytest.mark.parametrize("size", [(40, 1), (1, 40), (3, 3), (1, 1)])
def test_the_channels_of_a_tiny_image_are_not_guessed(size: tuple[int, int]) -> None:
    """transformers 4 takes the first side for them where it is 1 or 3, and fails or tells nonsense."""
    tiny, large = (file_of(Image.new("RGB", one, (200, 40, 90))) for one in (size, (32, 32)))
    told = [[one.score for one in recognise(shared_classifier(), data)[0].labels] for data in (tiny, large)]
    assert told[0] == pytest.approx(told[1], abs=CLOSE)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_the_rest_of_a_batch_of_images_changes_nothing(seeds: list[int]) -> None:
    pictures = [file_of(drawing(seed=seed)) for seed in seeds]
    for together, picture in zip(recognise(shared_classifier(), *pictures), pictures, strict=True):
        (alone,) = recognise(shared_classifier(), picture)
        assert [one.score for one in together.labels] == pytest.approx([one.score for one in alone.labels], abs=CLOSE)


@pytest.mark.parametrize("size", [(80, 60), (60, 80), (200, 90)])
def test_objects_are_those_of_transformers_pipeline(size: tuple[int, int]) -> None:
    """Its boxes are cut to whole pixels, and its objects in the order of the model's queries."""
    told = pipeline("object-detection", tiny_models.yolos())(drawing(*size), threshold=0.3)
    (ours,) = detect(shared_detector(), Picture(file_of(drawing(*size)), threshold=0.3))
    assert (ours.width, ours.height) == size
    assert len(told) >= 2
    told.sort(key=lambda one: -one["score"])
    assert [one.label for one in ours.objects] == [one["label"] for one in told]
    assert [one.score for one in ours.objects] == pytest.approx([one["score"] for one in told], abs=CLOSE)
    assert [tuple(map(int, one.box)) for one in ours.objects] == [tuple(one["box"].values()) for one in told]


def test_objects_are_the_same_in_a_batch_with_each_threshold_its_own() -> None:
    pictures = [Picture(file_of(drawing(seed=seed)), threshold) for seed, threshold in [(1, 0.0), (2, 0.4), (3, 1.0)]]
    together = detect(shared_detector(), *pictures)
    for one, picture in zip(together, pictures, strict=True):
        same(one, detect(shared_detector(), picture)[0])
        assert all(found.score > picture.threshold for found in one.objects)
    assert len(together[0].objects) == 10
    assert together[2].objects == ()


def test_images_that_the_model_would_see_in_different_sizes_are_not_batched() -> None:
    model = shared_detector()
    wide, as_wide, high = (model.shape(model.prepare(Picture(file_of(drawing(*size))))) for size in SIZES)
    assert wide == as_wide != high


SIZES = [(80, 60), (160, 120), (60, 80)]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_share(threshold: float) -> None:
    with pytest.raises(RequestError, match="between 0 and 1"):
        shared_detector().prepare(Picture(file_of(drawing()), threshold))


@pytest.mark.parametrize("size", [(400, 2), (2, 400), (100, 1)])
def test_an_image_of_which_nothing_would_be_left_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(RequestError, match=f"{size[0]} x {size[1]} pixels is too narrow") as refused:
        shared_detector().prepare(Picture(file_of(Image.new("RGB", size))))
    assert refused.value.status == 400


@settings(max_examples=60)
@given(st.integers(1, 120), st.integers(1, 120), st.sampled_from(["RGB", "L", "1", "P", "LA"]))
def test_an_image_of_any_size_is_seen_or_refused(width: int, height: int, mode: str) -> None:
    data = file_of(Image.new(mode, (width, height)))
    for model in (shared_detector(), shared_classifier()):
        try:
            seen = model.prepare(Picture(data))
        except RequestError as refused:
            assert refused.status == 400
        else:
            assert seen.values.shape[0] == 3


def test_pixels_are_bounded_by_the_servers_bound() -> None:
    with pytest.raises(RequestError, match="at most 1,000") as refused:
        classifier(max_pixels=1000).prepare(Picture(file_of(drawing())))
    assert refused.value.status == 413


def test_a_detector_with_a_fixed_shape_gets_exactly_that_and_tells_boxes_of_what_was_sent() -> None:
    device = PlainDevice("neuronx", batch_size=2, height=48, width=64)
    model = detector(device)
    assert model.max_batch == 2
    model.warm_up()
    pictures = [Picture(file_of(drawing(*size)), 0.0) for size in [(80, 60), (60, 80)]]
    first, second = detect(model, *pictures)
    assert set(device.seen) == {(2, 3, 48, 64)}
    # An image of four to three is what the processor leaves in that shape by itself.
    same(first, detect(shared_detector(), pictures[0])[0])
    assert (second.width, second.height) == (60, 80)
    shares = [one.box[3] / 80 for one in second.objects]
    assert max(shares) <= 1.5


def test_a_classifier_with_a_fixed_shape_answers_the_same() -> None:
    device = PlainDevice("neuronx", batch_size=4, height=32, width=32)
    model = classifier(device)
    model.warm_up()
    (ours,) = recognise(model, file_of(drawing()))
    assert set(device.seen) == {(4, 3, 32, 32)}
    (plain,) = recognise(shared_classifier(), file_of(drawing()))
    assert [one.score for one in ours.labels] == pytest.approx([one.score for one in plain.labels], abs=CLOSE)


def test_artifacts_for_another_size_than_the_processor_can_make_are_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_models.vit(), tmp_path / "model")
    edit(folder / "preprocessor_config.json", do_resize=False)
    with pytest.raises(InputError, match="compiled for images of 40 x 32 pixels; its processor makes 80 x 32"):
        ImageClassifier(
            files(folder, Task.IMAGE_CLASSIFICATION), PlainDevice(batch_size=1, height=32, width=40), Bounds()
        )


def test_warming_up_runs_one_image_and_a_full_batch() -> None:
    device = PlainDevice()
    classifier(device, max_batch=4).warm_up()
    assert device.seen == [(4, 3, 32, 32), (1, 3, 32, 32)]
    compiled = PlainDevice("compile")
    classifier(compiled, max_batch=4).warm_up()
    assert [shape[0] for shape in compiled.seen] == [4, 2, 1]


def pipeline(task: str, folder: Path) -> Any:
    pil = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **pil)
    return transformers.pipeline(task, model=str(folder), image_processor=processor)


def edit(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
