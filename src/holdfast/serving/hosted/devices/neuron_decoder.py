"""A language model on NeuronCores, in slots.

Its graphs take every row at each step. Given fewer, the library fills up with copies of the first, and these write into
the KV cache of the rows that were left out (`NxDDecoderWrapperForCausalLM._forward_with_pad`, 0.4.5). So a step always
has all slots. Those that get no token compute one in vain at their next position: what it writes there is masked, and
overwritten by their next token or prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from holdfast.model.errors import InputError
from holdfast.serving.hosted.devices.neuron_library import CausalModel, NeuronConfig

_GREEDY = (1.0, 1.0, 1.0)
"""top_k, top_p, temperature: inputs of the graph, without effect where sampling is not in it."""


class NeuronDecoder:
    """The slots that it was compiled for, of `positions` tokens each. Raises InputError where they cannot be used."""

    def __init__(
        self, model: CausalModel, *, eos_ids: frozenset[int], name: str, max_tokens: int | None = None
    ) -> None:
        compiled = model.neuron_config
        check(compiled, name)
        self.slots = compiled.batch_size
        self.positions = min(max_tokens or compiled.sequence_length, compiled.sequence_length)
        self.eos_ids = eos_ids
        self._model = model
        self._context = compiled.max_context_length
        self._lengths = [0] * self.slots

    def prefill(self, slot: int, tokens: Sequence[int]) -> torch.Tensor:
        if not 1 <= len(tokens) <= self.positions:
            raise ValueError(f"{len(tokens)} tokens for {self.positions} positions")
        if len(tokens) == 1:
            # The library takes one token for a step of decoding, which is the same at position 0.
            self._lengths[slot] = 0
            return self.decode([tokens[0] if one == slot else None for one in range(self.slots)])[slot]
        # Padded here: where the library pads, it repeats position 1, and of two equal positions any may be the last.
        ids, positions = torch.zeros(2, 1, self._context, dtype=torch.long).unbind()
        ids[0, : len(tokens)] = torch.tensor(tokens)
        positions[0, : len(tokens)] = torch.arange(len(tokens))
        logits = self._forward(ids, positions, torch.tensor([slot]))[0]
        self._lengths[slot] = len(tokens)
        return logits

    def decode(self, tokens: Sequence[int | None]) -> torch.Tensor:
        if len(tokens) != self.slots:
            raise ValueError(f"{len(tokens)} tokens for {self.slots} slots")
        for token, length in zip(tokens, self._lengths, strict=True):
            if token is not None and length >= self.positions:
                raise ValueError(f"a slot is full at {self.positions} positions")
        ids = torch.tensor([[0 if token is None else token] for token in tokens])
        positions = torch.tensor([[min(length, self.positions - 1)] for length in self._lengths])
        logits = self._forward(ids, positions, torch.arange(self.slots))
        self._lengths = [length + (token is not None) for token, length in zip(tokens, self._lengths, strict=True)]
        return logits

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        sampling = torch.tensor([_GREEDY] * len(rows))
        with torch.inference_mode():
            logits = self._model.forward(input_ids=ids, position_ids=positions, seq_ids=rows, sampling_params=sampling)
        return logits[:, -1, :].float()


def check(compiled: NeuronConfig, name: str) -> None:
    """Raise InputError where a server of independent requests cannot use what was compiled."""
    if compiled.on_device_sampling or compiled.output_logits:
        raise _unusable(name, "with sampling on the device, which gives tokens and no logits")
    if compiled.batch_size > 1 and not compiled.continuous_batching:
        raise _unusable(name, "without continuous batching, so that a prompt would overwrite all slots")
    if compiled.max_batch_size != compiled.batch_size:
        raise _unusable(name, f"for steps of {compiled.batch_size} of {compiled.max_batch_size} slots")
    if compiled.speculation_length:
        raise _unusable(name, "for speculative decoding, which is not served")
    if compiled.max_context_length < compiled.sequence_length:
        raise _unusable(name, f"for prompts of {compiled.max_context_length} of {compiled.sequence_length} tokens")


def _unusable(name: str, how: str) -> InputError:
    return InputError(f"was compiled {how}", where=name, mend="compile it with `holdfast compile`")
