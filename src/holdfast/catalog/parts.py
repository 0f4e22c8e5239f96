"""The weights of a decoder, part by part: how many there are, which a token passes, which a quantisation may skip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.catalog.families import Family
from holdfast.catalog.fields import Fields


@dataclass(frozen=True)
class Part:
    """Weights of one kind.

    module:     their path in a checkpoint, from `model.layers.N.` on where they belong to layers.
    each:       weights per layer, or altogether where layers is None. layers: which have them.
    active:     share of them that one token is multiplied with.
    divided:    whether tensor parallelism divides them.
    experts:    whether they are routed experts.
    matrix:     whether a quantisation takes them at all: norms, biases and embeddings it leaves as they are.
    """

    module: str
    each: float
    layers: range | tuple[int, ...] | None = None
    active: float = 1.0
    divided: bool = True
    experts: bool = False
    matrix: bool = True

    @property
    def count(self) -> float:
        return self.each * (1 if self.layers is None else len(self.layers))


@dataclass(frozen=True)
class Shape:
    """The sizes that every decoder has."""

    layers: int
    hidden: int
    vocabulary: int
    heads: int
    kv_heads: int
    head_size: int
    tied: bool


@dataclass(frozen=True)
class Latent:
    """The sizes of multi-head latent attention. query_rank is None where queries are not compressed."""

    rank: int
    query_rank: int | None
    rope: int
    nope: int
    value: int
    index_heads: int
    index_size: int


@dataclass(frozen=True)
class Mixture:
    """The experts of a mixture: which layers have them, how many, and how large they are."""

    layers: tuple[int, ...]
    routed: int
    chosen: int
    intermediate: int
    shared: int
    shared_gate: bool
    router_bias: bool


def shape(config: Fields, family: Family) -> Shape:
    hidden = config.whole("hidden_size", "n_embed", "n_embd")
    heads = config.whole("num_attention_heads", "n_head")
    kv_heads = heads
    if family.grouped or config.has("num_key_value_heads"):
        kv_heads = config.whole("num_key_value_heads")
    if heads % kv_heads:
        raise config.error(
            f"num_key_value_heads {kv_heads:,} does not divide num_attention_heads {heads:,}", "correct one of the two"
        )
    if config.has("head_dim") or (family.default_head is not None):
        head_size = config.whole_or(family.default_head or 1, "head_dim")
    elif hidden % heads and not family.latent:
        raise config.error(
            f"num_attention_heads {heads:,} does not divide hidden_size {hidden:,}", "correct one or add head_dim"
        )
    else:
        head_size = max(1, hidden // heads)
    return Shape(
        layers=config.whole("num_hidden_layers", "n_layer", most=1_000),
        hidden=hidden,
        vocabulary=config.whole("vocab_size"),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        tied=config.flag_or(family.tied, "tie_word_embeddings"),
    )


def latent(config: Fields) -> Latent:
    return Latent(
        rank=config.whole("kv_lora_rank"),
        query_rank=config.whole("q_lora_rank") if config.has("q_lora_rank") else None,
        rope=config.whole("qk_rope_head_dim"),
        nope=config.whole("qk_nope_head_dim"),
        value=config.whole("v_head_dim"),
        index_heads=config.whole_or(0, "index_n_heads"),
        index_size=config.whole_or(0, "index_head_dim"),
    )


def mixture(config: Fields, layers: int) -> Mixture:
    """Its sizes, under the several names that the families have. Raises InputError for more chosen than there are."""
    routed = config.whole("n_routed_experts", "num_local_experts", "num_experts", most=100_000)
    chosen = config.whole("num_experts_per_tok", "experts_per_token")
    if chosen > routed:
        raise config.error(
            f"num_experts_per_tok {chosen:,} is more than the {routed:,} experts", "correct one of the two"
        )
    own = config.has("moe_intermediate_size")
    intermediate = config.whole("moe_intermediate_size" if own else "intermediate_size")
    first = config.whole_or(0, "first_k_dense_replace", least=0)
    every = config.whole_or(1, "moe_layer_freq", "decoder_sparse_step")
    offset = 1 if config.has("decoder_sparse_step") else 0
    dense = config.values.get("mlp_only_layers") or []
    if not isinstance(dense, list):
        raise config.error("mlp_only_layers is no list", "correct mlp_only_layers")
    with_experts = tuple(
        layer for layer in range(first, layers) if (layer + offset) % every == 0 and layer not in dense
    )
    shared = config.whole_or(0, "n_shared_experts", least=0) * intermediate
    return Mixture(
        layers=with_experts,
        routed=routed,
        chosen=chosen,
        intermediate=intermediate,
        shared=config.whole_or(shared, "shared_expert_intermediate_size", least=0),
        shared_gate=config.has("shared_expert_intermediate_size"),
        router_bias=config.values.get("topk_method") == "noaux_tc",
    )


def embeddings(shape: Shape) -> Iterator[Part]:
    """Both tables are divided by tensor parallelism, along the vocabulary."""
    table = float(shape.vocabulary * shape.hidden)
    yield Part("model.embed_tokens", table, active=1.0 if shape.tied else 0.0, matrix=False)
    if not shape.tied:
        yield Part("lm_head", table, matrix=False)


def norms(shape: Shape, family: Family) -> Iterator[Part]:
    yield Part("norms", family.norms * shape.hidden, range(shape.layers), divided=False, matrix=False)
    yield Part("model.norm", family.outer * shape.hidden, divided=False, matrix=False)


def grouped_attention(shape: Shape, family: Family, config: Fields) -> Iterator[Part]:
    """Queries, keys, values and the way out, with the biases and norms that the family has."""
    everywhere = range(shape.layers)
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    bias = config.flag_or(False, "attention_bias")
    vectors = 0
    if bias if family.qkv_bias is None else family.qkv_bias:
        vectors += queries + 2 * keys
    if bias if family.out_bias is None else family.out_bias:
        vectors += shape.hidden
    if family.head_norm:
        vectors += 2 * shape.head_size
    if family.sinks:
        vectors += shape.heads
    yield Part("self_attn.q_proj", shape.hidden * (2 * queries + 2 * keys), everywhere)
    yield Part("self_attn.vectors", vectors, everywhere, matrix=False)


def latent_attention(shape: Shape, sizes: Latent) -> Iterator[Part]:
    """DeepSeek-V2 (arXiv:2405.04434, section 2.1), and the indexer of DeepSeek-V3.2 where there is one.

    The projections to the latents are the same on every rank of tensor parallelism; those from them are divided.
    """
    everywhere = range(shape.layers)
    query_size = shape.heads * (sizes.nope + sizes.rope)
    down = shape.hidden * (sizes.rank + sizes.rope)
    up = sizes.rank * shape.heads * (sizes.nope + sizes.value) + shape.heads * sizes.value * shape.hidden
    vectors = sizes.rank
    if sizes.query_rank is None:
        up += shape.hidden * query_size
    else:
        down += shape.hidden * sizes.query_rank
        up += sizes.query_rank * query_size
        vectors += sizes.query_rank
    yield Part("self_attn.q_b_proj", up, everywhere)
    yield Part("self_attn.kv_a_proj_with_mqa", down, everywhere, divided=False)
    yield Part("self_attn.vectors", vectors, everywhere, divided=False, matrix=False)
    if sizes.index_heads and sizes.index_size:
        source = shape.hidden if sizes.query_rank is None else sizes.query_rank
        index = source * sizes.index_heads * sizes.index_size + shape.hidden * sizes.index_size
        yield Part("self_attn.indexer.wq_b", index, everywhere, divided=False)
        gates = shape.hidden * sizes.index_heads + 2 * sizes.index_size
        yield Part("self_attn.indexer.weights_proj", gates, everywhere, divided=False, matrix=False)


def feed_forward(shape: Shape, family: Family, intermediate: int, layers: tuple[int, ...]) -> Iterator[Part]:
    """The feed-forward of dense layers."""
    matrices = (3 if family.gated else 2) * shape.hidden * intermediate
    yield Part("mlp.gate_proj", matrices, layers)
    if family.feed_bias:
        yield Part("mlp.vectors", (2 if family.gated else 1) * intermediate + shape.hidden, layers, matrix=False)


def experts(shape: Shape, family: Family, sizes: Mixture) -> Iterator[Part]:
    """Routed and shared experts, and the router, which every rank has."""
    each = 3 * shape.hidden * sizes.intermediate
    if family.feed_bias:
        each += 2 * sizes.intermediate + shape.hidden
    share = sizes.chosen / sizes.routed
    yield Part("mlp.experts.0.gate_proj", sizes.routed * each, sizes.layers, active=share, experts=True)
    if sizes.shared:
        yield Part("mlp.shared_experts.gate_proj", 3 * shape.hidden * sizes.shared, sizes.layers)
    router = sizes.routed * (shape.hidden + (1 if family.feed_bias or sizes.router_bias else 0))
    router += shape.hidden if sizes.shared_gate else 0
    yield Part("mlp.gate", router, sizes.layers, divided=False, matrix=False)
