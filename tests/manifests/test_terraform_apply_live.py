"""The modules with plain resources, applied to an AWS on this machine, looked at, and destroyed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from manifests import terraform_cli
from manifests.aws_here import ACCOUNT_ID, Aws, aws
from manifests.terraform_cli import ACCOUNT

pytestmark = [
    pytest.mark.skipif(not terraform_cli.is_there(), reason=terraform_cli.NO_TERRAFORM),
    pytest.mark.skipif(terraform_cli.mirror() is None, reason=terraform_cli.NO_PROVIDER),
]

CLUSTER_ARN = f"arn:aws:eks:us-west-2:{ACCOUNT_ID}:cluster/prod"
BUCKET = "models.example.com"
MODEL = "meta.llama3-3-70b-instruct-v1:0"

WORKLOADS: dict[str, dict[str, Any]] = {
    "sd21-model": {"namespace": "inference", "service_account": "sd21", "read_prefix": "sd21"},
    "sd21-load": {
        "namespace": "inference",
        "service_account": "sd21-load",
        "read_prefix": "results/sd21",
        "write_prefix": "results/sd21",
    },
    "keda": {"namespace": "keda", "service_account": "keda-operator", "read_metrics": True},
    "operator": {
        "namespace": "holdfast-system",
        "service_account": "holdfast-operator",
        "read_metrics": True,
        "list_metrics": True,
    },
    "asks-prometheus": {
        "namespace": "asks",
        "service_account": "asks",
        "prometheus": {"region": "eu-west-1", "workspace": "ws-1a2b"},
    },
    "sd21-cascade": {"namespace": "inference", "service_account": "sd21-cascade", "bedrock_model": MODEL},
    "far-cascade": {"namespace": "far", "service_account": "far-cascade", "bedrock_model": f"us.{MODEL}"},
    "a-workload-with-a-name-that-is-too-long-for-a-role-of-its-cluster": {
        "namespace": "long",
        "service_account": "long",
        "read_prefix": "",
    },
}

ROOT = """
provider "aws" {
  region                      = "us-west-2"
  access_key                  = "test"
  secret_key                  = "test"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true

  endpoints {
    ecr = "URL"
    eks = "URL"
    iam = "URL"
    s3  = "URL"
    sts = "URL"
  }
}

variable "workloads" {
  type = any
}

module "model_bucket" {
  source = "ACCOUNT/modules/model-bucket"
  name   = "BUCKET"
  # The provider watches new lifecycle rules for most of a minute, AWS or not.
  old_versions_days = null
}

module "registry" {
  source       = "ACCOUNT/modules/registry"
  repositories = ["prod/holdfast", "prod/holdfast-serve-cuda"]
}

module "workload_access" {
  source   = "ACCOUNT/modules/workload-access"
  for_each = var.workloads

  name            = each.key
  cluster_name    = "prod"
  cluster_arn     = "CLUSTER_ARN"
  namespace       = each.value.namespace
  service_account = each.value.service_account
  bucket_arn      = module.model_bucket.arn
  read_prefix     = lookup(each.value, "read_prefix", null)
  write_prefix    = lookup(each.value, "write_prefix", null)
  read_metrics    = lookup(each.value, "read_metrics", false)
  list_metrics    = lookup(each.value, "list_metrics", false)
  prometheus      = lookup(each.value, "prometheus", null)
  bedrock_model   = lookup(each.value, "bedrock_model", null)
  region          = "us-west-2"
  account_id      = "ACCOUNT_ID"
  partition       = "aws"
}
"""


@dataclass(frozen=True)
class Applied:
    aws: Aws
    folder: Path


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    """What there is after `apply`; after `destroy` there is nothing."""
    folder = tmp_path_factory.mktemp("terraform")
    with aws() as here:
        text = ROOT.replace("URL", here.url).replace("CLUSTER_ARN", CLUSTER_ARN).replace("ACCOUNT_ID", ACCOUNT_ID)
        text = text.replace("ACCOUNT", str(ACCOUNT)).replace("BUCKET", BUCKET)
        (folder / "main.tf").write_text(text, encoding="utf-8")
        (folder / "terraform.tfvars.json").write_text(json.dumps({"workloads": WORKLOADS}), encoding="utf-8")
        terraform_cli.run(folder, "init", "-no-color")
        terraform_cli.run(folder, "apply", "-auto-approve", "-no-color")
        yield Applied(here, folder)
        terraform_cli.run(folder, "destroy", "-auto-approve", "-refresh=false", "-no-color")
        left = (
            here.client("s3").list_buckets()["Buckets"],
            here.client("ecr").describe_repositories()["repositories"],
            here.client("iam").list_roles()["Roles"],
            list(here.pod_identity.associations),
        )
        assert left == ([], [], [], [])


def rights_of(applied: Applied, name: str) -> list[dict[str, Any]]:
    """Statements of the role's policy, without their names."""
    iam = applied.aws.client("iam")
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["rights"]
    document = iam.get_role_policy(RoleName=name, PolicyName="rights")["PolicyDocument"]
    return [{key: part for key, part in statement.items() if key != "Sid"} for statement in document["Statement"]]


def test_the_bucket_is_encrypted_versioned_and_closed_to_the_public(applied: Applied) -> None:
    s3 = applied.aws.client("s3")
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert set(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values()) == {True}


def test_the_bucket_refuses_whoever_comes_without_tls(applied: Applied) -> None:
    policy = json.loads(applied.aws.client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])
    denied = {json.dumps(statement["Condition"], sort_keys=True): statement for statement in policy["Statement"]}
    assert denied.keys() == {
        '{"Bool": {"aws:SecureTransport": "false"}}',
        '{"NumericLessThan": {"s3:TlsVersion": "1.2"}}',
    }
    for statement in denied.values():
        assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*")
        assert set(statement["Resource"]) == {f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"}


def test_a_tag_of_an_image_is_pushed_once_and_scanned(applied: Applied) -> None:
    found = applied.aws.client("ecr").describe_repositories()["repositories"]
    assert {repository["repositoryName"] for repository in found} == {"prod/holdfast", "prod/holdfast-serve-cuda"}
    assert {repository["imageTagMutability"] for repository in found} == {"IMMUTABLE"}
    assert all(repository["imageScanningConfiguration"]["scanOnPush"] for repository in found)


def test_a_replica_lists_and_reads_one_prefix(applied: Applied) -> None:
    assert rights_of(applied, "prod-sd21-model") == [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/sd21/*"},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{BUCKET}",
            "Condition": {"StringLike": {"s3:prefix": ["sd21", "sd21/*"]}},
        },
    ]


def test_a_load_job_reads_and_writes_one_prefix_and_deletes_nothing(applied: Applied) -> None:
    below = f"arn:aws:s3:::{BUCKET}/results/sd21/*"
    assert rights_of(applied, "prod-sd21-load") == [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": below},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{BUCKET}",
            "Condition": {"StringLike": {"s3:prefix": ["results/sd21", "results/sd21/*"]}},
        },
        {
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": below,
        },
    ]


def test_keda_reads_metrics_of_its_region(applied: Applied) -> None:
    assert rights_of(applied, "prod-keda") == [
        {
            "Effect": "Allow",
            "Action": "cloudwatch:GetMetricData",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": "us-west-2"}},
        }
    ]


def test_the_operator_lists_metrics_and_reads_them(applied: Applied) -> None:
    (statement,) = rights_of(applied, "prod-operator")
    assert set(statement["Action"]) == {"cloudwatch:ListMetrics", "cloudwatch:GetMetricData"}
    assert statement["Condition"] == {"StringEquals": {"aws:RequestedRegion": "us-west-2"}}


def test_who_asks_amazons_prometheus_queries_one_workspace(applied: Applied) -> None:
    arn = f"arn:aws:aps:eu-west-1:{ACCOUNT_ID}:workspace/ws-1a2b"
    assert rights_of(applied, "prod-asks-prometheus") == [
        {"Effect": "Allow", "Action": "aps:QueryMetrics", "Resource": arn}
    ]


INVOKE = ["bedrock:InvokeModelWithResponseStream", "bedrock:InvokeModel"]


def test_a_cascade_invokes_one_model_in_its_region(applied: Applied) -> None:
    arn = f"arn:aws:bedrock:us-west-2::foundation-model/{MODEL}"
    assert rights_of(applied, "prod-sd21-cascade") == [{"Effect": "Allow", "Action": INVOKE, "Resource": arn}]


def test_a_model_with_a_geography_is_invoked_in_other_regions_through_its_profile_only(applied: Applied) -> None:
    profile = f"arn:aws:bedrock:us-west-2:{ACCOUNT_ID}:inference-profile/us.{MODEL}"
    assert rights_of(applied, "prod-far-cascade") == [
        {"Effect": "Allow", "Action": INVOKE, "Resource": profile},
        {
            "Effect": "Allow",
            "Action": INVOKE,
            "Resource": f"arn:aws:bedrock:*::foundation-model/{MODEL}",
            "Condition": {"StringEquals": {"bedrock:InferenceProfileArn": profile}},
        },
    ]


def test_no_right_is_for_everything_but_reading_metrics(applied: Applied) -> None:
    iam = applied.aws.client("iam")
    roles = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    assert len(roles) == len(WORKLOADS)
    for statement in (statement for role in roles for statement in rights_of(applied, role)):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not any("*" in action for action in actions)
        assert statement["Resource"] != "*" or set(actions) <= {"cloudwatch:GetMetricData", "cloudwatch:ListMetrics"}


def test_a_role_is_for_pods_of_one_service_account_in_one_cluster(applied: Applied) -> None:
    trust = applied.aws.client("iam").get_role(RoleName="prod-sd21-model")["Role"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:RequestTag/eks-cluster-arn": CLUSTER_ARN,
            "aws:RequestTag/kubernetes-namespace": "inference",
            "aws:RequestTag/kubernetes-service-account": "sd21",
        }
    }


def test_every_workloads_account_is_associated_with_its_role(applied: Applied) -> None:
    found = applied.aws.pod_identity.associations.values()
    accounts = {(item["clusterName"], item["namespace"], item["serviceAccount"]) for item in found}
    assert accounts == {("prod", given["namespace"], given["service_account"]) for given in WORKLOADS.values()}
    arns = {role["Arn"] for role in applied.aws.client("iam").list_roles()["Roles"]}
    assert {item["roleArn"] for item in found} == arns


QUOTA = """
mock_provider "aws" {
  override_data {
    target = data.aws_servicequotas_service_quota.ec2
    values = { value = 84 }
  }
}

variables {
  quota_class = "G"
  quota_code  = "L-DB2E81BA"
}

run "as_much_as_needed" {
  command = apply
  variables {
    vcpus = 84
  }
}

run "less" {
  command = apply
  variables {
    vcpus = 85
  }
  expect_failures = [check.vcpus]
}
"""


def test_a_quota_below_the_plan_is_warned_of(tmp_path: Path) -> None:
    shutil.copytree(ACCOUNT / "modules" / "vcpu-quota", tmp_path, dirs_exist_ok=True)
    (tmp_path / "quota.tftest.hcl").write_text(QUOTA, encoding="utf-8")
    terraform_cli.run(tmp_path, "init", "-no-color")
    assert "2 passed, 0 failed" in terraform_cli.run(tmp_path, "test", "-no-color")
