"""Bodies of the post API: placeholders in JSON, filled in with correct escaping."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.fleet import Workload
from holdfast.model.template import Template

TEXT = st.text().filter(lambda text: "{" not in text)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def filled(body: Any, prompt: str = "hi", model: str = "m") -> Any:
    return json.loads(Template.of(body).fill(prompt=prompt, model=model, max_tokens=80, seed=7))


def test_placeholders_in_strings_are_replaced() -> None:
    body = {"inputs": [{"text": "Say: {prompt}!"}], "model": "{model}", "steps": 25}
    assert filled(body) == {"inputs": [{"text": "Say: hi!"}], "model": "m", "steps": 25}


def test_a_string_that_is_only_a_number_placeholder_becomes_a_number() -> None:
    body = {"n": "{max_tokens}", "seed": "{seed}", "both": "{max_tokens} {seed}", "quoted": '"{max_tokens}"'}
    assert filled(body) == {"n": 80, "seed": 7, "both": "80 7", "quoted": '"80"'}


@pytest.mark.parametrize("edge", ['"{max_tokens}', '{max_tokens}"', '\\"{seed}', "\\{seed}"])
def test_quotes_and_backslashes_beside_a_placeholder_stay_text(edge: str) -> None:
    assert filled({"a": edge}) == {"a": edge.replace("{max_tokens}", "80").replace("{seed}", "7")}


def test_doubled_braces_stand_for_the_text_itself() -> None:
    assert filled({"a": "{{prompt}} and {{anything}}"}) == {"a": "{prompt} and {anything}"}


def test_braces_without_a_name_are_left_alone() -> None:
    body = {"a": "{}", "b": "{ prompt }", "c": {"d": {}}, "e": "{1}"}
    assert filled(body) == body


def test_an_unknown_placeholder_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"the placeholder \{promt\}; known are \{prompt\}, \{model\}"):
        Template.of({"a": "{promt}"})


@given(prompt=st.text(), model=st.text())
def test_any_text_arrives_as_it_is(prompt: str, model: str) -> None:
    body = {"a": "<{prompt}>", "b": ["{model}"]}
    assert filled(body, prompt, model) == {"a": f"<{prompt}>", "b": [model]}


@given(body=JSON)
def test_a_body_without_placeholders_is_sent_as_it_is(body: Any) -> None:
    assert filled(body) == body


@pytest.mark.parametrize(
    ("body", "alone"),
    [
        ({"prompt": "{prompt}"}, True),
        ({"inputs": ["{prompt}"]}, True),
        ({"prompt": "Say {prompt}"}, False),
        ({"prompt": '"{prompt}"'}, False),
        ({"a": "{prompt}", "b": "{prompt}"}, False),
        ({"a": 1}, False),
    ],
)
def test_the_length_of_a_body_is_known_where_the_prompt_stands_alone(body: Any, alone: bool) -> None:
    assert Template.of(body).asks_the_prompt_alone == alone


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        ({"api": "post"}, "the post API needs a path and a body"),
        ({"api": "post", "path": "generate", "body": {}}, "'generate' is not a path; it begins with /"),
        ({"api": "post", "path": "/a b", "body": {}}, "'/a b' is not a path"),
        ({"api": "post", "path": "/g", "body": {"a": "{name}"}}, "the placeholder {name}"),
        ({"api": "post", "path": "/g", "body": {"a": "{prompt}"}}, "inputTokens does not say how long it is"),
        ({"api": "post", "path": "/g", "body": {"a": "{max_tokens}"}}, "outputTokens does not say how long it is"),
        ({"api": "chat", "path": "/g"}, "the chat API has its own path and body"),
        ({"api": "embeddings"}, "the embeddings API needs inputTokens"),
        (
            {"api": "embeddings", "inputTokens": {"mean": 5}, "outputTokens": {"mean": 5}},
            "the embeddings API has no outputTokens",
        ),
        (
            {"api": "embeddings", "inputTokens": {"mean": 5, "min": 9, "max": 3}},
            "the min of 9 tokens is above the max of 3",
        ),
        ({"api": "embeddings", "inputTokens": {"mean": 5, "min": 9}}, "the mean of 5 tokens is not between"),
    ],
)
def test_a_workload_that_cannot_be_asked_is_one_sentence(workload: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        Workload.model_validate(workload)
    assert said in str(caught.value)


def test_requests_go_to_the_path_of_their_api_or_their_own() -> None:
    own = Workload.model_validate({"api": "post", "path": "/generate", "body": {"steps": 25}})
    assert own.request_path == "/generate"
    assert Workload.model_validate({"api": "images"}).request_path == "/v1/images/generations"
