"""The task that a model's own files name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files.purposes import Evidence, tag_in, task_of
from holdfast.serving.hosted.tasks import Task

TEXT = {"vocab_size": 100}
IMAGES = {"image_size": 224}


def network(name: str, **config: Any) -> dict[str, Any]:
    return {"architectures": [name], **config}


@pytest.mark.parametrize(
    ("evidence", "task"),
    [
        (Evidence(network("LlamaForCausalLM", **TEXT)), Task.TEXT_GENERATION),
        (Evidence(network("GPT2LMHeadModel", **TEXT)), Task.TEXT_GENERATION),
        (Evidence(network("BertForSequenceClassification", **TEXT)), Task.TEXT_CLASSIFICATION),
        (Evidence(network("ViTForImageClassification", **IMAGES)), Task.IMAGE_CLASSIFICATION),
        (Evidence(network("DeiTForImageClassificationWithTeacher", **IMAGES)), Task.IMAGE_CLASSIFICATION),
        (Evidence(network("YolosForObjectDetection", **IMAGES)), Task.OBJECT_DETECTION),
        (Evidence(network("BertModel", **TEXT)), Task.EMBEDDINGS),
        # Qwen3-Embedding: a decoder with sentence-transformers' modules.
        (Evidence(network("Qwen3ForCausalLM", **TEXT), pooled=True), Task.EMBEDDINGS),
        (Evidence(network("BertForMaskedLM", **TEXT), tag="sentence-similarity"), Task.EMBEDDINGS),
        (Evidence({"model_type": "bert", **TEXT}, tag="text-classification"), Task.TEXT_CLASSIFICATION),
        # What a graph was compiled for is what it can do, whatever the weights were.
        (Evidence(network("BertForMaskedLM", **TEXT, neuron={"task": "feature-extraction"})), Task.EMBEDDINGS),
        (Evidence({"_class_name": "StableDiffusionXLPipeline"}, pipeline=True), Task.TEXT_TO_IMAGE),
        (Evidence({"_class_name": "NeuronStableDiffusionPipeline"}, pipeline=True), Task.TEXT_TO_IMAGE),
    ],
)
def test_the_task_is_read_off_the_files(evidence: Evidence, task: Task) -> None:
    assert task_of(evidence, None, "model") is task
    assert task_of(evidence, task, "model") is task


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (network("T5ForConditionalGeneration", is_encoder_decoder=True), "is an encoder-decoder or multimodal model"),
        (network("MarianMTModel", is_encoder_decoder=True, **TEXT), "is an encoder-decoder model"),
        (network("WhisperForConditionalGeneration"), "which is not served; served are text-generation"),
        (network("Wav2Vec2ForCTC", **TEXT), "is a model of speech"),
        (network("BertForTokenClassification", **TEXT), "is a model that labels tokens"),
        (network("CLIPModel", vision_config={}, vocab_size=1), "has no head that could be served"),
        (network("ViTModel", **IMAGES), "has no head that could be served"),
        ({"architectures": "BertModel"}, "is no list of names"),
        (network("BertForSequenceClassification", id2label=["a"], **TEXT), "does not map numbers to names"),
        (network("BertForSequenceClassification", id2label={"a": "b"}, **TEXT), "does not map numbers to names"),
    ],
)
def test_what_is_not_served_is_refused_in_a_sentence(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        task_of(Evidence(config), None, "model")


@pytest.mark.parametrize("name", ["StableDiffusionInpaintPipeline", "AudioLDMPipeline", ["own", "Pipe"], None])
def test_a_pipeline_that_is_not_served_is_named(name: object) -> None:
    with pytest.raises(InputError, match="is not served; served are StableDiffusion3Pipeline"):
        task_of(Evidence({"_class_name": name}, pipeline=True), None, "model")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (network("BertForMaskedLM", **TEXT), "give --task feature-extraction"),
        ({"model_type": "bert", **TEXT}, "give --task text-generation or --task text-classification"),
        (
            {"architectures": ["ViTForImageClassification", "YolosForObjectDetection"], **IMAGES},
            "give --task image-classification or --task object-detection",
        ),
    ],
)
def test_where_the_files_leave_it_open_the_flag_is_named(config: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        task_of(Evidence(config), None, "model")


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        (network("BertModel", **TEXT), Task.TEXT_CLASSIFICATION),
        (network("LlamaForCausalLM", **TEXT), Task.EMBEDDINGS),
        (network("LlamaForCausalLM", **TEXT), Task.TEXT_TO_IMAGE),
        (network("ViTForImageClassification", **IMAGES), Task.OBJECT_DETECTION),
        (network("YolosForObjectDetection", **IMAGES), Task.EMBEDDINGS),
    ],
)
def test_a_task_that_contradicts_the_files_is_refused(config: dict[str, Any], asked: Task) -> None:
    with pytest.raises(InputError, match=f"is not for {asked.value}; give --task"):
        task_of(Evidence(config), asked, "model")


def test_a_classifiers_body_may_be_asked_for_embeddings() -> None:
    config = network("BertForSequenceClassification", **TEXT)
    assert task_of(Evidence(config), Task.EMBEDDINGS, "model") is Task.EMBEDDINGS


@pytest.mark.parametrize(
    ("readme", "tag"),
    [
        ("---\nlicense: mit\npipeline_tag: text-classification\n---\n# Model", "text-classification"),
        ('---\r\npipeline_tag: "fill-mask"\r\n---\r\n', "fill-mask"),
        ("# no front matter\npipeline_tag: text-classification\n", ""),
        ("---\nnever closed\npipeline_tag: x", ""),
        ("", ""),
    ],
)
def test_the_tag_is_read_in_the_front_matter_alone(readme: str, tag: str) -> None:
    assert tag_in(readme) == tag


values = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.lists(st.text(max_size=4), max_size=2)
keys = st.sampled_from(["architectures", "neuron", "id2label", "is_encoder_decoder", "vocab_size", "_class_name"])


@given(
    st.dictionaries(keys, values | st.dictionaries(st.text(max_size=3), values, max_size=2)),
    st.booleans(),
    st.booleans(),
    st.none() | st.sampled_from(Task),
)
@settings(max_examples=300)
def test_no_config_does_more_than_be_refused(
    config: dict[str, Any], pipeline: bool, pooled: bool, asked: Task | None
) -> None:
    try:
        assert task_of(Evidence(config, pipeline, pooled), asked, "model") in Task
    except InputError as error:
        assert "\n" not in str(error)
