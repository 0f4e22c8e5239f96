"""Models of transformers and diffusers from files on disk: whole, in safetensors, for evaluation."""

from __future__ import annotations

import warnings
from typing import Any

import diffusers
import torch
import transformers

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.tasks import Task

_UNUSED = {Task.EMBEDDINGS: ("pooler.",)}
"""Beginnings of weights that a task can do without: vectors are pooled from the last hidden state."""


def model(files: ModelFiles, dtype: torch.dtype, place: torch.device) -> Any:
    """For evaluation, nothing of it trainable. Weights go from the files to their place: the memory of a host may be
    smaller than that of its GPU (g5.xlarge: 16 and 24 GiB).

    Raises InputError where the files hold no such model, or lack weights, which the library would fill at random.
    """
    try:
        loaded, found = _class(files.task).from_pretrained(
            files.folder,
            dtype=dtype,
            device_map={"": place},
            use_safetensors=True,
            variant=files.variant,
            local_files_only=True,
            trust_remote_code=files.trust_remote_code,
            output_loading_info=True,
        )
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"cannot be loaded for {files.task.value} ({_first_line(error)})", where=files.name) from error
    unused = _UNUSED.get(files.task, ())
    lacking = sorted(key for key in found["missing_keys"] if not key.startswith(unused))
    if lacking:
        raise InputError(
            f"its weights lack {_some(lacking)} for {files.task.value}",
            where=files.name,
            mend="give a model that was trained for it, or another --task",
        )
    return frozen(loaded)


def pipeline(files: ModelFiles, dtype: torch.dtype) -> Any:
    """A diffusers pipeline on the CPU, without a safety checker, silent. Raises InputError."""
    optional = {"safety_checker": None, "requires_safety_checker": False} if "safety_checker" in files.config else {}
    try:
        with warnings.catch_warnings():
            # 0.42 says `dtype` instead, which 0.35 does not know.
            warnings.filterwarnings("ignore", message="`torch_dtype` is deprecated", category=FutureWarning)
            made = diffusers.AutoPipelineForText2Image.from_pretrained(
                files.folder,
                torch_dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                variant=files.variant,
                trust_remote_code=files.trust_remote_code,
                **optional,
            )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"is no text-to-image pipeline ({_first_line(error)})", where=files.name) from error
    made.set_progress_bar_config(disable=True)
    for part in parts(made).values():
        frozen(part)
    return made


def parts(pipe: Any) -> dict[str, Any]:
    """The networks of a pipeline by their names."""
    return {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}


def frozen(module: Any) -> Any:
    """For evaluation. Without gradients there is no graph to keep, whoever calls it and in whichever mode."""
    module.eval()
    module.requires_grad_(False)
    return module


def _class(task: Task) -> Any:
    match task:
        case Task.TEXT_GENERATION:
            return transformers.AutoModelForCausalLM
        case Task.TEXT_CLASSIFICATION:
            return transformers.AutoModelForSequenceClassification
        case Task.EMBEDDINGS:
            return transformers.AutoModel
        case Task.IMAGE_CLASSIFICATION:
            return transformers.AutoModelForImageClassification
        case Task.OBJECT_DETECTION:
            return transformers.AutoModelForObjectDetection
        case Task.TEXT_TO_IMAGE:
            raise InputError("a text-to-image model is a pipeline of several networks")


def _some(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
