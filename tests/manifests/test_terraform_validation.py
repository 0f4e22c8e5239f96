"""The variables' validations, as terraform evaluates them: no provider is needed for that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.manifests import File
from holdfast.model.plan import Plan
from manifests import terraform_cli
from manifests.terraform_cli import ACCOUNT

FilesOf = Callable[[Plan], dict[str, File]]

pytestmark = pytest.mark.skipif(not terraform_cli.is_there(), reason=terraform_cli.NO_TERRAFORM)

EXAMPLES = ["sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "pilot-auto-mode", "moe-700b-lws"]

GROUP: dict[str, Any] = {
    "instance_types": ["p5en.48xlarge"],
    "capacity_type": "ON_DEMAND",
    "zones": ["us-west-2b"],
    "min_size": 1,
    "max_size": 7,
    "labels": {"holdfast.dev/unit": "p5en"},
    "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
    "ami_type": "AL2023_x86_64_NVIDIA",
    "disk_gib": 500,
}
READER = {"namespace": "inference", "service_account": "sd21", "read_prefix": "sd21"}

ASKER = {"namespace": "holdfast-system", "service_account": "holdfast-operator"}

GOOD: dict[str, dict[str, Any]] = {
    "node groups with EFA in one zone": {"node_groups": {"moe": GROUP}, "efa_instance_types": ["p5en.48xlarge"]},
    "hybrid nodes": {"hybrid": True, "hybrid_networks": {"node_cidrs": ["10.80.0.0/16"], "pod_cidrs": []}},
    "a bucket that is there": {"bucket": {"name": "models.example.com", "create": False}},
    "a whole bucket": {"workloads": {"sd21": READER | {"read_prefix": ""}}},
    "another bucket": {"workloads": {"sd21": READER | {"bucket": "runs.example.com"}}},
    "a prefix of one letter": {"workloads": {"sd21": READER | {"read_prefix": "a"}}},
    "Amazon's Prometheus": {
        "workloads": {"operator": ASKER | {"prometheus": {"region": "us-west-2", "workspace": "ws-1a2b"}}}
    },
    "a list of metrics": {"workloads": {"operator": ASKER | {"list_metrics": True}}},
    "a small VPC": {"vpc_cidr": "172.16.0.0/20"},
    "versions of add-ons": {"addon_versions": {"vpc-cni": "v1.20.4-eksbuild.1"}},
}

BAD: list[tuple[str, Any]] = [
    ("region", "Oregon"),
    ("cluster_name", "Prod"),
    ("cluster_name", "c" * 43),
    ("kubernetes_version", "1.32"),
    ("kubernetes_version", "1.33.1"),
    ("zones", ["eu-west-1a"]),
    ("zones", ["us-west-2a", "us-west-2a"]),
    ("vpc_cidr", "10.0.0.0/8"),
    ("vpc_cidr", "10.0.0.0/24"),
    ("vpc_cidr", "somewhere"),
    ("api_allowed_cidrs", ["0.0.0.0/0"]),
    ("api_allowed_cidrs", ["everyone"]),
    ("administrators", ["platform"]),
    ("hybrid", True),
    ("hybrid_networks", {"node_cidrs": ["here"], "pod_cidrs": []}),
    ("node_groups", {"a b": GROUP}),
    ("node_groups", {"moe": GROUP | {"instance_types": []}}),
    ("node_groups", {"moe": GROUP | {"capacity_type": "reserved"}}),
    ("node_groups", {"moe": GROUP | {"min_size": 8}}),
    ("node_groups", {"moe": GROUP | {"min_size": -1}}),
    ("node_groups", {"moe": GROUP | {"taints": [GROUP["taints"][0] | {"effect": "NoSchedule"}]}}),
    ("node_groups", {"moe": GROUP | {"disk_gib": 8}}),
    ("addon_versions", {"vpc-cni": "latest"}),
    ("system_instance_types", []),
    ("bucket", {"name": "Models"}),
    ("bucket", {"create": False}),
    ("workloads", {"SD21": READER}),
    ("workloads", {"sd21": {"namespace": "inference", "service_account": "sd21"}}),
    ("workloads", {"sd21": READER | {"bucket": "s3://runs"}}),
    ("workloads", {"sd21": READER | {"read_prefix": None, "read_metrics": True, "bucket": "runs.example.com"}}),
    ("workloads", {"sd21": READER | {"read_prefix": "/sd21"}}),
    ("workloads", {"sd21": READER | {"read_prefix": "sd21/"}}),
    ("workloads", {"sd21": READER | {"write_prefix": "*"}}),
    ("workloads", {"sd21": READER, "other": READER}),
    ("workloads", {"operator": ASKER | {"prometheus": {"region": "us-west-2", "workspace": "*"}}}),
    ("workloads", {"operator": ASKER | {"prometheus": {"region": "Oregon", "workspace": "ws-1a2b"}}}),
    ("workloads", {"operator": ASKER}),
    ("repositories", ["Holdfast"]),
    ("vcpus", {"X": 4}),
    ("vcpus", {"G": 0}),
    ("permissions_boundary_arn", "boundary"),
    ("tags", {"aws:mine": "x"}),
]
"""A variable, and a value that is refused."""


def of_run(number: int, values: dict[str, Any], refused: str = "") -> str:
    given = "".join(f"    {name} = {json.dumps(value)}\n" for name, value in values.items())
    expected = f"  expect_failures = [var.{refused}]\n" if refused else ""
    return f'run "r{number}" {{\n  command = plan\n  variables {{\n{given}  }}\n{expected}}}\n'


@pytest.fixture(scope="module")
def values(example: Callable[[str], Plan], files_of: FilesOf) -> list[dict[str, Any]]:
    """The values that the examples' plans give."""
    return [values_of(files_of(example(name))) for name in EXAMPLES]


def values_of(files: dict[str, File]) -> dict[str, Any]:
    """What Terraform reads by itself: the values of the plan, and of its node groups where it has any."""
    read = [path for path in files if path.startswith("terraform/") and path.endswith("tfvars.json")]
    return {name: value for path in read for name, value in json.loads(files[path].text).items()}


def report_of(folder: Path, runs: list[str]) -> str:
    """Each run on the variables alone, without the resources that they are for."""
    for name in ("variables.tf", "quota_codes.tf"):
        shutil.copy(ACCOUNT / name, folder)
    (folder / "all.tftest.hcl").write_text("\n".join(runs), encoding="utf-8")
    terraform_cli.run(folder, "init", "-no-color")
    return terraform_cli.run(folder, "test", "-no-color")


def test_what_plans_give_and_what_teams_add_is_taken(tmp_path: Path, values: list[dict[str, Any]]) -> None:
    taken = [*values, *(values[0] | further for further in GOOD.values())]
    report = report_of(tmp_path, [of_run(number, given) for number, given in enumerate(taken)])
    assert f"{len(taken)} passed, 0 failed" in report


def test_nonsense_is_refused_by_the_variable_that_has_it(tmp_path: Path, values: list[dict[str, Any]]) -> None:
    runs = [of_run(number, values[0] | {name: value}, refused=name) for number, (name, value) in enumerate(BAD)]
    assert f"{len(BAD)} passed, 0 failed" in report_of(tmp_path, runs)


def test_a_node_group_with_efa_names_its_one_zone(tmp_path: Path, values: list[dict[str, Any]]) -> None:
    wide = {"node_groups": {"moe": GROUP | {"zones": []}}, "efa_instance_types": ["p5en.48xlarge"]}
    report = report_of(tmp_path, [of_run(0, values[0] | wide, refused="efa_instance_types")])
    assert "1 passed, 0 failed" in report
