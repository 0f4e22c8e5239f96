"""Prompts as token ids, by the model's own tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import AutoTokenizer

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.files import ModelFiles


class Prompts:
    """The tokenizer of a model that takes at most `longest` tokens, prompt and answer together. Threads may share it.

    vocabulary: token ids are below it.
    """

    def __init__(self, files: ModelFiles, longest: int) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=files.trust_remote_code
        )
        self.vocabulary: int = _vocabulary(files.config) or len(self.tokenizer)
        self._longest = longest
        # No text of this many letters is fewer tokens than that; it is refused unread, as reading takes seconds.
        self._letters = longest * max(map(len, self.tokenizer.get_vocab()))
        # The first call sets truncation and padding, which no other thread may do while one encodes.
        self.encode("a")

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt, as the tokenizer makes them with its special tokens. Raises RequestError."""
        if len(text) > self._letters:
            message = (
                f"the prompt has {len(text)} letters, and the context ends at {self._longest} tokens with the answer"
            )
            raise RequestError(400, message, param="prompt", code="context_length_exceeded")
        tokens: list[int] = self.tokenizer(text, verbose=False).input_ids
        self._fits(tokens, "prompt")
        return tokens

    def encode_chat(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """By the tokenizer's chat template, with the assistant's opening. Raises RequestError where there is no
        template, or where it refuses the messages."""
        if not self.tokenizer.chat_template:
            message = "this model has no chat template; ask for a completion (/v1/completions) instead"
            raise RequestError(400, message, param="messages")
        try:
            text = self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
        except Exception as error:
            # A template is a program of the model's, and raises whatever it likes at messages that it does not foresee.
            message = f"the model's chat template does not take these messages ({error})"
            raise RequestError(400, message, param="messages") from error
        if len(text) > self._letters:
            raise self._too_long(f"{len(text)} letters", "messages")
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        self._fits(tokens, "messages")
        return tokens

    def room(self, tokens: Sequence[int], *, param: str = "prompt") -> int:
        """Tokens that an answer to this prompt may have. Raises RequestError for none, and for ids that are not the
        model's."""
        if not tokens:
            raise RequestError(400, "prompt must have at least one token", param=param)
        strangers = [token for token in tokens if not 0 <= token < self.vocabulary]
        if strangers:
            message = f"{strangers[0]} is no token of the model, whose ids go from 0 to {self.vocabulary - 1}"
            raise RequestError(400, message, param=param)
        self._fits(tokens, param)
        return self._longest - len(tokens)

    def _fits(self, tokens: Sequence[int], param: str) -> None:
        if len(tokens) >= self._longest:
            raise self._too_long(f"{len(tokens)} tokens", param)

    def _too_long(self, length: str, param: str) -> RequestError:
        message = f"the prompt has {length} and the context ends at {self._longest} tokens with the answer"
        return RequestError(400, message, param=param, code="context_length_exceeded")


def _vocabulary(config: Mapping[str, Any]) -> int | None:
    size: int | None = config.get("vocab_size", config.get("text_config", {}).get("vocab_size"))
    return size
