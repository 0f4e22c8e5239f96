"""A fake of optimum-neuron 0.4.5, which no machine without Neuron can import: its signatures, and its static shapes.

It computes on the CPU what the models compute that were "compiled". What it does to slots that a step leaves out,
and where it looks for the last token of a prompt, is as in the library's source (`NxDDecoderWrapperForCausalLM`,
`NxDDecoderModelForCausalLM`), since that is what a caller can get wrong.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from transformers.modeling_outputs import ModelOutput


@dataclass
class FakeNeuronConfig:
    """NxDNeuronConfig, of which a default is None where the library computes it."""

    batch_size: int
    sequence_length: int
    max_batch_size: int
    max_context_length: int
    tp_degree: int = 2
    torch_dtype: Any = "float32"
    on_device_sampling: bool = False
    output_logits: bool = False
    continuous_batching: bool = True
    speculation_length: int = 0
    target: str = "trn1"


def neuron_config(batch_size: int, sequence_length: int, **others: Any) -> FakeNeuronConfig:
    defaults = {"max_batch_size": batch_size, "max_context_length": sequence_length}
    return FakeNeuronConfig(batch_size, sequence_length, **(defaults | others))


class FakeCausalModel:
    """Rows of tokens stand for the KV cache: keys and values follow from a token, its position and those before."""

    def __init__(self, original: Any, config: FakeNeuronConfig) -> None:
        self.neuron_config = config
        self._original = original.eval()
        self._cache = torch.zeros(config.max_batch_size, config.sequence_length, dtype=torch.long)
        self.steps: list[tuple[int, ...]] = []

    def forward(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        seq_ids: torch.Tensor | None = None,
        sampling_params: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> torch.Tensor:
        assert seq_ids is not None and sampling_params is not None
        assert sampling_params.shape == (len(seq_ids), 3) and sampling_params.dtype == torch.float32
        self.steps.append(tuple(input_ids.shape))
        if input_ids.shape[-1] > 1 and not position_ids.min().item():
            return self._context(input_ids, position_ids, seq_ids)
        return self._token(input_ids, position_ids, seq_ids)

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        folder = Path(save_directory)
        (folder / "checkpoint/weights").mkdir(parents=True)
        for rank in range(self.neuron_config.tp_degree):
            shard = folder / f"checkpoint/weights/tp{rank}_sharded_checkpoint.safetensors"
            safetensors.torch.save_file({"weight": torch.zeros(1)}, shard)
        _write_graph(folder / "model.pt")
        told = asdict(self.neuron_config) | {"torch_dtype": str(self.neuron_config.torch_dtype)}
        (folder / "neuron_config.json").write_text(json.dumps(told))
        (folder / "config.json").write_text(self._original.config.to_json_string())

    def _context(self, ids: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        length = self.neuron_config.max_context_length
        assert len(rows) == 1, "a prefill graph of one row"
        padded = torch.nn.functional.pad(ids, (0, length - ids.shape[1]))  # cuts what is too long, in silence
        placed = torch.nn.functional.pad(positions, (0, length - positions.shape[1]), value=1)
        self._cache[rows[0], :length] = padded[0]
        last = int(placed[0].flip(0).argmax())  # of equal positions the last: the least lucky choice
        return self._logits(padded[0, : length - last]).view(1, 1, -1)

    def _token(self, ids: torch.Tensor, positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        batch = self.neuron_config.batch_size
        assert ids.shape == positions.shape == (len(rows), 1) and len(rows) <= batch
        missing = [row for row in range(batch) if row not in rows.tolist()]
        tokens, at = torch.zeros(batch, dtype=torch.long), torch.zeros(batch, dtype=torch.long)
        tokens[rows], at[rows] = ids[:, 0], positions[:, 0]
        tokens[missing], at[missing] = ids[0, 0], positions[0, 0]  # filled up with copies of the first
        self._cache[torch.arange(batch), at] = tokens
        logits = [self._logits(self._cache[row, : at[row] + 1]) for row in rows.tolist()]
        return torch.stack(logits).view(len(rows), 1, -1)

    def _logits(self, tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits: torch.Tensor = self._original(tokens[None]).logits[0, -1]
        return logits.to(torch.bfloat16).float() if self.neuron_config.torch_dtype is torch.bfloat16 else logits


class FakeTraced:
    """An encoder that takes the shapes it was compiled for, and no other."""

    def __init__(self, original: Any, shapes: dict[str, tuple[int, ...]]) -> None:
        self._original = original.eval()
        self._shapes = shapes

    def __call__(self, **tensors: torch.Tensor) -> Any:
        for name, tensor in tensors.items():
            if tuple(tensor.shape) != self._shapes[name]:
                raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, compiled was {self._shapes[name]}")
            assert tensor.dtype in (torch.int64, torch.float32)
        with torch.no_grad():
            return self._answer(self._original(**tensors))

    def _answer(self, output: Any) -> Any:
        return output


class FakeSentenceTransformer(FakeTraced):
    def _answer(self, output: Any) -> Any:
        hidden = output.last_hidden_state
        return ModelOutput(token_embeddings=hidden, sentence_embedding=hidden.mean(1))


class FakeNeuron:
    """The modules `optimum.neuron` and `optimum.exporters.neuron`; `loaded` is what a folder gives, by class name."""

    def __init__(self) -> None:
        self.loaded: dict[str, Any] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def install(self, monkeypatch: pytest.MonkeyPatch, classes: list[str]) -> None:
        neuron, exporters = types.ModuleType("optimum.neuron"), types.ModuleType("optimum.exporters.neuron")
        for name in classes:
            setattr(neuron, name, _TracedClass(self, name))
        neuron.NeuronModelForCausalLM = _CausalClass(self)  # type: ignore[attr-defined]
        exporters.main_export = self.main_export  # type: ignore[attr-defined]
        exporters.normalize_diffusers_input_shapes = self.normalize_diffusers_input_shapes  # type: ignore[attr-defined]
        for module in (types.ModuleType("optimum"), types.ModuleType("optimum.exporters"), neuron, exporters):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    def main_export(
        self,
        model_name_or_path: str,
        output: str | Path,
        compiler_kwargs: dict[str, Any],
        torch_dtype: Any = torch.float32,
        tensor_parallel_size: int = 1,
        task: str = "auto",
        trust_remote_code: bool = False,
        local_files_only: bool = False,
        do_validation: bool = True,
        library_name: str | None = None,
        **input_shapes: Any,
    ) -> None:
        self.calls.append(("main_export", {"task": task, "library_name": library_name, **compiler_kwargs}))
        config = json.loads((Path(model_name_or_path) / "config.json").read_text())
        static = {f"static_{name}": value for name, value in input_shapes.items()}
        Path(output).mkdir(exist_ok=True)
        _write_graph(Path(output) / "model.neuron")
        (Path(output) / "config.json").write_text(json.dumps(config | {"neuron": static}))

    def normalize_diffusers_input_shapes(self, args: dict[str, int]) -> dict[str, dict[str, int]]:
        return {"text_encoder": {"batch_size": args["batch_size"]}, "unet_or_transformer": dict(args)}


class _TracedClass:
    def __init__(self, library: FakeNeuron, name: str) -> None:
        self._library = library
        self._name = name

    def from_pretrained(
        self,
        model_id: str,
        config: Any = None,
        export: bool = False,
        subfolder: str = "",
        revision: str = "main",
        force_download: bool = False,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
        **kwargs: Any,
    ) -> Any:
        assert local_files_only and not export and not trust_remote_code
        return self._library.loaded[self._name]


class _CausalClass:
    def __init__(self, library: FakeNeuron) -> None:
        self._library = library

    def from_pretrained(self, model_id: str, **kwargs: Any) -> Any:
        assert kwargs == {"local_files_only": True}
        answer = self._library.loaded["NeuronModelForCausalLM"]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get_neuron_config(
        self,
        model_name_or_path: str,
        config: Any = None,
        token: str | None = None,
        revision: str | None = None,
        instance_type: str | None = None,
        batch_size: int | None = None,
        sequence_length: int | None = None,
        tensor_parallel_size: int | None = None,
    ) -> FakeNeuronConfig:
        """As of Llama: sampling on the device, continuous batching from two rows."""
        assert batch_size and sequence_length and tensor_parallel_size
        made = neuron_config(batch_size, sequence_length, on_device_sampling=True, continuous_batching=batch_size > 1)
        made.tp_degree, made.torch_dtype = tensor_parallel_size, config.dtype
        return made

    def export(
        self,
        model_id: str,
        neuron_config: FakeNeuronConfig,
        config: Any = None,
        token: str | None = None,
        revision: str | None = None,
        load_weights: bool = False,
        **kwargs: Any,
    ) -> FakeCausalModel:
        self._library.calls.append(("export", {"load_weights": load_weights, **kwargs}))
        return FakeCausalModel(transformers.AutoModelForCausalLM.from_pretrained(model_id), neuron_config)


def _write_graph(file: Path) -> None:
    """TorchScript is a ZIP archive."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("graph", "")


def signature(function: Any) -> list[str]:
    """Parameters as the table of the interface writes them."""
    given = inspect.signature(function).parameters.values()
    named = [one for one in given if one.kind is not one.VAR_KEYWORD]
    return [f"{one.name}{'' if one.default is one.empty else '='}" for one in named]
