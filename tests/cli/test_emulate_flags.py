"""Which unit `holdfast emulate` finds, what flags change of it, and what it says to nonsense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from holdfast.cli import emulated_units
from holdfast.cli.emulate import emulate
from holdfast.cli.emulated_units import Changes, Found, Source
from holdfast.model.errors import InputError
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.profiles import load_profile
from holdfast.serving.emulated.step_time import LinearStep, RooflineStep

MEASURED = str(Path(__file__).parents[2] / "examples" / "gpt-oss-20b-g5" / "measurements.csv")
UNIT = "gpt-oss-20b-g5-12xlarge"
OWN = """
name: mine
model: m
accelerator: a10g
instance_type: g5.xlarge
framework: vllm
tensor_parallel: 1
cold_start_s: 1
answer_tokens: 20
continuous_batching:
  step: {base_s: 0.01, per_sequence_s: 0.0, per_prefill_token_s: 0.0, per_kv_token_s: 0.0}
  max_num_seqs: 4
  max_num_batched_tokens: 512
  max_model_len: 64
  kv_blocks: 8
  max_queued: 4
source: my own
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(emulate, arguments, catch_exceptions=False)


def source(**given: object) -> Source:
    nothing = dict.fromkeys(
        ("unit", "calibrate", "up_to", "model", "instance_type", "framework", "tp", "max_model_len")
    )
    return Source(**{**nothing, **given})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def calibrated() -> Found:
    return emulated_units.find(source(unit="g5-48xlarge", calibrate=Path(MEASURED), up_to=120))


def test_a_fit_is_shown_with_its_misses(calibrated: Found) -> None:
    assert calibrated.fit is not None
    lines = emulated_units.fit_text("g5-48xlarge", calibrated.fit).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[4:9]] == ["10", "20", "40", "80", "120"]
    assert any("worst miss" in line for line in lines)


def test_a_fit_is_one_document_for_machines() -> None:
    result = run("g5-48xlarge", "--calibrate", MEASURED, "--up-to", "120", "--fit-only", "--json")
    fit = json.loads(result.output)
    assert [level["concurrency"] for level in fit["levels"]] == [10, 20, 40, 80, 120]
    misses = [abs(level[name]) for level in fit["levels"] for name in ("rate_miss", "latency_miss")]
    assert fit["worst_miss"] == max(misses) < 0.15


def test_a_calibrated_unit_is_named_and_sourced_after_its_file(calibrated: Found) -> None:
    assert calibrated.profile.name == "g5-48xlarge"
    assert calibrated.profile.source.startswith("measurements.csv: AWS EKS")
    assert calibrated.profile.tensor_parallel == 4


def test_a_model_and_an_instance_type_make_a_unit() -> None:
    profile = emulated_units.find(source(model="llama-3.1-8b", instance_type="g6e.xlarge", max_model_len=4096)).profile
    assert isinstance(profile.device, ContinuousBatching)
    assert isinstance(profile.device.step, RooflineStep)
    assert profile.device.max_model_len == 4096


def test_a_model_of_images_takes_a_slot() -> None:
    found = emulated_units.find(source(model="stabilityai/stable-diffusion-2-1-base", instance_type="g5.xlarge"))
    assert not isinstance(found.profile.device, ContinuousBatching)
    assert 0.2 < found.profile.device.service_s < 5


def test_flags_change_the_unit_and_leave_the_rest() -> None:
    before = load_profile(UNIT)
    changes = Changes(max_num_seqs=8, step_base=0.05, answer_tokens=7, cold_start=0.0, prefix_caching=False)
    after = emulated_units.changed(before, changes)
    assert isinstance(before.device, ContinuousBatching)
    assert isinstance(after.device, ContinuousBatching)
    assert isinstance(after.device.step, LinearStep)
    assert (after.device.max_num_seqs, after.device.prefix_caching, after.answer_tokens) == (8, False, 7)
    assert (after.device.step.base_s, after.cold_start_s) == (0.05, 0.0)
    assert after.device.kv_blocks == before.device.kv_blocks


def test_a_profile_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(OWN)
    profile = load_profile(str(file))
    assert (profile.name, profile.model, profile.published) == ("mine", "m", ())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kv_blocks: 8", "kv_block: 8", "nearest known one is 'kv_blocks'"),
        ("kv_blocks: 8", "kv_blocks: 3", "kv_blocks must be at least 4"),
        ("kv_blocks: 8", "kv_blocks: many", "kv_blocks must be int"),
        ("base_s: 0.01", "base_s: -1", "base_s must be positive"),
        ("cold_start_s: 1", "", "'cold_start_s' is missing"),
        ("continuous_batching:", "fixed_work: {}\ncontinuous_batching:", "one of fixed_work and"),
        ("name: mine", "name: [", "not YAML"),
        (OWN, "- 1", "is a mapping"),
    ],
)
def test_what_is_wrong_with_a_profile_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(OWN.replace(old, new))
    with pytest.raises(InputError, match=words):
        load_profile(str(file))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no.yaml"], "cannot be read"),
        (["--calibrate", MEASURED], "the file has 4 units"),
        (["g5-9xlarge", "--calibrate", MEASURED], "the nearest is g5-8xlarge"),
        (["--calibrate", "."], "."),
        (["--calibrate", "no.csv"], "no.csv"),
        (["g5-8xlarge", "--calibrate", MEASURED, "--up-to", "10"], "cannot be fitted"),
        ([UNIT, "--up-to", "10"], "no levels to leave out"),
        ([UNIT, "--fit-only"], "no fit to show"),
        ([UNIT, "--model", "llama-3.1-8b"], "a unit and a model"),
        (["--model", "llama-3.1-8b"], "no instance type"),
        (["--instance-type", "g5.xlarge"], "no model is given"),
        ([UNIT, "--framework", "trt"], "no model is given"),
        (["--model", "lama", "--instance-type", "g5.xlarge"], "neither a built-in model"),
        (["--model", "llama-3.1-8b", "--instance-type", "g5.mega"], "g5.mega"),
        (["--model", "llama-3.3-70b-instruct", "--instance-type", "g5.xlarge"], "does not fit"),
        (["--model", "llama-3.1-8b", "--instance-type", "g5.12xlarge", "--tp", "8"], "has 4"),
        ([UNIT, "--kv-blocks", "3"], "kv_blocks must be at least 512"),
        ([UNIT, "--max-num-seqs", "4000"], "max_num_batched_tokens must be"),
        ([UNIT, "--slow-factor", "2"], "slow start needs both"),
        ([UNIT, "--slow-factor", "0.5"], "at least 1"),
        ([UNIT, "--jitter", "100%"], "jitter"),
        ([UNIT, "--error-share", "120%"], "120%"),
        ([UNIT, "--error-share", "60%", "--reset-share", "60%"], "more than 1 together"),
        ([UNIT, "--error-kinds", "odd"], "no kinds of error"),
        ([UNIT, "--step-base", "0s"], "base_s must be positive"),
        ([UNIT, "--ssl-certfile", "x.pem"], "HTTPS needs both"),
        ([UNIT, "--ssl-certfile", "x.pem", "--ssl-keyfile", "y.pem"], "x.pem and y.pem cannot be served"),
        (["sd21-g5-cuda", "--kv-blocks", "9"], "says nothing of images"),
        (["--model", "llama-3.1-8b", "--instance-type", "g6e.xlarge", "--step-base", "1s"], "all four parts"),
    ],
)
def test_nonsense_is_answered_in_a_sentence(arguments: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(*arguments)
