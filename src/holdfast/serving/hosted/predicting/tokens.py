"""Texts as rows of token ids: bounded, and padded to few shapes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from holdfast.model.errors import InputError
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.predicting.rows import Counts, Rows

SHORTEST_BUCKET = 16
"""Tokens. Below it the length of an input hardly changes the time that it takes."""

MOST_CHARACTERS_PER_TOKEN = 100
"""A longer text is refused before it is tokenised, which takes a second for some MB. BERT's tokenisers make one token
of a word of up to 100 characters; no other makes so few."""

_POSITIONS_AFTER_PADDING = (
    *("camembert", "data2vec-text", "esm", "ibert", "lilt", "longformer", "luke", "markuplm", "mpnet", "roberta"),
    *("roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
)
"""Model types that count positions from the id of padding + 1, so that they hold fewer than max_position_embeddings."""


@dataclass(frozen=True)
class Encoded:
    """One input: token ids, and token types where the tokeniser gives them."""

    ids: tuple[int, ...]
    types: tuple[int, ...] | None


class Tokens:
    """A model's tokeniser, and the shapes in which its inputs go to a device.

    Rows are padded on the right, so that every token keeps the position that it has alone, and the mask hides the rest:
    to the shape that a device is fixed to, to a power of two for torch.compile, else to the longest of the batch.

    longest: tokens of an input.
    """

    def __init__(self, files: ModelFiles, config: Any, device: Device, bounds: Bounds) -> None:
        import transformers

        self._tokenizer = transformers.AutoTokenizer.from_pretrained(
            files.folder, trust_remote_code=files.trust_remote_code
        )
        shapes = device.shapes(files)
        self.rows = Rows.of(device, shapes, bounds)
        self.longest = _longest(files, config, self._tokenizer.model_max_length, bounds, shapes or {})
        self._vocabulary = int(config.vocab_size)
        # Language models that classify look for the last token that is not their configuration's padding.
        paddings = (getattr(config, "pad_token_id", None), self._tokenizer.pad_token_id, 0)
        self._padding = int(next(padding for padding in paddings if padding is not None))
        # The first call drops what the files say of truncation; from then on threads may share the tokeniser.
        self._has_types = "token_type_ids" in self._tokenizer("a")

    def encode(self, text: str | tuple[int, ...]) -> Encoded:
        """A text with the special tokens that the model wants, or token ids as they are. Raises RequestError."""
        encoded = self._of_text(text) if isinstance(text, str) else self._of_ids(text)
        if len(encoded.ids) > self.longest:
            raise self._too_long(f"{len(encoded.ids)} tokens")
        if not encoded.ids:
            raise _refused("the input is empty")
        return encoded

    def bucket(self, tokens: int) -> int:
        """What inputs that share a batch have in common, so that none is padded to more than twice its length."""
        if self.rows.counts is Counts.FIXED:
            return self.longest
        return min(self.longest, max(SHORTEST_BUCKET, 1 << (tokens - 1).bit_length()))

    def padded(self, batch: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """Named tensors (rows, length), of which the first rows are the batch's."""
        rows = self.rows.filled(batch)
        longest = max(len(row.ids) for row in rows)
        length = longest if self.rows.counts is Counts.ANY else self.bucket(longest)
        tensors = {
            "input_ids": _rows([row.ids for row in rows], length, self._padding),
            "attention_mask": _rows([(1,) * len(row.ids) for row in rows], length, 0),
        }
        if self._has_types:
            tensors["token_type_ids"] = _rows([row.types or () for row in rows], length, 0)
        return tensors

    def to_warm(self) -> Iterable[list[Encoded]]:
        """A batch of every shape that will be run: of the longest inputs first."""
        token = self._tokenizer("a").input_ids[0]
        for tokens in sorted({self.bucket(tokens) for tokens in range(1, self.longest + 1)}, reverse=True):
            filler = Encoded((token,) * tokens, (0,) * tokens if self._has_types else None)
            for count in self.rows.to_warm():
                yield [filler] * count

    def _of_text(self, text: str) -> Encoded:
        if not text:
            raise _refused("the input is empty")
        if len(text) > MOST_CHARACTERS_PER_TOKEN * self.longest:
            raise self._too_long(f"{len(text)} characters")
        check_characters(text, "input")
        encoded = self._tokenizer(text, verbose=False)
        return Encoded(tuple(encoded["input_ids"]), tuple(encoded["token_type_ids"]) if self._has_types else None)

    def _of_ids(self, ids: tuple[int, ...]) -> Encoded:
        for token in ids:
            if not 0 <= token < self._vocabulary:
                raise _refused(f"{token} is no token of this model: ids are 0 to {self._vocabulary - 1}")
        return Encoded(ids, (0,) * len(ids) if self._has_types else None)

    def _too_long(self, size: str) -> RequestError:
        return _refused(f"the input has {size}; at most {self.longest} tokens are taken", "context_length_exceeded")


def check_characters(text: str, param: str) -> None:
    """Raises RequestError for half of a surrogate pair, which JSON can hold and no tokeniser takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{param} has half of a surrogate pair, at character {error.start}"
        raise RequestError(400, message, param=param) from error


def _rows(rows: Sequence[Sequence[int]], length: int, padding: int) -> torch.Tensor:
    return torch.tensor([[*row, *(padding,) * (length - len(row))] for row in rows])


def _longest(files: ModelFiles, config: Any, tokenizer_longest: int, bounds: Bounds, shapes: Any) -> int:
    """The least of all bounds on an input's tokens; sentence-transformers' is in a file of its own."""
    bounding = {tokenizer_longest, shapes.get("sequence_length"), bounds.max_tokens}
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in _POSITIONS_AFTER_PADDING:
        positions -= config.pad_token_id + 1
    bounding.add(positions)
    sentences = files.folder / "sentence_bert_config.json"
    if sentences.is_file():
        bounding.add(json.loads(sentences.read_text()).get("max_seq_length"))
    # A tokeniser without a bound says 10**30; some configurations say -1.
    known = [bound for bound in bounding if bound is not None and 0 < bound < 10**9]
    if not known:
        raise InputError(
            "nothing in the model's files says how long a text may be",
            where=files.name,
            mend="say so with --max-tokens",
        )
    return int(min(known))


def _refused(message: str, code: str | None = None) -> RequestError:
    return RequestError(400, message, param="input", code=code)
