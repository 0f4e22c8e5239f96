"""Our calls of optimum-neuron fit its source, as the table read from it has it; and so does the fake that tests use."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from holdfast.serving.hosted.devices import neuron_library
from serving.hosted import fake_neuron
from serving.hosted.neuron_interface import TABLE

SOURCE = json.loads(TABLE.read_text(encoding="utf-8"))
CLASSES, FUNCTIONS = SOURCE["classes"], SOURCE["functions"]
TRACED = [
    name for name, kind in neuron_library.Neuron.__annotations__.items() if str(kind).endswith("TracedModelClass")
]


def _ours(protocol: Any, method: str) -> list[str]:
    parameters = inspect.signature(getattr(protocol, method)).parameters.values()
    return [one.name for one in parameters if one.name != "self" and one.kind is not one.VAR_KEYWORD]


def _theirs(said: str) -> set[str]:
    return {name.rstrip("=") for name in said.split()} - {"**"}


def _required(said: str) -> set[str]:
    return {name for name in said.split() if not name.endswith("=")} - {"**"}


def test_the_table_is_of_the_series_that_the_server_speaks_to() -> None:
    from holdfast.serving.hosted.devices.choose import OPTIMUM_NEURON

    assert SOURCE["source"][0]["wheel"].startswith(f"optimum_neuron-{OPTIMUM_NEURON}.")


def test_every_class_that_is_used_is_exported() -> None:
    assert set(neuron_library.Neuron.__annotations__) <= set(SOURCE["exported"]["optimum.neuron"])
    exporters = {name for name in vars(neuron_library.Exporters) if not name.startswith("_")}
    assert exporters == set(SOURCE["exported"]["optimum.exporters.neuron"]) & set(FUNCTIONS)


@pytest.mark.parametrize("name", TRACED)
def test_loading_what_was_traced_fits(name: str) -> None:
    said = CLASSES[name]["methods"]["from_pretrained"]

    assert set(_ours(neuron_library.TracedModelClass, "from_pretrained")) <= _theirs(said)
    assert _required(said) == {"model_id"}


@pytest.mark.parametrize("method", ["from_pretrained", "get_neuron_config", "export"])
def test_calls_of_the_class_of_language_models_fit(method: str) -> None:
    said = CLASSES["NeuronModelForCausalLM"]["methods"][method]
    behind = " ".join(CLASSES["NxDModelForCausalLM"]["methods"][one] for one in ("_from_pretrained", "_export"))
    # Others (**) are passed on to the class that is behind.
    taken = _theirs(said) | (_theirs(behind) if "**" in said else set())

    ours = _ours(neuron_library.CausalModelClass, method)
    assert set(ours) <= taken
    assert _required(said) <= set(ours)
    assert ours[: len(_required(said))] == said.split()[: len(_required(said))]  # those we give by position


@pytest.mark.parametrize("method", ["forward", "save_pretrained"])
def test_calls_of_a_language_model_fit(method: str) -> None:
    said = CLASSES["NxDModelForCausalLM"]["methods"][method]
    ours = _ours(neuron_library.CausalModel, method)

    assert _required(said) <= set(ours) <= _theirs(said)


def test_what_is_read_of_a_compiled_configuration_is_there() -> None:
    read = set(neuron_library.NeuronConfig.__annotations__)
    assert read <= set(CLASSES["NxDNeuronConfig"]["attributes"].split())
    assert set(vars(fake_neuron.neuron_config(1, 8))) <= set(CLASSES["NxDNeuronConfig"]["attributes"].split())


@pytest.mark.parametrize("function", ["main_export", "normalize_diffusers_input_shapes"])
def test_calls_of_the_exporter_fit(function: str) -> None:
    said = FUNCTIONS[function]["parameters"]
    ours = _ours(neuron_library.Exporters, function)

    assert set(ours) <= _theirs(said)
    assert ours[: len(_required(said))] == said.split()[: len(_required(said))]


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        (fake_neuron.FakeCausalModel.forward, CLASSES["NxDModelForCausalLM"]["methods"]["forward"]),
        (fake_neuron.FakeCausalModel.save_pretrained, CLASSES["NxDModelForCausalLM"]["methods"]["save_pretrained"]),
        (fake_neuron._CausalClass.from_pretrained, CLASSES["NeuronModelForCausalLM"]["methods"]["from_pretrained"]),
        (fake_neuron._CausalClass.get_neuron_config, CLASSES["NeuronModelForCausalLM"]["methods"]["get_neuron_config"]),
        (fake_neuron._CausalClass.export, CLASSES["NeuronModelForCausalLM"]["methods"]["export"]),
        (fake_neuron._TracedClass.from_pretrained, CLASSES[TRACED[0]]["methods"]["from_pretrained"]),
        (fake_neuron.FakeNeuron.main_export, FUNCTIONS["main_export"]["parameters"]),
    ],
)  # fmt: skip
def test_the_fake_takes_nothing_that_the_library_does_not(fake: Any, said: str) -> None:
    takes = [name for name in fake_neuron.signature(fake) if name != "self"]

    assert set(takes) <= set(said.split())
    assert _required(said) <= {name.rstrip("=") for name in takes}
