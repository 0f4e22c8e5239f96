"""Reading a Hugging Face `config.json` as a ModelArchitecture."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.catalog import parts, quantisation
from holdfast.catalog.families import FAMILIES, Family, Window
from holdfast.catalog.fields import Fields, shown
from holdfast.model.architecture import ModelArchitecture

_INDEX_SCALE_BYTES = 4


def read(values: Mapping[str, object], *, name: str, where: str, source: str) -> ModelArchitecture:
    """The architecture that a `config.json` describes; of a model that also sees, its text part alone.

    Raises InputError naming the field for a family that is not known, a field that is missing, or a number that
    cannot be. Layers that only guess further tokens (`num_nextn_predict_layers`) are not counted.
    """
    config = Fields(values, where)
    if config.has("text_config"):
        inner = dict(config.part("text_config").values)
        for key in ("torch_dtype", "dtype", "quantization_config"):
            inner.setdefault(key, values.get(key))
        config = Fields(inner, where)
    kind = config.text("model_type")
    if kind not in FAMILIES:
        raise config.error(f"model_type {shown(kind)} is not known", f"known: {', '.join(FAMILIES)}")
    return _architecture(config, FAMILIES[kind], name, source)


def _architecture(config: Fields, family: Family, name: str, source: str) -> ModelArchitecture:
    shape = parts.shape(config, family)
    latent = parts.latent(config) if family.latent else None
    mixture = parts.mixture(config, shape.layers) if family.mixture else None
    with_experts = mixture.layers if mixture else ()
    dense = tuple(layer for layer in range(shape.layers) if layer not in set(with_experts))
    intermediate = _intermediate(config, shape) if dense else 0
    attention = parts.latent_attention(shape, latent) if latent else parts.grouped_attention(shape, family, config)
    listed = [
        *parts.embeddings(shape),
        *parts.norms(shape, family),
        *attention,
        *(parts.feed_forward(shape, family, intermediate, dense) if dense else ()),
        *(parts.experts(shape, family, mixture) if mixture else ()),
    ]
    if family.head_bias:
        listed.append(parts.Part("lm_head.bias", shape.vocabulary, matrix=False))
    stored = quantisation.read(config)
    whole = [part for part in listed if not part.divided]
    per_token = mixture.chosen * mixture.intermediate + mixture.shared if mixture else 0
    window_tokens, window_layers = _windows(config, family, shape.layers)
    return ModelArchitecture(
        name=name,
        parameters=sum(part.count for part in listed),
        active_parameters=sum(part.count * part.active for part in listed),
        expert_parameters=sum(part.count for part in listed if part.experts),
        plain_parameters=sum(map(stored.plain, listed)),
        embedding_parameters=sum(part.count for part in parts.embeddings(shape)),
        replicated_bytes=sum(
            stored.plain(part) * 2 + (part.count - stored.plain(part)) * stored.weights.bytes for part in whole
        ),
        layers=shape.layers,
        hidden_size=shape.hidden,
        intermediate_size=max(intermediate, per_token),
        vocabulary_size=shape.vocabulary,
        heads=shape.heads,
        kv_heads=1 if latent else shape.kv_heads,
        head_size=latent.nope + latent.rope if latent else shape.head_size,
        kv_numbers=_latent_numbers(latent, stored) if latent else 2 * shape.kv_heads * shape.head_size,
        latent_kv=latent is not None,
        window_tokens=window_tokens,
        window_layers=window_layers,
        experts=mixture.routed if mixture else 0,
        active_experts=mixture.chosen if mixture else 0,
        expert_layers=len(with_experts),
        weight_dtype=stored.weights,
        kv_dtype=stored.cache,
        max_length=config.whole("max_position_embeddings", "seq_length", "n_positions"),
        source=source,
    )


def _intermediate(config: Fields, shape: parts.Shape) -> int:
    if config.values.get("model_type") == "bloom":
        return config.whole_or(4 * shape.hidden, "n_inner", "intermediate_size")
    return config.whole("intermediate_size")


def _latent_numbers(latent: parts.Latent, stored: quantisation.Quantisation) -> int:
    """The latent and its rotary part; of an indexer its key in fp8 with a scale of 4 bytes (vLLM's indexer cache)."""
    index_bytes = latent.index_size + _INDEX_SCALE_BYTES if latent.index_size else 0
    return latent.rank + latent.rope + round(index_bytes / stored.cache.bytes)


def _windows(config: Fields, family: Family, layers: int) -> tuple[int | None, int]:
    """Tokens of the sliding window, and how many layers have one."""
    kinds = config.texts("layer_types")
    if kinds and len(kinds) != layers:
        raise config.error(f"layer_types has {len(kinds):,} entries for {layers:,} layers", "correct one of the two")
    unknown = sorted(set(kinds) - {"full_attention", "sliding_attention"})
    if unknown:
        raise config.error(
            f"layer_types has {shown(unknown[0])}, which is not known", "known: full_attention, sliding_attention"
        )
    if not config.has("sliding_window") or not config.flag_or(True, "use_sliding_window"):
        return None, 0
    count = kinds.count("sliding_attention") if kinds else _window_layers(config, family.window, layers)
    return (config.whole("sliding_window"), count) if count else (None, 0)


def _window_layers(config: Fields, window: Window, layers: int) -> int:
    match window:
        case Window.NONE:
            return 0
        case Window.EVERY:
            return layers
        case Window.UPPER:
            if not config.has("use_sliding_window"):
                return 0
            return max(0, layers - config.whole("max_window_layers", least=0))
        case Window.EVEN:
            return (layers + 1) // 2
        case Window.FIVE_OF_SIX:
            return layers - layers // config.whole_or(6, "sliding_window_pattern")
