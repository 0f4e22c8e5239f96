"""The account's Terraform as text: what is declared, what a plan gives, and that both agree with the tree."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hcl2
import pytest

from holdfast import catalog
from holdfast.manifests import File, Manifest
from holdfast.manifests.terraform import quotas
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType, InferenceFleet
from holdfast.model.plan import Plan
from manifests import terraform_cli
from manifests.terraform_cli import ACCOUNT

FilesOf = Callable[[Plan], dict[str, File]]
PlanOf = Callable[..., Plan]

FILES = sorted(ACCOUNT.rglob("*.tf"))
EXAMPLES = ["sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "pilot-auto-mode", "moe-700b-lws"]


def parsed(file: Path) -> dict[str, Any]:
    with file.open(encoding="utf-8") as text:
        found: dict[str, Any] = hcl2.load(text)  # type: ignore[attr-defined]
        return found


def blocks(kind: str, folder: Path = ACCOUNT) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and body of the blocks of a kind in a folder's files."""
    for file in sorted(folder.glob("*.tf")):
        for block in parsed(file).get(kind, []):
            for name, body in block.items():
                if not name.startswith("__"):
                    yield name.strip('"'), body


VARIABLES = dict(blocks("variable"))


def values_of(files: dict[str, File]) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(files["terraform/terraform.tfvars.json"].text)
    return values


def test_all_files_are_hcl() -> None:
    assert len(FILES) > 20
    for file in FILES:
        assert parsed(file), file


@pytest.mark.skipif(not terraform_cli.is_there(), reason=terraform_cli.NO_TERRAFORM)
def test_all_files_are_formatted_as_terraform_does(tmp_path: Path) -> None:
    assert terraform_cli.run(tmp_path, "fmt", "-check", "-recursive", str(ACCOUNT)) == ""


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_plan_gives_every_variable_that_has_no_default_and_none_that_is_not_there(
    name: str, example: Callable[[str], Plan], files_of: FilesOf
) -> None:
    given = values_of(files_of(example(name))).keys()
    assert given <= VARIABLES.keys()
    assert {variable for variable, body in VARIABLES.items() if "default" not in body} <= given


@pytest.mark.parametrize("folder", [ACCOUNT, *sorted((ACCOUNT / "modules").iterdir())], ids=lambda path: path.name)
def test_every_variable_says_what_it_is(folder: Path) -> None:
    for name, body in blocks("variable", folder):
        assert body.get("description"), name
        assert body.get("type"), name


def test_every_variable_that_can_be_nonsense_is_validated() -> None:
    unchecked = {name for name, body in VARIABLES.items() if "validation" not in body}
    assert {name for name in unchecked if VARIABLES[name]["type"] not in ("bool", "${bool}")} == set()


def test_modules_of_others_are_of_one_exact_version_each_which_the_readme_dates() -> None:
    readme = (ACCOUNT / "README.md").read_text(encoding="utf-8")
    foreign = [body for _, body in blocks("module") if not body["source"].strip('"').startswith("./")]
    assert len(foreign) == 8
    for body in foreign:
        source, version = body["source"].strip('"').split("//")[0], body["version"].strip('"')
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert re.search(rf"\| {re.escape(source)}.* \| {re.escape(version)} \| \d{{4}}-\d\d-\d\d \|", readme), source


def test_the_configuration_is_the_same_for_every_plan(example: Callable[[str], Plan], files_of: FilesOf) -> None:
    for name in EXAMPLES:
        rendered = {path: file.text for path, file in files_of(example(name)).items() if path.startswith("terraform/")}
        written = {
            f"terraform/{file.relative_to(ACCOUNT).as_posix()}": file for file in [*FILES, ACCOUNT / "README.md"]
        }
        assert written.keys() <= rendered.keys()
        assert all(rendered[path] == file.read_text(encoding="utf-8") for path, file in written.items())
        assert {path for path in rendered if not path.endswith(".json")} == written.keys()


def test_nodes_take_the_role_that_is_made_for_them(sd21: Plan, files_of: FilesOf) -> None:
    text = (ACCOUNT / "nodes.tf").read_text(encoding="utf-8")
    values = values_of(files_of(sd21))
    role = re.search(r'node_iam_role_name\s+= "([^"]+)"', text)
    assert role
    assert role[1].replace("${var.cluster_name}", values["cluster_name"]) == sd21.fleet.spec.cluster.node_role


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_account_with_rights_is_one_that_pods_run_as(
    name: str, example: Callable[[str], Plan], files_of: FilesOf
) -> None:
    plan = example(name)
    files = files_of(plan)
    objects = [file.object for file in files.values() if isinstance(file, Manifest)]
    accounts = {item["metadata"]["name"] for item in objects if item.get("kind") == "ServiceAccount"}
    # KEDA's account is its chart's.
    others = {"keda-operator"}
    given = {workload["service_account"] for workload in values_of(files)["workloads"].values()}
    assert given - others <= accounts


def test_a_replica_reads_the_prefix_of_its_model_and_nothing_else(
    example: Callable[[str], Plan], files_of: FilesOf
) -> None:
    values = values_of(files_of(example("sd21-five-units")))
    assert values["bucket"] == {"name": "models.example.com"}
    assert values["workloads"]["sd21-model"] == {
        "namespace": "inference",
        "service_account": "sd21",
        "read_prefix": "sd21",
    }


def test_keda_reads_metrics_only_where_it_scales_on_cloudwatch(
    example: Callable[[str], Plan], files_of: FilesOf
) -> None:
    with_keda = [name for name in EXAMPLES if "keda" in values_of(files_of(example(name)))["workloads"]]
    assert with_keda == ["sd21-five-units"]


AMAZONS = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1a2b"
WORKSPACE = {"region": "eu-west-1", "workspace": "ws-1a2b"}
OF_OPERATOR = {"namespace": "holdfast-system", "service_account": "holdfast-operator"}
OF_KEDA = {"namespace": "keda", "service_account": "keda-operator"}


@pytest.mark.parametrize(
    ("scaler", "address", "keda", "operator"),
    [
        ("keda-prometheus", "http://prometheus-operated.monitoring.svc:9090", None, None),
        ("keda-prometheus", AMAZONS, {"prometheus": WORKSPACE}, {"prometheus": WORKSPACE}),
        ("keda-prometheus", f"{AMAZONS}/", {"prometheus": WORKSPACE}, {"prometheus": WORKSPACE}),
        # Whatever scales by an HPA, the operator reads the rate itself.
        ("hpa", AMAZONS, None, {"prometheus": WORKSPACE}),
        ("keda-cloudwatch", AMAZONS, {"read_metrics": True}, {"read_metrics": True, "list_metrics": True}),
    ],
)
def test_keda_and_the_operator_may_read_the_metrics_that_they_go_by(
    example: Callable[[str], Plan],
    files_of: FilesOf,
    scaler: str,
    address: str,
    keda: dict[str, Any] | None,
    operator: dict[str, Any] | None,
) -> None:
    plan = example("sd21-five-units")
    document = plan.fleet.model_dump(mode="json", by_alias=True)
    document["spec"]["cluster"] |= {"scaler": scaler, "prometheus": address}
    given = values_of(files_of(replace(plan, fleet=InferenceFleet.model_validate(document))))["workloads"]
    assert given.get("keda") == (keda and OF_KEDA | keda)
    assert given.get("operator") == (operator and OF_OPERATOR | operator)
    del document["spec"]["cluster"]["holdfast"]
    without = values_of(files_of(replace(plan, fleet=InferenceFleet.model_validate(document))))["workloads"]
    assert "operator" not in without


def test_amazons_prometheus_without_a_workspace_is_refused(plan_of: PlanOf, files_of: FilesOf) -> None:
    edge = {"host": "a.example", "authentication": {"none": True}}
    with pytest.raises(InputError, match="names no workspace"):
        files_of(plan_of(cluster={"prometheus": "https://aps-workspaces.eu-west-1.amazonaws.com/", "edge": edge}))


def test_the_operator_and_replicas_that_load_from_hugging_face_have_no_rights(
    example: Callable[[str], Plan], files_of: FilesOf
) -> None:
    assert values_of(files_of(example("pilot-auto-mode")))["workloads"] == {}


@pytest.mark.parametrize("name", EXAMPLES)
def test_jobs_have_rights_to_where_they_keep_runs_and_to_nothing_else(
    name: str, example: Callable[[str], Plan], files_of: FilesOf
) -> None:
    plan = example(name)
    files = files_of(plan)
    values = values_of(files)
    kept, read = set(), set()
    for path, file in files.items():
        if isinstance(file, Manifest) and path.startswith("jobs/") and file.object["kind"] == "Job":
            pod = file.object["spec"]["template"]["spec"]
            for container in [*pod.get("initContainers", []), *pod["containers"]]:
                source, destination = container["args"][-2:]
                kept |= {destination} if container["name"] == "keep" else set()
                read |= {source} if container["name"] == "fetch" else set()
    may = values["workloads"].get(f"{plan.fleet.metadata.name}-load")
    assert (may is not None) == bool(kept) == bool(read)
    if may is not None:
        assert may["read_prefix"] == may["write_prefix"] != ""
        below = f"s3://{may.get('bucket', values['bucket']['name'])}/{may['write_prefix']}/"
        assert all(address.startswith(below) for address in kept | read)


def test_runs_in_a_bucket_of_their_own_are_in_it(example: Callable[[str], Plan], files_of: FilesOf) -> None:
    plan = example("sd21-five-units")
    document = plan.fleet.model_dump(mode="json", by_alias=True)
    document["spec"]["cluster"]["holdfast"]["runs"] = {"s3": "s3://runs.example.com/sd21/"}
    values = values_of(files_of(replace(plan, fleet=InferenceFleet.model_validate(document))))
    may = values["workloads"]["sd21-load"]
    assert (may["bucket"], may["write_prefix"]) == ("runs.example.com", "sd21")
    assert values["bucket"]["name"] == "models.example.com"


def test_a_fleet_without_a_model_in_s3_has_the_bucket_of_its_runs(
    example: Callable[[str], Plan], files_of: FilesOf
) -> None:
    assert values_of(files_of(example("llama-3.3-70b-llm-d")))["bucket"] == {"name": "runs.example.com"}


def test_a_cascade_invokes_its_one_model(example: Callable[[str], Plan], files_of: FilesOf) -> None:
    values = values_of(files_of(example("gpt-oss-20b-g5")))
    assert values["workloads"]["gpt-oss-cascade"]["bedrock_model"] == "openai.gpt-oss-20b-1:0"


def test_zones_that_units_are_bound_to_are_the_clusters(example: Callable[[str], Plan], files_of: FilesOf) -> None:
    assert values_of(files_of(example("gpt-oss-20b-g5")))["zones"] == ["us-west-2a", "us-west-2b"]


def test_auto_mode_needs_no_karpenter(example: Callable[[str], Plan], files_of: FilesOf) -> None:
    values = values_of(files_of(example("pilot-auto-mode")))
    assert (values["auto_mode"], values["karpenter"]) == (True, False)


def test_the_queue_that_karpenters_chart_names_is_the_one_that_is_made(sd21: Plan, files_of: FilesOf) -> None:
    files = files_of(sd21)
    made = re.search(r'queue_name = "([^"]+)"', files["terraform/nodes.tf"].text)
    chart = files["addons/values/karpenter.yaml"]
    assert made
    assert isinstance(chart, Manifest)
    asked = chart.object["settings"]["interruptionQueue"]
    assert made[1].replace("${var.cluster_name}", values_of(files)["cluster_name"]) == asked


def test_quotas_count_the_most_nodes_and_one_more_by_class_and_way_of_buying(sd21: Plan, files_of: FilesOf) -> None:
    # Up to 100 replicas, one to a node of 4 vCPUs, and one node more: inf2.xlarge on demand, g5.xlarge as spot.
    assert values_of(files_of(sd21))["vcpus"] == {"Inf": 404, "G spot": 404}


def test_every_class_of_quota_that_a_plan_can_need_has_a_code() -> None:
    codes = next(iter(parsed(ACCOUNT / "quota_codes.tf")["locals"]))["quota_codes"]
    known = {name.strip('"') for name in codes}
    needed = {quotas.quota_class(instance, way) for instance in catalog.instance_types() for way in CapacityType} - {
        None
    }
    assert needed <= known


def test_a_cluster_name_that_no_role_can_be_named_by_is_refused_with_a_mend(plan_of: PlanOf, files_of: FilesOf) -> None:
    for name in ("prod.example", "c" * 43):
        with pytest.raises(InputError, match="use at most 42 characters"):
            files_of(plan_of(cluster={"name": name, "edge": {"host": "a.example", "authentication": {"none": True}}}))


def test_instances_whose_servers_talk_to_each_other_get_efa(example: Callable[[str], Plan], files_of: FilesOf) -> None:
    assert values_of(files_of(example("moe-700b-lws")))["efa_instance_types"] == ["p5en.48xlarge"]
