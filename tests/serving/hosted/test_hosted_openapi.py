"""The description of the API fits what is served."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from holdfast.serving.hosted.tasks import Task
from serving.hosted.running import running


@pytest.mark.parametrize("task", list(Task))
def test_every_reference_resolves_and_every_example_is_understood(task: Task) -> None:
    with running(task) as run:
        document = run.client.get("/openapi.json").json()
        for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)):
            assert name in document["components"]["schemas"]
        bodies: list[tuple[str, Any]] = [
            (path, operations["post"]["requestBody"]["content"]["application/json"])
            for path, operations in document["paths"].items()
            if "post" in operations
        ]
        assert bodies
        for path, body in bodies:
            answer = run.client.post(path, json=body["example"])
            # Base64 of an image is too long for an example, and cut short.
            assert answer.status_code == (400 if "image" in body["example"] else 200)


def test_every_field_says_what_it_must_be() -> None:
    with running(Task.TEXT_GENERATION) as run:
        schemas = run.client.get("/openapi.json").json()["components"]["schemas"]
        for name in ("CompletionBody", "ChatBody"):
            assert all(field["description"] for field in schemas[name]["properties"].values())
