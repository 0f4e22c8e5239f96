"""The InferenceFleet resource on a real API server: takes every fleet here, refuses nonsense, and keeps what it took.

Run by `make test-cluster KUBECONFIG=...`: the definition is applied there, and nothing else is written for good.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.manifests.operator import resource_definition
from holdfast.model import document
from manifests.fleet_nonsense import BROKEN_RULES, NONSENSE

CLUSTER = os.environ.get("HOLDFAST_TEST_KUBECONFIG", "")
EXAMPLES = Path(__file__).parents[2] / "examples"
FLEETS = sorted([*EXAMPLES.glob("deploy/*.yaml"), *EXAMPLES.glob("*/fleet.yaml")])
ANY = EXAMPLES / "deploy" / "gpt-oss-20b-g5.yaml"

pytestmark = pytest.mark.cluster


def kubectl(*arguments: str, given: Any = None) -> subprocess.CompletedProcess[str]:
    text = None if given is None else json.dumps(given)
    command = ["kubectl", f"--kubeconfig={CLUSTER}", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)


def read(file: Path) -> dict[str, Any]:
    """A fleet of that file, in a namespace that every cluster has."""
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found | {"metadata": found["metadata"] | {"namespace": "default"}}


def taken(fleet: Any) -> subprocess.CompletedProcess[str]:
    return kubectl("apply", "--server-side", "--dry-run=server", "--output=json", "--filename=-", given=fleet)


@pytest.fixture(scope="module", autouse=True)
def definition() -> None:
    made = resource_definition.manifest("crd.yaml").object
    done = kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=made)
    assert done.returncode == 0, done.stderr
    kubectl("wait", "--for=condition=Established", "--timeout=20s", f"crd/{made['metadata']['name']}")
    last = time.monotonic() + 20
    while taken(read(ANY)).returncode != 0 and time.monotonic() < last:
        time.sleep(0.2)


@pytest.mark.parametrize("file", FLEETS, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_every_example_is_taken_and_reads_back_as_it_was_written(file: Path) -> None:
    answer = taken(read(file))
    assert answer.returncode == 0, answer.stderr
    written = document.read_declared(yaml.safe_dump(read(file)), where=str(file))
    assert document.declared_object(json.loads(answer.stdout)) == written


@pytest.mark.parametrize("nonsense", [*NONSENSE, *BROKEN_RULES])
def test_nonsense_is_refused(nonsense: str) -> None:
    fleet = read(ANY)
    (NONSENSE | BROKEN_RULES)[nonsense](fleet["spec"])
    # Not by server-side apply, which refuses some for its own reasons before they are validated.
    answer = kubectl("create", "--dry-run=server", "--filename=-", given=fleet)
    assert "is invalid" in answer.stderr
