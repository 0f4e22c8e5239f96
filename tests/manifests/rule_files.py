"""Reading the rules of rendered trees, and Prometheus' own judgement of them."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from holdfast.manifests import File, Manifest
from holdfast.model import metrics
from holdfast.model.plan import Plan

ROOT = Path(__file__).parents[2]
VLLM = ROOT.parent / "shared" / "data" / "vllm_metrics_0.33.0.csv"
PROMTOOL = shutil.which("promtool")
EXAMPLES = ["sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "pilot-auto-mode", "moe-700b-lws"]

OTHERS = {"up", "karpenter_nodeclaims_disrupted_total", "kube_pod_status_unschedulable"}
"""Prometheus' own, Karpenter 1.14's, kube-state-metrics'."""

_NAME = re.compile(r"[a-z_][a-zA-Z0-9_]*:[a-zA-Z0-9_:]+|holdfast_[a-z_]+|karpenter_[a-z_]+|kube_[a-z_]+|\bup\b")

ExampleOf = Callable[[str], Plan]
FilesOf = Callable[[Plan], dict[str, File]]


def rule_object(files: dict[str, File], path: str = "base/prometheus-rule.yaml") -> dict[str, Any]:
    found = files[path]
    assert isinstance(found, Manifest)
    return found.object


def rules(files: dict[str, File]) -> list[dict[str, Any]]:
    """All rules of a tree, the operator's too."""
    paths = [path for path in files if path.endswith("prometheus-rule.yaml")]
    return [rule for path in paths for group in rule_object(files, path)["spec"]["groups"] for rule in group["rules"]]


def asked_for(query: str) -> set[str]:
    """The metrics that a query names."""
    return set(_NAME.findall(re.sub(r'"[^"]*"', '""', query)))


def exported() -> set[str]:
    found = {metric.name for metric in metrics.OPERATOR} | OTHERS
    found |= {f"{metric.name}_bucket" for metric in metrics.OPERATOR if metric.kind is metrics.Kind.HISTOGRAM}
    with VLLM.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name, *more = row["metric_exposed"].split("|")
            found |= {name, *(name.removesuffix("_bucket") + suffix for suffix in more)}
    return found


def written(files: dict[str, File], folder: Path) -> Iterator[Path]:
    for index, path in enumerate(path for path in files if path.endswith("prometheus-rule.yaml")):
        file = folder / f"rules-{index}.yaml"
        file.write_text(yaml.safe_dump(rule_object(files, path)["spec"]), encoding="utf-8")
        yield file


def promtool(*arguments: object) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
