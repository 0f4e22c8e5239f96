"""The demo on servers of one's own: what its file says, and the demand that follows from what was measured."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from holdfast.local.demo import servers, units
from holdfast.model.errors import HoldfastError, InputError
from holdfast.model.stages import BreakingPoint, Cause, LoadCurve

EXAMPLE = Path(__file__).parents[2] / "examples" / "vllm-cpu"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example, with words for a tokenizer: that of the example is made by `make demo-vllm`."""
    (tmp_path / "fleet.yaml").write_text((EXAMPLE / "fleet.yaml").read_text())
    said = yaml.safe_load((EXAMPLE / "servers.yaml").read_text())
    (tmp_path / "servers.yaml").write_text(yaml.safe_dump(said | {"tokenizer": "words"}))
    return tmp_path


def changed(folder: Path, **values: object) -> Path:
    file = folder / "servers.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | values))
    return file


def curve(unit: str, limit_per_s: float) -> LoadCurve:
    return LoadCurve(unit, (), BreakingPoint(limit_per_s, limit_per_s, math.inf, 0.9, Cause.LATENCY, "p95 was late"))


def test_the_example_starts_a_server_for_each_unit_on_a_port_that_it_is_given(folder: Path) -> None:
    staging = servers.staging(folder / "servers.yaml")
    (demo,) = staging.fleets
    for unit in demo.fleet.spec.units:
        command = staging.command(unit.name)
        assert command[command.index("--max-num-seqs") + 1] == str(unit.max_num_seqs)
        assert command[command.index("--port") + 1] == "{port}"
        assert command[command.index("--served-model-name") + 1] == demo.fleet.spec.model.id
    assert (staging.readiness, staging.side_by_side, staging.time_scale) == ("/health", False, 1.0)


def test_the_peak_is_a_share_of_what_the_weakest_unit_holds(folder: Path) -> None:
    staging = servers.staging(folder / "servers.yaml")
    (demo,) = staging.fleets
    limits = {"few-slots": curve("few-slots", 12.0), "many-slots": curve("many-slots", 25.0)}
    demand = staging.demanded(demo, limits).fleet.spec.demand
    assert demand.planned_per_s == 7.2
    assert demand.rate_per_s == 2.7  # 3 of 8, as in the fleet


def test_a_unit_that_holds_nothing_ends_the_demo_with_a_sentence(folder: Path) -> None:
    staging = servers.staging(folder / "servers.yaml")
    limits = {"few-slots": curve("few-slots", 0.0), "many-slots": curve("many-slots", 25.0)}
    with pytest.raises(HoldfastError, match="few-slots holds no load within p95<2s, errors<1% on this machine"):
        staging.demanded(staging.fleets[0], limits)


def test_the_demand_of_the_emulated_fleets_is_their_own() -> None:
    staging = units.staging()
    assert all(staging.demanded(demo, {}) is demo for demo in staging.fleets)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"commands": {"few-slots": "serve"}}, "commands for few-slots, and units few-slots, many-slots"),
        ({"commands": {"few-slots": "serve", "many-slots": "serve 'm"}}, "commands.many-slots.*No closing quotation"),
        ({"commands": {"few-slots": "serve", "many-slots": " "}}, "the command is empty"),
        ({"wave": {"duration": "50s", "restore": "60s"}}, "restore before its duration is over"),
        ({"fleet": "none.yaml"}, "none.yaml: it cannot be read"),
        ({"readyness": "/health"}, "readiness"),
        ({"startup": "0s"}, "startup"),
        ({"tokenizer": "nowhere"}, "no tokenizer.json"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(folder: Path, values: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        servers.staging(changed(folder, **values))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it cannot be read"):
        servers.staging(tmp_path / "servers.yaml")
