"""A model's configuration with transformers' defaults for what its file leaves out."""

from __future__ import annotations

from typing import Any

from holdfast.serving.hosted.files import ModelFiles


def configuration(files: ModelFiles) -> Any:
    """The transformers configuration of an encoder's folder."""
    import transformers

    return transformers.AutoConfig.from_pretrained(files.folder, trust_remote_code=files.trust_remote_code)
