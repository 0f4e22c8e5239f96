"""Prompts of diffusion pipelines, held against what their text encoders can read."""

from __future__ import annotations

from typing import Any

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.predicting.tokens import MOST_CHARACTERS_PER_TOKEN, check_characters


class Prompts:
    """The tokenisers of a pipeline, of which some have several.

    longest: tokens that every one of them takes, 77 where there is a CLIP. Pipelines cut the rest off, and tell a log.
    """

    def __init__(self, files: ModelFiles) -> None:
        self._tokenizers = [
            _tokenizer(files, part) for part, named in files.config.items() if _is_tokenizer(part, named)
        ]
        self.longest = min(tokenizer.model_max_length for tokenizer in self._tokenizers)

    def check(self, prompt: str, param: str) -> None:
        """Raises RequestError for a prompt of which a part would be ignored. param: the request's name for it."""
        if len(prompt) > MOST_CHARACTERS_PER_TOKEN * self.longest:
            raise self._too_long(param, f"{len(prompt)} characters")
        check_characters(prompt, param)
        tokens = max(len(tokenizer(prompt, verbose=False).input_ids) for tokenizer in self._tokenizers)
        if tokens > self.longest:
            raise self._too_long(param, f"{tokens} tokens")

    def _too_long(self, param: str, size: str) -> RequestError:
        message = (
            f"{param} has {size}; the text encoder takes at most {self.longest} tokens, two of which mark its ends"
        )
        return RequestError(400, message, param=param, code="context_length_exceeded")


def _is_tokenizer(part: str, named: Any) -> bool:
    return part.startswith("tokenizer") and isinstance(named, list) and named[0] is not None


def _tokenizer(files: ModelFiles, part: str) -> Any:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(
        files.folder / part, trust_remote_code=files.trust_remote_code
    )
    # The first call drops what the files say of truncation; from then on threads may share the tokeniser.
    tokenizer("a")
    return tokenizer
