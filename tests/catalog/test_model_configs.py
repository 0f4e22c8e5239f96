"""A `config.json` is read, or refused in one sentence that names the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.catalog import configs, models
from holdfast.catalog.families import FAMILIES
from holdfast.model.architecture import Dtype, FixedWork, ModelArchitecture
from holdfast.model.errors import InputError

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16",
}


def read(**changes: object) -> ModelArchitecture:
    values = {key: value for key, value in {**LLAMA, **changes}.items() if value != "absent"}
    return configs.read(values, name="tiny", where="config.json", source="a test")


def test_the_weights_of_a_small_model_are_counted_by_hand() -> None:
    attention = 64 * 64 + 2 * 64 * 16 + 64 * 64
    layer = attention + 3 * 64 * 128 + 2 * 64
    assert read().parameters == 2 * layer + 2 * 1000 * 64 + 64
    assert read(tie_word_embeddings=True).parameters == 2 * layer + 1000 * 64 + 64


def test_heads_may_be_larger_than_the_hidden_size_has_room_for() -> None:
    assert read(head_dim=32).kv_numbers == 2 * 2 * 32


def test_a_model_that_sees_is_read_by_its_text_part() -> None:
    outer = {"model_type": "kimi_k25", "text_config": {key: LLAMA[key] for key in LLAMA if key != "torch_dtype"}}
    seeing = configs.read({**outer, "dtype": "bfloat16"}, name="tiny", where="config.json", source="a test")
    assert seeing.parameters == read().parameters


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        ({"quant_method": "fp8"}, Dtype.FP8),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, Dtype.INT4),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, Dtype.INT4_G32),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, Dtype.INT8),
        ({"quant_method": "mxfp4"}, Dtype.MXFP4),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, Dtype.NVFP4),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"a": {"weights": {"num_bits": 8, "type": "float"}}},
            },
            Dtype.FP8,
        ),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 8, "type": "int"}}}},
            Dtype.INT8,
        ),
    ],
)
def test_quantised_weights_leave_norms_and_embeddings_as_they_are(stored: dict[str, Any], dtype: Dtype) -> None:
    tiny = read(quantization_config=stored)
    plain = 2 * 1000 * 64 + 2 * 2 * 64 + 64
    assert tiny.weight_dtype is dtype
    assert tiny.plain_parameters == plain
    assert tiny.weight_bytes == plain * 2 + (tiny.parameters - plain) * dtype.bytes


@pytest.mark.parametrize(
    "name", ["mlp", "model.layers.*.mlp", "model.layers.*.mlp.gate_proj", "re:.*mlp.*", "model.layers.0.mlp"]
)
def test_what_a_quantisation_leaves_out_is_plain(name: str) -> None:
    whole = read(quantization_config={"quant_method": "fp8"}).plain_parameters
    part = read(quantization_config={"quant_method": "fp8", "modules_to_not_convert": [name]}).plain_parameters
    layers = 1 if ".0." in name else 2
    assert part - whole == layers * 3 * 64 * 128


def test_the_name_of_a_router_does_not_cover_the_feed_forward() -> None:
    left_out = {"quant_method": "fp8", "modules_to_not_convert": ["model.layers.*.mlp.gate", "mlp.gate"]}
    assert (
        read(quantization_config=left_out).plain_parameters
        == read(quantization_config={"quant_method": "fp8"}).plain_parameters
    )


@pytest.mark.parametrize(
    ("changes", "window"),
    [
        ({}, (None, 0)),
        ({"model_type": "mistral", "sliding_window": 512}, (512, 2)),
        ({"model_type": "mistral", "sliding_window": None}, (None, 0)),
        ({"model_type": "qwen2", "sliding_window": 512, "use_sliding_window": False}, (None, 0)),
        ({"model_type": "qwen2", "sliding_window": 512, "use_sliding_window": True, "max_window_layers": 1}, (512, 1)),
        ({"model_type": "gemma2", "sliding_window": 512}, (512, 1)),
        ({"sliding_window": 512, "layer_types": ["sliding_attention", "full_attention"]}, (512, 1)),
    ],
)
def test_sliding_windows_are_those_of_the_family(changes: dict[str, Any], window: tuple[int | None, int]) -> None:
    tiny = read(**changes)
    assert (tiny.window_tokens, tiny.window_layers) == window


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "mamba"}, "model_type"),
        ({"model_type": "absent"}, "model_type"),
        ({"hidden_size": "absent"}, "hidden_size"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"hidden_size": -64}, "hidden_size"),
        ({"hidden_size": float("nan")}, "hidden_size"),
        ({"hidden_size": 64.5}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"hidden_size": "64"}, "hidden_size"),
        ({"hidden_size": 10**30}, "hidden_size"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"num_attention_heads": 7, "num_key_value_heads": 7}, "num_attention_heads"),
        ({"torch_dtype": "absent"}, "torch_dtype"),
        ({"torch_dtype": "int3"}, "torch_dtype"),
        ({"quantization_config": {"quant_method": "magic"}}, "quant_method"),
        ({"quantization_config": {"quant_method": "awq", "bits": 3}}, "bits"),
        ({"quantization_config": {"quant_method": "fp8", "ignore": ["re:("]}}, "regular expression"),
        ({"quantization_config": "fp8"}, "quantization_config"),
        ({"layer_types": ["full_attention"]}, "layer_types"),
        ({"layer_types": ["mamba", "full_attention"]}, "layer_types"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 8}, "num_experts_per_tok"),
        ({"model_type": "deepseek_v3"}, "kv_lora_rank"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        read(**changes)
    assert caught.value.mend
    assert "\n" not in str(caught.value)


_FIELDS = sorted(
    {key for entry in models.entries() if entry.config for key in entry.config}
    | {"sliding_window_pattern", "n_inner", "shared_expert_intermediate_size", "head_dim", "kv_cache_scheme", "ignore"}
)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(0, 300), st.floats(), st.text(max_size=8), st.just("fp8")
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(_FIELDS) | st.text(max_size=5), _VALUES), st.sampled_from(sorted(FAMILIES)))
def test_any_object_is_read_or_refused(values: dict[str, Any], kind: str) -> None:
    with_kind = {**values, "model_type": kind}
    for config in (values, with_kind):
        try:
            configs.read(config, name="any", where="config.json", source="a test")
        except InputError as error:
            assert str(error).endswith(".")


@given(st.data())
def test_a_known_model_with_one_field_spoilt_is_read_or_refused(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from([entry for entry in models.entries() if entry.config]))
    key = data.draw(st.sampled_from(sorted(entry.config or {})))
    try:
        configs.read(
            {**(entry.config or {}), key: data.draw(_VALUES)}, name="any", where="config.json", source="a test"
        )
    except InputError as error:
        assert str(error).endswith(".")


def test_a_model_is_found_by_its_id_in_any_case_and_without_its_owner() -> None:
    whole = models.architecture("meta-llama/Llama-3.1-8B")
    assert models.architecture("META-LLAMA/llama-3.1-8b") == whole
    assert models.architecture("llama-3.1-8b-instruct") == whole


def test_every_built_in_model_has_a_source_a_date_and_a_name_of_its_own() -> None:
    ids = [id.lower() for entry in models.entries() for id in (entry.id, *entry.also)]
    assert len(ids) == len(set(ids)) == len({id.rpartition("/")[2] for id in ids})
    for entry in models.entries():
        found = entry.architecture()
        assert entry.source in found.source
        assert entry.date in found.source
        assert found.weight_bytes > 0


def test_an_image_model_is_fixed_work() -> None:
    diffusion = models.architecture("stabilityai/stable-diffusion-2-1-base")
    assert isinstance(diffusion, FixedWork)
    # "1.26B" in nota-ai's table of compressed models.
    assert diffusion.parameters == pytest.approx(1.26e9, rel=0.005)


def test_a_local_configuration_is_read_by_its_folder_or_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    by_folder = models.architecture(str(folder))
    assert by_folder == models.architecture(str(folder / "config.json"))
    assert by_folder.name == "tiny"
    assert by_folder.source == str(folder / "config.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "9" * 5000, "\ud800"])
def test_a_file_that_is_no_configuration_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"config\.json"):
        models.architecture(str(path))


@pytest.mark.parametrize("name", ["", " ", "llama-9", "a/b", "x" * 5000, "nul\0", "."])
def test_a_name_that_is_neither_model_nor_configuration_is_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        models.architecture(name)
    assert caught.value.mend


def test_the_nearest_names_are_in_the_error() -> None:
    with pytest.raises(InputError, match=r"llama-3\.1-8b"):
        models.architecture("llama3.1-8b")


def test_a_built_in_model_is_found_by_its_whole_id_only() -> None:
    tuned = models.built_in("meta-llama/Llama-3.1-8B-Instruct")
    assert tuned == models.built_in("meta-llama/Llama-3.1-8B")
    assert models.built_in("llama-3.1-8b") is None
