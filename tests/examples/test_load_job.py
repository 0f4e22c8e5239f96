"""The example of a load that several pods send: its objects are valid, and holdfast takes their arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from holdfast.cli import load, merge
from holdfast.load.shards import Shard
from holdfast.model.errors import InputError

FOLDER = Path(__file__).parents[2] / "examples" / "load-job"
OBJECTS: list[dict[str, Any]] = [
    found for name in ("job.yaml", "merge.yaml") for found in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
]


def arguments(job: dict[str, Any], index: int = 0) -> list[str]:
    """What the container of the pod with this index is given, after Kubernetes and the reader filled it in."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    filled = {"$(JOB_COMPLETION_INDEX)": str(index), "START_AT": "2026-11-21T10:00:00Z"}
    verb, *words = container["args"]
    for old, new in filled.items():
        words = [word.replace(old, new) for word in words]
    return [verb, *words]


@pytest.mark.parametrize("found", OBJECTS, ids=lambda found: found["metadata"]["name"])
def test_every_object_is_valid(found: dict[str, Any]) -> None:
    kubernetes_validate.validate(found, "1.33", strict=True)


def test_the_pods_send_the_shards_of_one_load_and_the_last_job_merges_their_runs() -> None:
    _, job, last = OBJECTS
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed" and spec["parallelism"] == spec["completions"]
    parsed = []
    for index in range(spec["completions"]):
        verb, *words = arguments(job, index)
        assert verb == "load"
        parsed.append(load.load.make_context("load", words).params)
    assert tuple(found["shard"] for found in parsed) == Shard().split(4)
    assert len({found["seed"] for found in parsed}) == 1
    verb, *words = arguments(last)
    with merge.merge.make_context(verb, words) as context:
        assert context.params["shards"] == tuple(found["out"] for found in parsed)


def test_a_time_that_was_not_filled_in_is_refused() -> None:
    _, job, _ = OBJECTS
    (container,) = job["spec"]["template"]["spec"]["containers"]
    words = [word.replace("$(JOB_COMPLETION_INDEX)", "0") for word in container["args"][1:]]
    with pytest.raises(InputError, match="'START_AT' is no time to start at"):
        load.load.make_context("load", words)
