"""Pools of holdfast's own server: what `holdfast serve` is told, understood by the verb itself."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import re
from collections.abc import Callable
from typing import Any

import click
import pytest

from holdfast.manifests import Manifest
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan
from holdfast.model.unit import OWN_SERVER

PlanOf = Callable[..., Plan]
RenderOf = Callable[..., dict[str, Manifest]]
ExampleOf = Callable[[str], Plan]

CLUSTER: dict[str, Any] = {
    "edge": {"host": "sd21.example.com", "authentication": {"none": True}},
    "holdfast": {"image": "registry.example.com/team/holdfast:1.2.0"},
}
GPU: dict[str, Any] = {"name": "gpu", "accelerator": "a10g", "instanceType": "g5.xlarge", "framework": "eager"}
NEURON: dict[str, Any] = {
    "name": "inf2",
    "accelerator": "inferentia2",
    "instanceType": "inf2.xlarge",
    "framework": "neuronx",
}
REVISION = "0123456789abcdef" * 2 + "01234567"
BUCKET: dict[str, Any] = {"s3": "s3://models.example.com/sd21", "sha256": "9f" * 32}


def deployments(tree: dict[str, Manifest]) -> dict[str, dict[str, Any]]:
    return {path: file.object for path, file in tree.items() if path.endswith("deployment.yaml")}


def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    found = deployment["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def server(tree: dict[str, Manifest], unit: str) -> dict[str, Any]:
    found = pod(tree[f"pools/{unit}/deployment.yaml"].object)["containers"][0]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def rendered(plan_of: PlanOf, render_of: RenderOf) -> Callable[..., dict[str, Manifest]]:
    def tree(*units: dict[str, Any], source: dict[str, Any] | None = None, **cluster: Any) -> dict[str, Manifest]:
        plan = plan_of(units, weights=None if len(units) > 1 else (100,), cluster=CLUSTER | cluster)
        document = plan.fleet.model_dump(by_alias=True)
        document["spec"]["model"]["source"] = source or {}
        fleet = type(plan.fleet).model_validate(document)
        return render_of(dataclasses.replace(plan, fleet=fleet))

    return tree


Rendered = Callable[..., dict[str, Manifest]]


@pytest.mark.skipif(importlib.util.find_spec("holdfast.cli.serve") is None, reason="there is no verb `serve` yet")
def test_the_verb_understands_what_every_pool_tells_it(
    example: ExampleOf, render_of: RenderOf, rendered: Rendered
) -> None:
    serve: click.Command = importlib.import_module("holdfast.cli.serve").serve
    trees = [
        render_of(example("sd21-five-units")),
        rendered(GPU | {"maxNumSeqs": 4, "maxModelLen": 512}, NEURON, source={"revision": REVISION}),
        rendered(GPU | {"framework": "triton"}, NEURON, source=BUCKET),
    ]
    parsed = []
    for tree in trees:
        for deployment in deployments(tree).values():
            container = pod(deployment)["containers"][0]
            assert container["command"] == ["holdfast", "serve"]
            parsed.append(serve.make_context("serve", list(container["args"])).params)
    assert len(parsed) == 9
    assert {each["framework"] for each in parsed} == {"eager", "compile", "neuronx"}
    assert all(each["port"] == 8000 and each["unit"] and each["node_pool"] for each in parsed)
    assert all(each["local_only"] == each["model"].startswith("/models") for each in parsed)


@pytest.mark.parametrize(
    ("framework", "told"), [(name, told) for name, told in OWN_SERVER.items() if told != "neuronx"]
)
def test_published_names_of_frameworks_are_understood(framework: str, told: str, rendered: Rendered) -> None:
    args = server(rendered(GPU | {"framework": framework}), "gpu")["args"]
    assert {"--device=cuda", f"--framework={told}"} <= set(args)


def test_the_batch_and_the_context_are_the_units(rendered: Rendered) -> None:
    args = server(rendered(GPU | {"maxNumSeqs": 4, "maxModelLen": 512}), "gpu")["args"]
    assert {"--max-batch=4", "--max-tokens=512"} <= set(args)


def test_a_model_from_a_bucket_is_served_by_its_name_and_nothing_is_downloaded(rendered: Rendered) -> None:
    args = server(rendered(GPU, source=BUCKET), "gpu")["args"]
    assert args[0] == "/models"
    assert {"--local-only", "--served-model-name=stabilityai/stable-diffusion-2-1-base"} <= set(args)


def test_a_model_from_the_hub_has_longer_to_start(rendered: Rendered) -> None:
    fetched, downloading = (server(rendered(GPU, source=source), "gpu") for source in (BUCKET, {"revision": REVISION}))
    assert f"--revision={REVISION}" in downloading["args"] and "--local-only" not in downloading["args"]
    assert downloading["startupProbe"]["failureThreshold"] > fetched["startupProbe"]["failureThreshold"] == 180


def test_a_neuron_pool_serves_the_compiled_model_of_its_configuration_and_fetches_no_other(rendered: Rendered) -> None:
    tree = rendered(NEURON, source=BUCKET)
    model = server(tree, "inf2")["args"][0]
    assert re.fullmatch(r"/models/neuron/[0-9a-f]{12}", model)
    (fetch,) = pod(tree["pools/inf2/deployment.yaml"].object)["initContainers"]
    assert {"name": "ARTIFACTS", "value": model.removeprefix("/models/")} in fetch["env"]
    assert fetch["args"][1:] == ["download"]
    other = server(rendered(NEURON | {"maxNumSeqs": 2}, source=BUCKET), "inf2")["args"][0]
    assert other != model


def test_compiled_models_are_found_whatever_list_they_are_in(rendered: Rendered) -> None:
    lists = [BUCKET, BUCKET | {"sha256": "0a" * 32}]
    found = {server(rendered(NEURON, source=source), "inf2")["args"][0] for source in lists}
    assert len(found) == 1


def test_the_server_has_drained_before_its_pod_is_killed(rendered: Rendered) -> None:
    tree = rendered(GPU)
    found = pod(tree["pools/gpu/deployment.yaml"].object)
    (drain_s,) = re.findall(r"--drain-timeout=(\d+)s", " ".join(found["containers"][0]["args"]))
    slept_s = found["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert slept_s + int(drain_s) < found["terminationGracePeriodSeconds"]


def test_ready_and_alive_are_asked_apart(rendered: Rendered) -> None:
    found = server(rendered(GPU), "gpu")
    assert found["readinessProbe"]["httpGet"]["path"] == found["startupProbe"]["httpGet"]["path"] == "/readiness"
    assert found["livenessProbe"]["httpGet"]["path"] == "/health"


@pytest.mark.parametrize(("unit", "image"), [(GPU, "holdfast-serve-cuda"), (NEURON, "holdfast-serve-neuronx")])
def test_the_image_is_beside_the_fleets_own(unit: dict[str, Any], image: str, rendered: Rendered) -> None:
    assert server(rendered(unit), unit["name"])["image"] == f"registry.example.com/team/{image}:1.2.0"
    own = rendered(unit | {"image": "registry.example.com/mine:3"})
    assert server(own, unit["name"])["image"] == "registry.example.com/mine:3"


@pytest.mark.parametrize("own", ["registry.example.com/other:1", f"registry.example.com/holdfast@sha256:{'0' * 64}"])
def test_no_image_is_guessed(own: str, rendered: Rendered) -> None:
    with pytest.raises(InputError, match=r"no default image for framework eager.*cluster\.holdfast\.image"):
        rendered(GPU, holdfast={"image": own})


def test_a_server_that_is_not_known_keeps_its_images_command(rendered: Rendered) -> None:
    tree = rendered(GPU | {"framework": "tgi", "image": "registry.example.com/tgi:3"})
    assert not {"command", "args"} & server(tree, "gpu").keys()


@pytest.mark.parametrize(
    ("unit", "source", "said"),
    [
        (GPU | {"framework": "neuronx"}, {}, "does not run framework neuronx on a10g.*eager or compile"),
        (NEURON | {"framework": "cuda"}, {}, "does not run framework cuda on inferentia2.*set framework: neuronx"),
        (GPU | {"instanceType": "g5.12xlarge", "tensorParallel": 4}, {}, "uses one GPU"),
        (GPU, {"files": ["*.json"]}, "chooses itself which files"),
    ],
)
def test_what_cannot_be_served_is_refused(
    unit: dict[str, Any], source: dict[str, Any], said: str, rendered: Rendered
) -> None:
    with pytest.raises(InputError, match=said):
        rendered(unit, source=source)
