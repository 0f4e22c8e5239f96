"""What a model is for, as its files tell: the architecture in config.json, the pipeline, sentence-transformers'
modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.model.errors import InputError
from holdfast.serving.hosted.tasks import Task

PIPELINES = frozenset({"StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline"})
"""Pipelines that make an image of a text alone; optimum-neuron's have Neuron before the name."""

_HEADS = {
    "ForCausalLM": Task.TEXT_GENERATION,
    "LMHeadModel": Task.TEXT_GENERATION,
    "ForSequenceClassification": Task.TEXT_CLASSIFICATION,
    "ForImageClassification": Task.IMAGE_CLASSIFICATION,
    "ForImageClassificationWithTeacher": Task.IMAGE_CLASSIFICATION,
    "ForObjectDetection": Task.OBJECT_DETECTION,
}
_NOT_SERVED = {
    "ForConditionalGeneration": "an encoder-decoder or multimodal model",
    "ForCTC": "a model of speech",
    "ForAudioClassification": "a model of sound",
    "ForTextToWaveform": "a model of sound",
    "ForSpeechSeq2Seq": "a model of speech",
    "ForTokenClassification": "a model that labels tokens",
    "ForQuestionAnswering": "a model that finds answers in a text",
    "ForMultipleChoice": "a model of multiple choice",
    "ForNextSentencePrediction": "a model that guesses whether sentences follow each other",
    "ForSemanticSegmentation": "a segmentation model",
    "ForSegmentation": "a segmentation model",
    "ForUniversalSegmentation": "a segmentation model",
    "ForDepthEstimation": "a model of depth",
    "ForZeroShotObjectDetection": "a detector that is asked by text",
}
_TAGS = {
    **{task.value: task for task in Task},
    "sentence-similarity": Task.EMBEDDINGS,
    "text-ranking": Task.TEXT_CLASSIFICATION,
}
_SERVED = "served are " + ", ".join(task.value for task in Task)


@dataclass(frozen=True)
class Evidence:
    """What the files say.

    config:   config.json, or model_index.json of a pipeline.
    pipeline: whether it is one of diffusers.
    pooled:   whether sentence-transformers' modules.json says how vectors are made.
    tag:      pipeline_tag in the front matter of README.md; empty where there is none.
    """

    config: Mapping[str, Any]
    pipeline: bool = False
    pooled: bool = False
    tag: str = ""


def task_of(evidence: Evidence, asked: Task | None, place: str) -> Task:
    """The one task that a model is served for. Raises InputError where it is not served, the task that was asked for
    contradicts the files, or they leave it open and none was asked for."""
    likely, possible, said = _pipeline(evidence, place) if evidence.pipeline else _network(evidence, place)
    if asked is not None:
        if asked in possible:
            return asked
        named = " or ".join(task.value for task in Task if task in possible)
        raise InputError(f"{said} is not for {asked.value}", where=place, mend=f"give --task {named}, or another model")
    if likely is None:
        named = " or --task ".join(task.value for task in Task if task in possible)
        raise InputError(f"{said} does not say what it is to be served for", where=place, mend=f"give --task {named}")
    return likely


def tag_in(readme: str) -> str:
    """pipeline_tag in the front matter of a model's README.md; empty where there is none."""
    front = re.match(r"\s*---\r?\n(.*?)\r?\n---", readme[:100_000], re.DOTALL)
    tag = re.search(r"^pipeline_tag:\s*[\"']?([a-z0-9-]+)", front.group(1), re.MULTILINE) if front else None
    return tag.group(1) if tag else ""


Answer = tuple[Task | None, frozenset[Task], str]
"""The likeliest task, all that are possible, and the model in a few words."""


def _pipeline(evidence: Evidence, place: str) -> Answer:
    name = evidence.config.get("_class_name")
    if not isinstance(name, str) or name.removeprefix("Neuron") not in PIPELINES:
        told = name if isinstance(name, str) else "of its own code"
        raise InputError(
            f"the pipeline {told} is not served", where=place, mend="served are " + ", ".join(sorted(PIPELINES))
        )
    return Task.TEXT_TO_IMAGE, frozenset({Task.TEXT_TO_IMAGE}), f"the pipeline {name}"


def _network(evidence: Evidence, place: str) -> Answer:
    config = evidence.config
    names = config.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError("architectures in its config.json is no list of names", where=place, mend="mend the file")
    said = f"the architecture {' and '.join(names)}" if names else "a config.json without architectures"
    _refuse(config, names, said, place)
    compiled = config.get("neuron")
    if isinstance(compiled, Mapping) and compiled.get("task") in _TAGS:
        task = _TAGS[compiled["task"]]
        return task, frozenset({task}), f"what was compiled for {compiled['task']}"
    if evidence.pooled:
        return Task.EMBEDDINGS, frozenset({Task.EMBEDDINGS} | _heads(names)), said
    tagged = _TAGS.get(evidence.tag)
    if not names:
        return tagged, frozenset(Task) - {Task.TEXT_TO_IMAGE}, said
    heads = _heads(names)
    if not heads and not _takes_text(config):
        raise InputError(f"{said} has no head that could be served", where=place, mend=_SERVED)
    possible = heads or frozenset({Task.EMBEDDINGS})
    if _takes_text(config) and Task.TEXT_GENERATION not in heads:
        possible |= {Task.EMBEDDINGS}
    if len(heads) == 1:
        return next(iter(heads)), possible, said
    if tagged in possible or (not heads and all(name.endswith("Model") for name in names)):
        return tagged if tagged in possible else Task.EMBEDDINGS, possible, said
    return None, possible, said


def _heads(names: list[str]) -> frozenset[Task]:
    return frozenset(task for name in names for head, task in _HEADS.items() if name.endswith(head))


def _takes_text(config: Mapping[str, Any]) -> bool:
    """Of text alone: CLIP and its like have a vocabulary below text_config, next to a vision_config."""
    return "vocab_size" in config and not any(key in config for key in ("vision_config", "audio_config", "image_size"))


def _refuse(config: Mapping[str, Any], names: list[str], said: str, place: str) -> None:
    for name in names:
        for head, kind in _NOT_SERVED.items():
            if name.endswith(head):
                raise InputError(f"{said} is {kind}, which is not served", where=place, mend=_SERVED)
    if config.get("is_encoder_decoder") is True:
        raise InputError(f"{said} is an encoder-decoder model, which is not served", where=place, mend=_SERVED)
    labels = config.get("id2label", {})
    fit = isinstance(labels, dict) and all(
        key.isascii() and key.isdigit() and isinstance(label, str) for key, label in labels.items()
    )
    if not fit:
        raise InputError("id2label in its config.json does not map numbers to names", where=place, mend="mend the file")
