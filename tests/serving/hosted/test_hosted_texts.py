"""Labels and embeddings of texts: as transformers gives them, whatever else is in the batch."""

from __future__ import annotations

import concurrent.futures
import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.errors import InputError
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.predicting.configuration import configuration
from holdfast.serving.hosted.predicting.texts import Classified, Embedder, Text, TextClassifier
from holdfast.serving.hosted.predicting.tokens import Tokens
from holdfast.serving.hosted.tasks import Task
from serving.hosted import tiny_models
from serving.hosted.plain_device import PlainDevice, files

TEXTS = [
    "keep it standing",
    "a fox",
    "the quick brown fox jumps over the lazy dog; the quick brown fox",
    "zebras, 42 of them, at 3 dollars per hour!",
]
CLOSE = 2e-6
"""Of scores and of coordinates of unit vectors: float32, sums in another order."""


def classifier(folder: Path | None = None, device: PlainDevice | None = None, **bounds: int) -> TextClassifier:
    found = files(folder or tiny_models.bert_classifier(), Task.TEXT_CLASSIFICATION)
    return TextClassifier(found, device or PlainDevice(), Bounds(**bounds))


@functools.cache
def shared_classifier() -> TextClassifier:
    return classifier()


def embedder(pooling: str | None = None, device: PlainDevice | None = None) -> Embedder:
    return Embedder(files(tiny_models.bert_embedder(pooling), Task.EMBEDDINGS), device or PlainDevice(), Bounds())


def scores(classified: Classified) -> dict[str, float]:
    return {one.label: one.score for one in classified.labels}


def classify(model: TextClassifier, *texts: str) -> list[Classified]:
    return model.predict([model.prepare(Text(text)) for text in texts])


@pytest.mark.parametrize("problem", [None, "single_label_classification", "multi_label_classification", "regression"])
def test_labels_and_their_order_are_those_of_transformers_pipeline(problem: str | None) -> None:
    folder = tiny_models.bert_classifier(problem_type=problem)
    told = transformers.pipeline("text-classification", model=str(folder), top_k=None)(TEXTS)
    for ours, theirs in zip(classify(classifier(folder), *TEXTS), told, strict=True):
        assert [one.label for one in ours.labels] == [one["label"] for one in theirs]
        assert [one.score for one in ours.labels] == pytest.approx([one["score"] for one in theirs], abs=CLOSE)


def test_one_label_alone_is_scored_by_itself_and_exclusive_labels_add_up_to_1() -> None:
    alone = classify(classifier(tiny_models.bert_classifier(labels=1)), TEXTS[0])[0]
    assert 0 < alone.labels[0].score < 1
    exclusive = classify(classifier(), TEXTS[0])[0]
    assert sum(scores(exclusive).values()) == pytest.approx(1)


@settings(max_examples=20)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=8))
def test_the_rest_of_a_batch_changes_nothing(texts: list[str]) -> None:
    model = shared_classifier()
    for together, text in zip(classify(model, *texts), texts, strict=True):
        assert scores(together) == pytest.approx(scores(classify(model, text)[0]), abs=CLOSE)


@pytest.mark.parametrize("pooling", [None, "mean", "cls", "lasttoken"])
def test_embeddings_are_pooled_as_the_files_say_and_of_length_1(pooling: str | None) -> None:
    model = embedder(pooling)
    folder = tiny_models.bert_embedder(pooling)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    for embedded, text in zip(model.predict([model.prepare(Text(text)) for text in TEXTS]), TEXTS, strict=True):
        with torch.no_grad():
            states = reference(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        pooled = {None: states.mean(0), "mean": states.mean(0), "cls": states[0], "lasttoken": states[-1]}[pooling]
        assert embedded.vector.dtype == np.float32
        assert np.linalg.norm(embedded.vector) == pytest.approx(1, abs=CLOSE)
        np.testing.assert_allclose(embedded.vector, pooled / pooled.norm(), atol=CLOSE)
        assert embedded.tokens == len(states)


def test_a_language_model_embeds_by_its_last_token_in_any_batch(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_models.llama(), tmp_path / "model")
    shutil.copytree(tiny_models.bert_embedder("lasttoken") / "1_Pooling", folder / "1_Pooling")
    shutil.copy(tiny_models.bert_embedder("lasttoken") / "modules.json", folder)
    edit(folder / "tokenizer_config.json", padding_side="left")
    model = Embedder(files(folder, Task.EMBEDDINGS), PlainDevice(), Bounds())
    batch = [model.prepare(Text(text)) for text in TEXTS]
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    for embedded, one in zip(model.predict(batch), batch, strict=True):
        with torch.no_grad():
            last = reference(torch.tensor([one.ids])).last_hidden_state[0, -1]
        np.testing.assert_allclose(embedded.vector, last / last.norm(), atol=CLOSE)


def test_a_language_model_classifies_by_its_last_token_in_any_batch(tmp_path: Path) -> None:
    """It finds that by its configuration's padding, which a tokeniser need not know."""
    folder = shutil.copytree(tiny_models.bert_classifier(), tmp_path / "model")
    edit(folder / "tokenizer_config.json", pad_token=None)
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.LlamaConfig(vocab_size=400, num_labels=3, pad_token_id=399, initializer_range=1.0, **shape)
    transformers.LlamaForSequenceClassification(config).save_pretrained(folder)
    model = classifier(folder)
    for together, text in zip(classify(model, *TEXTS), TEXTS, strict=True):
        assert scores(together) == pytest.approx(scores(classify(model, text)[0]), abs=CLOSE)


def test_positions_that_are_counted_from_padding_are_not_promised(tmp_path: Path) -> None:
    """RoBERTa has positions for two tokens fewer than its configuration seems to say."""
    folder = shutil.copytree(tiny_models.bert_embedder(), tmp_path / "model")
    edit(folder / "tokenizer_config.json", model_max_length=10**30)
    config = transformers.RobertaConfig(
        vocab_size=400,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=18,
        pad_token_id=1,
    )
    transformers.RobertaModel(config).save_pretrained(folder)
    model = Embedder(files(folder, Task.EMBEDDINGS), PlainDevice(), Bounds())
    assert model.predict([model.prepare(Text((7,) * 16))])[0].tokens == 16
    with pytest.raises(RequestError, match="17 tokens; at most 16"):
        model.prepare(Text((7,) * 17))


def test_a_model_that_says_nothing_of_its_longest_text_must_be_told(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_models.bert_classifier(), tmp_path / "model")
    edit(folder / "tokenizer_config.json", model_max_length=10**30)
    edit(folder / "config.json", max_position_embeddings=-1)
    found = files(folder, Task.TEXT_CLASSIFICATION)
    with pytest.raises(InputError, match="--max-tokens"):
        Tokens(found, configuration(found), PlainDevice(), Bounds())
    assert Tokens(found, configuration(found), PlainDevice(), Bounds(max_tokens=30)).longest == 30


def test_token_ids_are_taken_as_they_are() -> None:
    model = embedder()
    of_text = model.prepare(Text("a fox"))
    assert model.prepare(Text(of_text.ids)) == of_text
    assert len(model.prepare(Text((5, 6))).ids) == 2


def test_sentence_transformers_bound_on_length_holds() -> None:
    with pytest.raises(RequestError, match="52 tokens; at most 48"):
        embedder("mean").prepare(Text("a " * 50))
    assert embedder().prepare(Text("a " * 50))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda modules: modules.append({"type": "sentence_transformers.models.Dense", "path": "3_Dense"}), "Dense"),
        (lambda modules: modules[1].update(path="max"), "pools by pooling_mode_max_tokens"),
    ],
)
def test_a_pooling_that_would_have_to_be_left_out_is_refused(
    change: Callable[[list[dict[str, str]]], None], says: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_models.bert_embedder("mean"), tmp_path / "model")
    modules = json.loads((folder / "modules.json").read_text())
    change(modules)
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "max").mkdir()
    (folder / "max" / "config.json").write_text('{"pooling_mode_max_tokens": true, "pooling_mode_cls_token": false}')
    with pytest.raises(InputError, match=says):
        Embedder(files(folder, Task.EMBEDDINGS), PlainDevice(), Bounds())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ((), "empty"),
        ("a " * 100, "102 tokens; at most 64"),  # one each, and two ends
        ("x" * 10_000, "10000 characters; at most 64 tokens"),
        (tuple([5] * 65), "65 tokens; at most 64"),
        ((5, 10**6), "1000000 is no token"),
        ((-1,), "-1 is no token"),
        ("half a \ud83d", "surrogate"),
    ],
)
def test_a_text_that_cannot_be_read_whole_is_refused_with_400(text: str | tuple[int, ...], says: str) -> None:
    with pytest.raises(RequestError, match=says) as refused:
        shared_classifier().prepare(Text(text))
    assert refused.value.status == 400
    assert refused.value.param == "input"


@settings(max_examples=100)
@given(st.one_of(st.text(st.characters(codec=None), max_size=80), st.lists(st.integers(-2, 400)).map(tuple)))
def test_any_text_is_either_refused_in_a_sentence_or_within_bounds(text: str | tuple[int, ...]) -> None:
    try:
        encoded = shared_classifier().prepare(Text(text))
    except RequestError as refused:
        assert refused.status == 400
    else:
        assert 1 <= len(encoded.ids) <= 64


def test_a_null_character_is_a_character() -> None:
    assert classify(shared_classifier(), "a\0fox")[0].tokens > 2


def test_the_servers_own_bound_is_stricter_than_the_models() -> None:
    with pytest.raises(RequestError, match="at most 8"):
        classifier(max_tokens=8).prepare(Text(TEXTS[2]))


def test_a_model_with_fixed_shapes_gets_exactly_these_and_answers_the_same() -> None:
    device = PlainDevice("neuronx", batch_size=3, sequence_length=40)
    model = classifier(device=device)
    assert model.max_batch == 3
    model.warm_up()
    fixed = classify(model, *TEXTS[:2])
    assert set(device.seen) == {(3, 40)}
    for ours, plain in zip(fixed, classify(shared_classifier(), *TEXTS[:2]), strict=True):
        assert scores(ours) == pytest.approx(scores(plain), abs=CLOSE)
    with pytest.raises(RequestError, match="at most 40"):
        model.prepare(Text("a " * 50))


def test_torch_compile_is_given_powers_of_two_all_of_them_warmed_up() -> None:
    device = PlainDevice("compile")
    model = classifier(device=device, max_batch=6)
    model.warm_up()
    warmed = set(device.seen)
    assert warmed == {(rows, length) for rows in (1, 2, 4, 6) for length in (16, 32, 64)}
    device.seen.clear()
    for text in TEXTS:
        for inputs in range(1, 7):
            classify(model, *[text] * inputs)
    assert set(device.seen) <= warmed


def test_an_eager_device_is_given_no_more_than_there_is_and_warms_up_at_the_ends() -> None:
    device = PlainDevice()
    model = classifier(device=device, max_batch=4)
    model.warm_up()
    assert device.seen == [(4, 64), (1, 64), (4, 32), (1, 32), (4, 16), (1, 16)]
    device.seen.clear()
    classify(model, "a fox", "a")
    assert device.seen == [(2, len(model.prepare(Text("a fox")).ids))]


def test_short_texts_are_not_batched_with_long_ones() -> None:
    model = shared_classifier()
    short, shorter, long = (model.shape(model.prepare(Text("a " * words))) for words in (3, 1, 30))
    assert short == shorter != long


def test_threads_share_a_tokeniser() -> None:
    model = classifier()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        encoded = list(pool.map(lambda text: model.prepare(Text(text)), TEXTS * 50))
    assert encoded == [model.prepare(Text(text)) for text in TEXTS] * 50


def edit(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
