"""Wrong input gets one sentence: every kind of it, for every verb that it can reach.

A negative price, an unknown instance, a rate of zero, NaN, mixed units, a TP that does not divide the heads. Nothing is
sent anywhere: the URLs are of nobody, and are refused before they are asked.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from holdfast.catalog import own
from holdfast.cli.main import cli
from holdfast.model.errors import InputError

FLEET = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: small}
spec:
  model: {id: meta-llama/Llama-3.1-8B}
  workload: {api: completions, inputTokens: {mean: 200}, outputTokens: {mean: 100}}
  slo: {latency: {p95: 20s}, errorRate: 1%}
  demand: {rate: 1/s}
  region: us-west-2
  units:
    - {name: u, accelerator: a10g, instanceType: g5.12xlarge, framework: vllm, tensorParallel: 4, price: $5.672/h}
  capacity: {survive: none}
"""
ROWS = "unit,model,instance_type,tensor_parallel,rate_per_s,latency_p95_s,error_rate,price_usd_per_h\n"
ROW = "u,meta-llama/Llama-3.1-8B,g5.12xlarge,4,2,1.5,0,5.672\n"
PRICES = "instance_type,region,capacity_type,price_usd_per_h,source,date\n"
PRICE = "g5.xlarge,us-west-2,on-demand,1.1,our contract,2026-10-01\n"
LENGTHS = ("--input-tokens", "200", "--output-tokens", "100")
MODEL = "meta-llama/Llama-3.1-8B"
URL = "http://127.0.0.1:9"
LOAD = (URL, "--model", "m")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "rows.csv").write_text(ROWS + ROW)
    (tmp_path / "prices.csv").write_text(PRICES + PRICE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(own.VARIABLE, str(tmp_path / "prices.csv"))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def mend(place: Path, old: str, new: str) -> None:
    assert old in place.read_text()
    place.write_text(place.read_text().replace(old, new))


def test_what_is_right_is_taken(files: Path) -> None:
    for arguments in (
        ("plan", "fleet.yaml", "--measurements", "rows.csv"),
        ("plan", "fleet.yaml"),
        ("audit", "rows.csv"),
        ("prices", "--instance", "g5.xlarge"),
        ("advise", MODEL),
        ("estimate", MODEL, "--instance", "g5.12xlarge", *LENGTHS),
    ):
        done = run(*arguments)
        assert done.exit_code == 0, (arguments, done.output, done.exception)


PLAN, MEASURED = ("plan", "fleet.yaml"), ("plan", "fleet.yaml", "--measurements", "rows.csv")
AUDIT, SHOWN, ADVISE = ("audit", "rows.csv"), ("prices",), ("advise", MODEL, "--region", "us-west-2")
ESTIMATE = ("estimate", MODEL, "--instance", "g5.12xlarge")
REFRESH = ("prices", "refresh", "--region", "us-west-2")


@pytest.mark.parametrize(
    "file, old, new, verbs, words",
    [
        ("fleet.yaml", "$5.672/h", "$-5.672/h", (PLAN, MEASURED), "price"),
        ("fleet.yaml", "$5.672/h", "$0/h", (PLAN, MEASURED), "is not above 0"),
        ("fleet.yaml", "$5.672/h", "$nan/h", (PLAN, MEASURED), "price"),
        ("fleet.yaml", "$5.672/h", "5.672/s", (PLAN, MEASURED), "price"),
        ("fleet.yaml", "$5.672/h", "5.672", (PLAN, MEASURED), "has no unit"),
        ("fleet.yaml", "g5.12xlarge", "g5.13xlarge", (PLAN, MEASURED), "did you mean"),
        ("fleet.yaml", "rate: 1/s", "rate: 0/s", (PLAN, MEASURED), "nothing to plan"),
        ("fleet.yaml", "rate: 1/s", "rate: nan/s", (PLAN, MEASURED), "rate"),
        ("fleet.yaml", "rate: 1/s", "rate: 1", (PLAN, MEASURED), "has no unit"),
        ("fleet.yaml", "rate: 1/s", "rate: $1/h", (PLAN, MEASURED), "rate"),
        ("fleet.yaml", "p95: 20s", "p95: 20/s", (PLAN, MEASURED), "p95"),
        ("fleet.yaml", "tensorParallel: 4", "tensorParallel: 3", (PLAN, MEASURED), "does not divide"),
        ("rows.csv", ",5.672\n", ",-5.672\n", (AUDIT, MEASURED), "price_usd_per_h is -5.672 and must be above 0"),
        ("rows.csv", ",5.672\n", ",NaN\n", (AUDIT, MEASURED), "price_usd_per_h is NaN"),
        ("rows.csv", ",4,2,", ",4,nan,", (AUDIT, MEASURED), "rate_per_s is nan"),
        ("rows.csv", ",4,2,", ",4,2/min,", (AUDIT, MEASURED), "'2/min', not a number"),
        ("rows.csv", ",4,2,", ",0,2,", (AUDIT, MEASURED), "tensor_parallel is 0"),
        ("rows.csv", "rate_per_s,latency_p95_s", "rate_per_s,rate_per_min", (AUDIT, MEASURED), "both rate_per_s and"),
        ("prices.csv", ",1.1,", ",-1.1,", (SHOWN, REFRESH, ADVISE, AUDIT, PLAN), "'-1.1' is not a price above zero"),
        ("prices.csv", ",1.1,", ",0,", (SHOWN, REFRESH, ADVISE), "'0' is not a price above zero"),
        ("prices.csv", ",1.1,", ",nan,", (SHOWN, REFRESH, ADVISE), "'nan' is not a price above zero"),
        ("prices.csv", ",1.1,", ",$1.1/h,", (SHOWN, REFRESH, ADVISE), "'$1.1/h' is not a price above zero in US"),
        ("prices.csv", "g5.xlarge", "g5.xlrge", (SHOWN, REFRESH, ADVISE), "did you mean g5.xlarge"),
        ("prices.csv", "on-demand", "on-demnad", (SHOWN, REFRESH, ADVISE), "is no capacity type (on-demand, spot"),
        ("prices.csv", "2026-10-01", "2026-10-41", (SHOWN, REFRESH, ADVISE), "2026-10-41 is no day"),
    ],
)
def test_a_wrong_figure_in_a_file_is_one_sentence_in_every_verb_that_reads_it(
    files: Path, file: str, old: str, new: str, verbs: tuple[tuple[str, ...], ...], words: str
) -> None:
    mend(files / file, old, new)

    for arguments in verbs:
        told(run(*arguments), words)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((*PLAN, "--rate", "0/s"), "--rate"),
        ((*PLAN, "--rate", "nan/s"), "--rate"),
        ((*PLAN, "--rate", "10"), "--rate"),
        ((*PLAN, "--rate", "10$/h"), "--rate"),
        ((*PLAN, "--budget", "20/s"), "--budget"),
        ((*PLAN, "--budget", "-20$/h"), "--budget"),
        ((*PLAN, "--budget", "0$/h"), "is not above 0"),
        ((*PLAN, "--budget", "nan$/h"), "--budget"),
        ((*ESTIMATE, "--tp", "3", *LENGTHS), "does not divide the 32 attention heads"),
        ((*ESTIMATE, "--tp", "0", *LENGTHS), "--tp"),
        ((*ESTIMATE, "--tp", "nan", *LENGTHS), "--tp"),
        ((*ESTIMATE, "--input-tokens", "200s", "--output-tokens", "100"), "--input-tokens"),
        ((*ESTIMATE, "--input-tokens", "nan", "--output-tokens", "100"), "--input-tokens"),
        (("estimate", MODEL, "--instance", "g5.13xlarge", *LENGTHS), "did you mean"),
        ((*ADVISE, "--sequences", "nan"), "--sequences"),
        ((*ADVISE, "--sequence-tokens", "0"), "--sequence-tokens"),
        ((*SHOWN, "--instance", "g5.xlrge"), "did you mean g5.xlarge"),
        ((*REFRESH, "--instance", "g5.xlrge"), "did you mean g5.xlarge"),
        ((*AUDIT, "--slo", "p95<2/s"), "--slo"),
        ((*AUDIT, "--slo", "p95<nan"), "--slo"),
        (("load", *LOAD, "--rate", "0/s", *LENGTHS), "rate"),
        (("load", *LOAD, "--rate", "nan/s", *LENGTHS), "rate"),
        (("load", *LOAD, "--rate", "12", *LENGTHS), "rate"),
        (("load", *LOAD, "--rate", "12s", *LENGTHS), "rate"),
        (("sweep", *LOAD, "--rate", "2/s,0/s", *LENGTHS), "rate"),
        (("sweep", *LOAD, "--rate", "2/s,4s", *LENGTHS), "rate"),
        (("limit", *LOAD, "--slo", "p95<nan", *LENGTHS), "--slo"),
        (("limit", *LOAD, "--slo", "p95<2/s", *LENGTHS), "--slo"),
        (("catalog", "--region", "mars"), "no region 'mars'"),
    ],
)
def test_a_wrong_flag_is_one_sentence(files: Path, arguments: tuple[str, ...], words: str) -> None:
    told(run(*arguments), words)


@pytest.mark.parametrize(
    "old, new, said",
    [
        (",4,2,", ",3,2,", "TP 3 does not divide the 32 attention heads of meta-llama/Llama-3.1-8B."),
        ("g5.12xlarge", "g5.13xlarge", "the catalogue has no instance type 'g5.13xlarge' (the nearest is g5."),
    ],
)
def test_a_row_that_can_be_read_and_not_be_right_is_a_finding_and_no_error(
    files: Path, old: str, new: str, said: str
) -> None:
    mend(files / "rows.csv", old, new)

    done = run(*AUDIT)

    assert done.exit_code == 0
    assert said.replace(" ", "") in "".join(done.output.split())


def told(done: Result, words: str) -> None:
    assert isinstance(done.exception, InputError), (done.output, done.exception)
    sentence = str(done.exception)
    assert words in sentence
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 800
