"""Our answers beside those of the real server, key by key; and what is not held to be equal, with the reason."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kube_api import scripts
from kube_api.api import Api
from kube_api.record import normalised, resolved
from kube_api.requests import Answer, Object, Request, encoded
from kube_api.watching import Subscription

RECORDED = Path(__file__).parent / "recorded"
START_S = 1_795_000_000.0

NOT_MODELLED: dict[str, str] = {
    "objects/9/body/message": "the sentence for a body of another kind is Go's",
    "objects/29/body/message": "the sentence shows the whole patched object in Go's spelling",
    "objects/29/body/details/causes/0/message": "as above",
    "workloads/22/body/message": "as above",
    "workloads/22/body/details/causes/0/message": "as above",
    "lists/11/body/message": "how a label selector is wrong is said in one way only",
    "watches/17/body/message": "how a token is wrong is not said",
    "custom/2/body/message": "the causes of an invalid object come in any order, and are compared by themselves",
    "custom/3/body/message": "as above",
    "custom/3/body/details/causes": "the real server also names the path of the scale, which it could not read",
    "custom/11/body/message": "as above",
    "custom/11/body/details/causes": "as above, and a status is checked under a path of its own",
    "defaults/0/body/spec/taints": "a new node is not tainted not-ready: no node controller would take the taint away",
    **{
        f"defaults/{step}/metadata/managedFields/1/fieldsV1/f:status/f:conditions/*/*": "nobody owns a null"
        for step in ("6/body", "7/body/items/0", "8/body", "9/body")
    },
}
"""What is not compared: script, number of the step, and where in the answer (a `*` is any one key); and why."""


def transcript(name: str) -> list[Object]:
    found: list[Object] = json.loads((RECORDED / f"{name}.json").read_text())["steps"]
    return found


def replayed(steps: list[Object]) -> list[Object]:
    """The same steps with the answers of our server."""
    api = Api([scripts.DEFINITION], now_s=START_S)
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scripts.NAMESPACE}}, START_S)
    answers: dict[str, Any] = {}
    played = []
    for n, step in enumerate(steps):
        asked = step["asked"]
        answer = _ask(api, asked, answers, START_S + n)
        if asked.get("name"):
            answers[asked["name"]] = answer["body"]
        played.append({"asked": asked, "answered": answer})
    return normalised(copy.deepcopy(played))


def _ask(api: Api, asked: Object, answers: dict[str, Any], now_s: float) -> Object:
    if asked["method"] == "COMPACT":
        api.compact()
        return {"status": 0, "body": None}
    if asked["method"] == "GONE":
        for _ in range(5):
            api.collect(now_s)
        answer = api.handle(Request("GET", asked["path"]), now_s)
        assert isinstance(answer, Answer)
        return {"status": answer.status, "body": None}
    body = resolved(asked.get("body"), answers)
    request = Request(
        asked["method"],
        asked["path"],
        resolved(asked.get("query", {}), answers),
        {"content-type": asked["content"], "user-agent": "recorder/1"},
        b"" if body is None else encoded(body),
    )
    answer = api.handle(request, now_s)
    if isinstance(answer, Subscription):
        lines = answer.take(now_s)
        api.forget(answer)
        return {"status": 200, "events": [json.loads(line) for line in lines]}
    told: Object = {"status": answer.status}
    if "warning" in answer.headers:
        told["warning"] = answer.headers["warning"]
    try:
        return told | {"body": answer.json}
    except ValueError:
        return told | {"body": answer.body.decode()}


def differences(real: Any, ours: Any, path: str) -> Iterator[str]:
    """One line for each value that is not the same. path: script and number of the step, and below."""
    if _excused(path) or real == ours:
        return
    if isinstance(real, dict) and isinstance(ours, dict):
        for name in real | ours:
            yield from differences(real.get(name, "<absent>"), ours.get(name, "<absent>"), f"{path}/{name}")
    elif isinstance(real, list) and isinstance(ours, list) and len(real) == len(ours):
        for n, (one, other) in enumerate(zip(real, ours, strict=True)):
            yield from differences(one, other, f"{path}/{n}")
    else:
        yield f"{path}: real {json.dumps(real)} ours {json.dumps(ours)}"


def _excused(path: str) -> bool:
    parts = path.split("/")
    return any(_matches(pattern.split("/"), parts) for pattern in NOT_MODELLED)


def _matches(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(a in ("*", b) for a, b in zip(pattern, parts, strict=True))
