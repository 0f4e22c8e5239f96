"""Every PromQL that is rendered is read by a parser: of rules, of dashboards, of what scales.

The parser (promql-parser, GreptimeDB's) knows functions, the types of their arguments, matchers and regular
expressions. What the rules say of made-up series is promtool's to judge, where it is installed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest

from holdfast.manifests import File, Manifest
from holdfast.manifests.scaling import pod_metrics
from manifests.rule_files import EXAMPLES, ExampleOf, FilesOf, rules

ADAPTERS = {"<<.LabelMatchers>>": 'namespace="llm",pod=~"a|b"', "<<.GroupBy>>": "pod"}
"""What prometheus-adapter puts in for its templates (its docs/config.md, "Querying")."""


def drawn(file: Manifest) -> Iterator[str]:
    (text,) = file.object["data"].values()
    for panel in json.loads(text)["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def scaling(found: dict[str, Any]) -> Iterator[str]:
    triggers = found["spec"]["triggers"]
    yield from (each["metadata"]["query"] for each in triggers if each["type"] == "prometheus")


def queries(files: dict[str, File]) -> Iterator[str]:
    yield from (rule["expr"] for rule in rules(files))
    for path, file in files.items():
        if isinstance(file, Manifest) and path.startswith("base/dashboards/"):
            yield from drawn(file)
        if isinstance(file, Manifest) and file.object.get("kind") == "ScaledObject":
            yield from scaling(file.object)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_query_of_a_tree_is_promql(
    name: str, example: ExampleOf, files_of: FilesOf, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(queries(files_of(example(name))))
    for query in found:
        promql_parser.parse(query)
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {len(found)} queries parsed\n")
    assert len(found) > 20


def test_every_query_of_the_metrics_adapter_is_promql() -> None:
    for rule in pod_metrics.rules()["custom"]:
        filled = re.sub(r"<<\.\w+>>", lambda template: ADAPTERS[template[0]], rule["metricsQuery"])
        promql_parser.parse(filled)
        promql_parser.parse(rule["seriesQuery"])


@pytest.mark.parametrize(
    "broken",
    [
        "sum(rate(vllm:request_success_total[5m])",
        "rate(vllm:request_success_total)",
        "sum(up[5m])",
        "no_function(up)",
        'up{job=~"("}',
        "up{job=llm}",
    ],
)
def test_what_prometheus_would_refuse_is_no_promql(broken: str) -> None:
    with pytest.raises(ValueError):
        promql_parser.parse(broken)
