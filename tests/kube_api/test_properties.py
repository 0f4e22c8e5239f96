"""What holds for any history: watches tell all of it, applies give what they say, equal runs are equal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_api import fields, quantities, scripts, shapes
from kube_api.api import Api
from kube_api.faults import Seeded
from kube_api.requests import Answer, Object, Request, encoded
from kube_api.watching import Subscription

DEFAULT = "/api/v1/namespaces/default/configmaps"
NAMES = st.sampled_from("abc")
DATA = st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3)
WRITE = st.tuples(st.sampled_from(["apply", "merge", "delete", "compact"]), NAMES, st.sampled_from(["m", "n"]), DATA)


def ask(api: Api, method: str, path: str, body: Any = None, content: str = "", **query: str) -> Answer:
    raw = b"" if body is None else encoded(body)
    answer = api.handle(Request(method, path, query, {"content-type": content}, raw), 0.0)
    assert isinstance(answer, Answer)
    return answer


def write(api: Api, how: str, name: str, manager: str, data: Object) -> None:
    path = f"{DEFAULT}/{name}"
    match how:
        case "apply":
            body = scripts.config(name, data)
            ask(api, "PATCH", path, body, scripts.APPLY, fieldManager=manager, force="true")
        case "merge":
            ask(api, "PATCH", path, {"data": data}, scripts.MERGE)
        case "delete":
            ask(api, "DELETE", path)
        case "compact":
            api.compact()


def listed(api: Api) -> tuple[dict[str, Object], str]:
    found = ask(api, "GET", DEFAULT).json
    return {item["metadata"]["name"]: item for item in found["items"]}, found["metadata"]["resourceVersion"]


@settings(max_examples=50)
@given(st.lists(st.one_of(WRITE, st.just(None)), max_size=25))
def test_who_lists_and_watches_knows_what_is_there(history: list[tuple[str, str, str, Object] | None]) -> None:
    """None: the client reads its stream, breaks it and resumes at the version that it knows, or lists anew."""
    api = Api()
    known, version = listed(api)
    for step in [*history, None, None]:
        if step is not None:
            write(api, *step)
            continue
        stream = api.handle(Request("GET", DEFAULT, {"watch": "1", "resourceVersion": version}), 0.0)
        assert isinstance(stream, Subscription)
        for line in stream.take(0.0):
            event = json.loads(line)
            if event["type"] == "ERROR":
                assert event["object"]["code"] == 410
                known, version = listed(api)
                break
            version = event["object"]["metadata"]["resourceVersion"]
            event["object"].pop("kind"), event["object"].pop("apiVersion")
            name = event["object"]["metadata"]["name"]
            if event["type"] == "DELETED":
                del known[name]
            else:
                known[name] = event["object"]
        api.forget(stream)
    assert known == listed(api)[0]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["m", "n"]), DATA.filter(bool)), min_size=1, max_size=8))
def test_an_object_holds_what_its_appliers_last_said_and_nothing_else(applies: list[tuple[str, Object]]) -> None:
    """Of maps that are not empty: one that is, is a field of its own, and a conflict on a real server too."""
    api = Api()
    said: dict[str, Object] = {}
    for manager, data in applies:
        write(api, "apply", "a", manager, data)
        # By force, so what another says otherwise is no longer his; what he says equally is both's.
        said = {who: {k: v for k, v in his.items() if data.get(k, v) == v} for who, his in said.items()}
        said[manager] = data
    found = ask(api, "GET", f"{DEFAULT}/a").json
    assert found.get("data", {}) == {key: value for his in said.values() for key, value in his.items()}
    again = ask(
        api, "PATCH", f"{DEFAULT}/a", scripts.config("a", applies[-1][1]), scripts.APPLY, fieldManager=applies[-1][0]
    )
    assert again.json["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]


JSON = st.recursive(
    st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@settings(max_examples=40)
@given(JSON)
def test_field_sets_survive_being_written(value: Any) -> None:
    found = fields.of({"data": value}, shapes.Shape({}, typed=False))
    assert fields.decode(json.loads(json.dumps(fields.encode(found)))) == found


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        (1000, "1k"),
        ("1e3", "1k"),
        ("0", "0"),
        ("16Gi", "16Gi"),
        ("none", "none"),
    ],
)
def test_quantities_are_written_as_the_server_writes_them(said: str | int, kept: str) -> None:
    assert quantities.canonical(said) == kept


def test_equal_seeds_are_equal_faults() -> None:
    requests = [Request("GET", DEFAULT, {"watch": "1"} if n % 3 else {}) for n in range(200)]
    first, second = Seeded(7, 0.3), Seeded(7, 0.3)
    assert [first(request) for request in requests] == [second(request) for request in requests]
    assert first.count == second.count > 30
