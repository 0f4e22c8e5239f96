"""What servers are told, on GPUs and on Neuron."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

from holdfast.manifests import Manifest
from holdfast.model.plan import Plan

PlanOf = Callable[..., Plan]
RenderOf = Callable[..., dict[str, Manifest]]

INF2: dict[str, Any] = {
    "name": "inf2",
    "accelerator": "inferentia2",
    "instanceType": "inf2.48xlarge",
    "framework": "vllm-neuron",
    "tensorParallel": 8,
    "devices": 4,
    "maxNumSeqs": 8,
}
TRN2 = INF2 | {"name": "trn2", "accelerator": "trainium2", "instanceType": "trn2.48xlarge"}
GPU: dict[str, Any] = {"name": "gpu", "accelerator": "a10g", "instanceType": "g5.xlarge", "framework": "vllm"}


@pytest.fixture
def server(plan_of: PlanOf, render_of: RenderOf) -> Callable[..., dict[str, Any]]:
    def rendered(unit: dict[str, Any], **changes: Any) -> dict[str, Any]:
        pools = render_of(plan_of((unit | changes,)))
        pod = pools[f"pools/{unit['name']}/deployment.yaml"].object["spec"]["template"]["spec"]
        found = pod["containers"][0]
        assert isinstance(found, dict)
        return found

    return rendered


Server = Callable[..., dict[str, Any]]


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def additional(container: dict[str, Any]) -> dict[str, Any]:
    (argument,) = (one for one in container["args"] if one.startswith("--additional-config="))
    found = json.loads(argument.partition("=")[2])
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"tensorParallel": 4, "devices": 2},
        {"maxNumSeqs": 4},
        {"maxModelLen": 4096},
        {"image": "registry.example/vllm-neuron:1.0.0"},
        {"neuronConfig": {"enable_bucketing": False}},
        {"accelerator": "trainium", "instanceType": "trn1.32xlarge"},
    ],
)
def test_another_configuration_has_other_compiled_artifacts(changes: dict[str, Any], server: Server) -> None:
    found = [variables(server(INF2, **change))["NEURON_COMPILED_ARTIFACTS"] for change in ({}, changes)]
    assert found[0] != found[1]


def test_the_same_configuration_has_the_same_artifacts_whatever_it_is_called(server: Server) -> None:
    found = [variables(server(INF2 | {"name": name}))["NEURON_COMPILED_ARTIFACTS"] for name in ("one", "other")]
    assert found[0] == found[1]
    assert found[0].startswith("/cache/neuron/")


def test_trainium2_names_its_cache_itself(server: Server) -> None:
    found = variables(server(TRN2))
    assert "NEURON_COMPILED_ARTIFACTS" not in found
    assert found["NEURON_COMPILE_CACHE_URL"] == "/cache/neuron"


@pytest.mark.parametrize(("unit", "name"), [(INF2, "override_neuron_config"), (TRN2, "neuron_config")])
def test_settings_of_neurons_compiler_have_the_name_that_the_backend_looks_for(
    unit: dict[str, Any], name: str, server: Server
) -> None:
    assert additional(server(unit, neuronConfig={"enable_bucketing": False})) == {name: {"enable_bucketing": False}}


@pytest.mark.parametrize(("unit", "config"), [(INF2, {"enable-bucketing": False}), (GPU, {"enable_bucketing": False})])
def test_settings_that_neuron_would_not_heed_are_refused(
    unit: dict[str, Any], config: dict[str, Any], server: Server
) -> None:
    with pytest.raises(pydantic.ValidationError, match=r"neuronConfig|String should match"):
        server(unit, neuronConfig=config)


@pytest.mark.parametrize(("unit", "seconds"), [(GPU, 1800), (INF2, 3600)])
def test_vllm_waits_for_its_engine_as_long_as_the_probe_does(
    unit: dict[str, Any], seconds: int, server: Server
) -> None:
    found = server(unit)
    probe = found["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == seconds
    assert variables(found)["VLLM_ENGINE_READY_TIMEOUT_S"] == str(seconds)


def test_a_rollout_has_time_for_node_files_and_start(plan_of: PlanOf, render_of: RenderOf) -> None:
    deployment = render_of(plan_of((GPU,)))["pools/gpu/deployment.yaml"].object["spec"]
    weights_s = 1255.8e6 * 2 / 250e6
    assert deployment["progressDeadlineSeconds"] == 900 + 1800 + int(weights_s)


def test_a_server_answers_to_its_models_id_wherever_the_files_are(server: Server) -> None:
    assert "--served-model-name=stabilityai/stable-diffusion-2-1-base" in server(GPU)["args"]
