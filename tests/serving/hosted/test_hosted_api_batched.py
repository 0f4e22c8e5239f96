"""Embeddings, classes, objects and images, as clients ask for them."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.tasks import Task
from serving.hosted.doubles import PNG
from serving.hosted.running import Running, running, until


@pytest.fixture(scope="module")
def embeddings() -> Iterator[Running]:
    with running(Task.EMBEDDINGS) as run:
        yield run


@pytest.fixture(scope="module")
def classes() -> Iterator[Running]:
    with running(Task.TEXT_CLASSIFICATION) as run:
        yield run


@pytest.fixture(scope="module")
def objects() -> Iterator[Running]:
    with running(Task.OBJECT_DETECTION) as run:
        yield run


@pytest.fixture(scope="module")
def images() -> Iterator[Running]:
    with running(Task.TEXT_TO_IMAGE) as run:
        yield run


@pytest.mark.parametrize(
    ("given", "tokens"),
    [("a b", [2]), (["a", "b c"], [1, 2]), ([5, 6, 7], [3]), ([[5, 6], [7]], [2, 1])],
)
def test_embeddings_take_texts_and_token_ids_alone_and_in_lists(
    embeddings: Running, given: object, tokens: list[int]
) -> None:
    answer = embeddings.post("/v1/embeddings", input=given).json()
    assert [one["embedding"] for one in answer["data"]] == [[1.0, float(count), -0.5] for count in tokens]
    assert [one["index"] for one in answer["data"]] == list(range(len(tokens)))
    assert answer["usage"] == {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens)}


def test_embeddings_in_base64_are_little_endian_floats(embeddings: Running) -> None:
    answer = embeddings.post("/v1/embeddings", input="a b", encoding_format="base64").json()
    vector = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), dtype="<f4")
    assert vector.tolist() == [1.0, 2.0, -0.5]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", 5]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": ["a"] * 300}, "input"),  # more than could ever wait at once
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "dimensions": 2}, "dimensions"),
    ],
)
def test_embeddings_that_cannot_be_made_are_refused(embeddings: Running, fields: dict[str, object], param: str) -> None:
    answer = embeddings.post("/v1/embeddings", **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_one_refused_input_refuses_the_request_and_gives_the_others_up() -> None:
    with running(Task.EMBEDDINGS, bounds=Bounds(max_batch=1, max_queued=3), step_s=0.05) as run:
        assert run.post("/v1/embeddings", input=["a", "b", "c"]).status_code == 200
        held = run.hand.done
        answer = run.post("/v1/embeddings", input=["a", "b", "c", "d"])
        assert answer.status_code == 400
        assert run.hand.done == held


def test_classes_are_worded_as_vllm_s_with_probabilities_in_the_model_s_order(classes: Running) -> None:
    answer = classes.post("/classify", input=["a b", "c"]).json()
    assert answer["data"][1] == {
        "index": 1,
        "label": "stormy",
        "probs": [0.25, 0.75],
        "num_classes": 2,
        "scores": [{"label": "stormy", "score": 0.75}, {"label": "calm", "score": 0.25}],
    }
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}


def test_an_image_is_taken_as_it_is_or_in_base64(objects: Running) -> None:
    plain = objects.client.post("/detect", content=PNG, headers={"content-type": "image/png"})
    text = base64.b64encode(PNG).decode()
    for sent in (text, f"data:image/png;base64,{text}"):
        assert objects.client.post("/detect", json={"image": sent}).json() == plain.json()
    assert plain.json() == {
        "model": "kelp/double",
        "width": 64,
        "height": 48,
        "data": [{"label": "otter", "score": 0.9, "box": {"xmin": 1.0, "ymin": 2.0, "xmax": 3.0, "ymax": 4.0}}],
    }


def test_objects_are_told_from_the_threshold_on(objects: Running) -> None:
    kind = {"content-type": "image/png"}
    found = objects.client.post("/detect?threshold=0.3", content=PNG, headers=kind).json()["data"]
    assert [one["label"] for one in found] == ["otter", "urchin"]
    for wrong in ("2", "nan", "much"):
        refused = objects.client.post(f"/detect?threshold={wrong}", content=PNG, headers=kind)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "threshold")


def test_the_labels_of_an_image_come_with_the_likeliest_first() -> None:
    with running(Task.IMAGE_CLASSIFICATION) as run:
        kind = {"content-type": "application/octet-stream"}
        answer = run.client.post("/classify-image?top_k=1", content=PNG, headers=kind)
        assert answer.json() == {"model": "kelp/double", "data": [{"label": "calm", "score": 0.9}]}


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"GIF89a", "image/png", 400),
        (b"", "image/png", 400),
        (PNG, "image/gif", 415),
        (PNG, "multipart/form-data; boundary=a", 415),
        (PNG, "", 415),
        (b'{"image": "?"}', "application/json", 400),
        (b'{"image": ""}', "application/json", 400),
        (b'{"picture": "aaaa"}', "application/json", 400),
        (b'{"image": "aaaa", "model": "other"}', "application/json", 404),
    ],
)
def test_what_is_no_image_is_refused(objects: Running, content: bytes, kind: str, status: int) -> None:
    answer = objects.client.post("/detect", content=content, headers={"content-type": kind} if kind else {})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_images_are_made_with_a_seed_each(images: Running) -> None:
    fields = {"prompt": "kelp", "n": 2, "size": "64x64", "steps": 2, "seed": 5, "negative_prompt": "sand"}
    answer = images.post("/v1/images/generations", **fields).json()
    assert [one["seed"] for one in answer["data"]] == [5, 6]
    assert base64.b64decode(answer["data"][0]["b64_json"]).startswith(PNG)
    second = images.post("/v1/images/generations", **fields | {"n": 1, "seed": 6}).json()
    assert second["data"][0]["b64_json"] == answer["data"][1]["b64_json"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", "64"), ("n", 11), ("response_format", "url"), ("steps", 0), ("guidance", -1), ("quality", "hd")],
)
def test_images_that_cannot_be_made_are_refused(images: Running, name: str, value: object) -> None:
    answer = images.post("/v1/images/generations", **{"prompt": "kelp", name: value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)


def test_the_seeds_way_to_ask_for_an_image_is_understood(images: Running) -> None:
    answer = images.client.post("/genimage", json={"prompt": "kelp"}).json()
    assert (answer["prompt"], 0 < answer["latency"] < 20) == ("kelp", True)
    assert base64.b64decode(answer["response"]).startswith(PNG)
    assert images.client.post("/genimage", json={"prompt": " "}).status_code == 400


def test_a_client_that_leaves_gives_up_all_its_images() -> None:

    with running(Task.TEXT_TO_IMAGE, step_s=5.0) as run:
        body = json.dumps({"model": "double", "prompt": "a", "n": 3})
        connection = http.client.HTTPConnection(run.client.base_url.host, run.client.base_url.port)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/images/generations", body, {"content-type": "application/json"})
            until(lambda: run.hand.held == 3)
        until(lambda: run.hand.given_up == 3)


@pytest.mark.parametrize(
    ("task", "counted"),
    [
        (Task.TEXT_TO_IMAGE, "steps"),
        (Task.TEXT_GENERATION, "tokens"),
        (Task.EMBEDDINGS, "inputs"),
        (Task.OBJECT_DETECTION, "inputs"),
    ],
)
def test_the_seeds_load_goes_through_the_queue_and_tells_percentiles_in_seconds(task: Task, counted: str) -> None:
    with running(task, step_s=0.01) as run:
        answer = run.client.get("/load/3/infer/2").json()
        assert (answer["runs"], answer[counted]) == (3, 2)
        assert run.hand.done == 3 * (2 if counted == "inputs" else 1)
        assert 0.01 <= answer["latency_s"]["p0"] <= answer["latency_s"]["p50"] <= answer["latency_s"]["p100"] < 5
        assert f"P50={answer['latency_s']['p50'] * 1000:.1f}ms" in answer["message"]
        for path, param in (("/load/0/infer/1", "n"), ("/load/1001/infer/1", "n"), ("/load/1/infer/x", "m")):
            refused = run.client.get(path)
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
        if counted != "steps":
            assert run.client.get("/load/1/infer/4000").status_code == 400
