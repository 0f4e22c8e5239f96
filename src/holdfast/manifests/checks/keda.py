"""ScaledObjects: what KEDA's CRD leaves unchecked, and KEDA finds out when it is too late.

Keys and their rules are those that the scalers parse (kedacore/keda, pkg/scalers/aws_cloudwatch_scaler.go and
prometheus_scaler.go, read in November 2026). Triggers of other types are left alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.manifests.checks.objects import Found, Mapping, at, items, mapping, text
from holdfast.manifests.checks.trees import Tree
from holdfast.manifests.yaml import Path
from holdfast.model.findings import ObjectFinding

CLOUDWATCH = "aws-cloudwatch"
PROMETHEUS = "prometheus"
_DEFAULT_S = 300
"""Both metricStatPeriod and metricCollectionTime, where they are not stated."""

_AWS_KEYS = {"awsRegion", "awsEndpoint", "identityOwner"} | {
    f"aws{key}{suffix}"
    for key in ("AccessKeyID", "SecretAccessKey", "SessionToken", "RoleArn")
    for suffix in ("", "FromEnv")
}
_REQUIRED = {
    CLOUDWATCH: ("targetMetricValue", "minMetricValue", "awsRegion"),
    PROMETHEUS: ("serverAddress", "query", "threshold"),
}
_KNOWN = {
    CLOUDWATCH: {
        *("namespace", "metricName", "dimensionName", "dimensionValue", "expression", "targetMetricValue"),
        *("activationTargetMetricValue", "minMetricValue", "ignoreNullValues", "metricCollectionTime", "metricStat"),
        *("metricUnit", "metricStatPeriod", "metricEndTimeOffset"),
        *_AWS_KEYS,
    },
    PROMETHEUS: {
        *("serverAddress", "query", "queryParameters", "threshold", "activationThreshold", "namespace"),
        *("customHeaders", "ignoreNullValues", "unsafeSsl", "timeout", "identityOwner", "authModes"),
        *_AWS_KEYS,
    },
}
_NUMBERS = {
    *("targetMetricValue", "activationTargetMetricValue", "minMetricValue", "threshold", "activationThreshold"),
    *("metricCollectionTime", "metricStatPeriod", "metricEndTimeOffset"),
}


@dataclass(frozen=True)
class Trigger:
    """One trigger of a ScaledObject or ScaledJob."""

    owner: Found
    index: int
    spec: Mapping

    @property
    def kind(self) -> str:
        return text(self.spec, "type")

    @property
    def metadata(self) -> Mapping:
        return mapping(self.spec, "metadata")

    def path(self, key: str = "") -> Path:
        return ("spec", "triggers", self.index, "metadata", *((key,) if key else ()))

    def figure(self, key: str, default: float | None = None) -> float | None:
        """The number in a value, `default` where it is not stated, None where it is no number."""
        return figure(self.metadata[key]) if key in self.metadata else default


def figure(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except ValueError:
        return None


def triggers(tree: Tree) -> Sequence[Trigger]:
    return [
        Trigger(found, index, mapping(trigger))
        for found in tree.of("ScaledObject", "ScaledJob")
        for index, trigger in enumerate(items(found.body, "spec", "triggers"))
    ]


def known_triggers(tree: Tree) -> Sequence[Trigger]:
    return [trigger for trigger in triggers(tree) if trigger.kind in _KNOWN]


def cloudwatch(tree: Tree) -> Sequence[Trigger]:
    return [trigger for trigger in triggers(tree) if trigger.kind == CLOUDWATCH]


def values(tree: Tree, trigger: Trigger) -> Iterator[ObjectFinding]:
    """All values of a trigger are strings, and those that mean numbers parse."""
    for key, value in trigger.metadata.items():
        what = f"the trigger's {key} is {value!r} without quotes"
        if not isinstance(value, str):
            mend = f'write "{_plain(value)}": KEDA takes strings only'
            yield trigger.owner.wrong(trigger.path(key), value, f'"{_plain(value)}"', what, mend)
        elif key in _NUMBERS and figure(value) is None:
            what, mend = f"the trigger's {key} is {value!r}, which is no number", "give a number in quotes"
            yield trigger.owner.wrong(trigger.path(key), value, "a number", what, mend)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def keys(tree: Tree, trigger: Trigger) -> Iterator[ObjectFinding]:
    """A trigger has the keys that its scaler requires, and none that it ignores."""
    wanted = list(_REQUIRED[trigger.kind])
    if trigger.kind == CLOUDWATCH and "expression" not in trigger.metadata:
        wanted += ["namespace", "metricName", "dimensionName", "dimensionValue"]
    for key in wanted:
        if trigger.metadata.get(key) in (None, ""):
            what = f"its {trigger.kind} trigger has no {key}, and KEDA refuses it"
            yield trigger.owner.wrong(trigger.path(), "", key, what, f"state {key}")
    for key in sorted(trigger.metadata.keys() - _KNOWN[trigger.kind]):
        near = difflib.get_close_matches(key, sorted(_KNOWN[trigger.kind]), n=1)
        what = f"its {trigger.kind} trigger has {key}, which KEDA 2.20 ignores"
        mend = f"write {near[0]}, or leave it out" if near else "leave it out"
        yield trigger.owner.wrong(trigger.path(key), key, "".join(near), what, mend)


def window(tree: Tree, trigger: Trigger) -> Iterator[ObjectFinding]:
    """A CloudWatch trigger asks for whole minutes that have ended.

    The value compared with the target is the newest datapoint of one period: a Sum over 300 s against a target per
    minute is five times too large, and the newest datapoint may still be filling.
    """
    period_s = trigger.figure("metricStatPeriod", _DEFAULT_S)
    collection_s = trigger.figure("metricCollectionTime", _DEFAULT_S)
    offset_s = trigger.figure("metricEndTimeOffset", 0)
    stat = text(trigger.metadata, "metricStat") or "Average"
    if period_s is None or collection_s is None or offset_s is None:
        return
    how = "" if "metricStatPeriod" in trigger.metadata else ", which is KEDA's default"
    if period_s < 1 or (period_s > 60 and period_s % 60) or (period_s < 60 and period_s not in (1, 5, 10, 30)):
        what = f"metricStatPeriod is {period_s:g} s, which CloudWatch does not have"
        yield trigger.owner.wrong(trigger.path("metricStatPeriod"), period_s, 60, what, 'write "60"')
        return
    if period_s != 60:
        told = f"its {stat} is over periods of {period_s:g} s{how}"
        summed = stat in ("Sum", "SampleCount")
        why = f", {period_s / 60:g} times what a target per minute means" if summed else ", so that it sees load late"
        mend = 'set metricStatPeriod: "60" and the target to what one minute may hold'
        yield trigger.owner.doubtful(trigger.path("metricStatPeriod"), f"{period_s:g} s", "60 s", told + why, mend)
    if collection_s <= 0 or collection_s % period_s:
        what = (
            f"metricCollectionTime, {collection_s:g} s, is no multiple of the period, {period_s:g} s: KEDA refuses it"
        )
        mend = "give a multiple of metricStatPeriod"
        yield trigger.owner.wrong(trigger.path("metricCollectionTime"), collection_s, period_s, what, mend)
    if offset_s <= 0:
        what = "without metricEndTimeOffset the newest datapoint may be of a minute that has not ended"
        mend = 'set metricEndTimeOffset: "60"'
        yield trigger.owner.doubtful(trigger.path("metricEndTimeOffset"), f"{offset_s:g} s", "60 s", what, mend)


_SHARES = ("vllm:kv_cache_usage_perc", "neuroncore_utilization_ratio")
"""Series between 0 and 1 (vLLM 0.33, vllm/v1/metrics/loggers.py; neuron-monitor's Prometheus exporter)."""

_AVERAGED = ("avg(", "max(", "min(", "histogram_quantile(", "quantile(", "avg by", "max by", "avg_over_time(")


def metric(tree: Tree, trigger: Trigger) -> Iterator[ObjectFinding]:
    """The target has the unit of what is asked for, and a ratio is not divided by the replicas once more."""
    low, high = trigger.figure("minMetricValue"), trigger.figure("targetMetricValue")
    if trigger.kind == CLOUDWATCH and high is not None and low is not None and low > high:
        what = f"minMetricValue {low:g}, which stands in for a missing datapoint, is above the target {high:g}"
        mend = 'set minMetricValue to what no load is, mostly "0"'
        yield trigger.owner.doubtful(trigger.path("minMetricValue"), low, high, what, mend)
    target = high if trigger.kind == CLOUDWATCH else trigger.figure("threshold")
    if target is not None and target <= 0:
        key = "targetMetricValue" if trigger.kind == CLOUDWATCH else "threshold"
        yield trigger.owner.wrong(
            trigger.path(key), target, "> 0", f"its target is {target:g}", "give what a replica holds"
        )
    if trigger.kind != PROMETHEUS:
        return
    query = text(trigger.metadata, "query").strip()
    share = next((name for name in _SHARES if name in query), None)
    if share is not None and target is not None and target > 1 and "*100" not in query.replace(" ", ""):
        what = f"the threshold is {target:g}, and {share} is between 0 and 1: it never scales"
        yield trigger.owner.wrong(trigger.path("threshold"), target, "0..1", what, f'write "{target / 100:g}"')
    averaged = query.startswith(_AVERAGED)
    if averaged and (text(trigger.spec, "metricType") or "AverageValue") == "AverageValue":
        what = (
            "the query is an average, a maximum or a percentile, which metricType AverageValue divides by the replicas"
        )
        mend = "set metricType: Value"
        path = ("spec", "triggers", trigger.index)
        yield trigger.owner.doubtful(path, "AverageValue", "Value", what, mend)


def scaled_objects(tree: Tree) -> Sequence[Found]:
    return tree.of("ScaledObject")


def bounds(tree: Tree, scaled: Found) -> Iterator[ObjectFinding]:
    """The most replicas, the pace of going down, and what holds when metrics are gone are stated."""
    spec = mapping(scaled.body, "spec")
    most, least = spec.get("maxReplicaCount"), spec.get("minReplicaCount")
    if most is None:
        what = "it has no maxReplicaCount, and KEDA takes 100"
        yield scaled.doubtful(("spec",), 100, "stated", what, "state maxReplicaCount")
    elif isinstance(most, int) and isinstance(least, int) and least > most:
        what = f"minReplicaCount {least} is above maxReplicaCount {most}"
        yield scaled.wrong(("spec", "minReplicaCount"), least, most, what, "exchange them")
    elif most == 0:
        what = "maxReplicaCount is 0: nothing is ever started"
        yield scaled.wrong(("spec", "maxReplicaCount"), most, ">= 1", what, "give the most replicas there may be")
    behaviour = at(spec, "advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleDown")
    if not behaviour:
        what = "it says nothing of scaling down, so that all replicas but one may go after five minutes"
        mend = "state advanced.horizontalPodAutoscalerConfig.behavior.scaleDown"
        yield scaled.doubtful(("spec",), "", "scaleDown", what, mend)
    kinds = {text(trigger, "type") for trigger in items(spec, "triggers")}
    # KEDA refuses a fallback where all triggers are of these types (keda.sh/docs/2.20/reference/scaledobject-spec).
    if not spec.get("fallback") and kinds - {"cpu", "memory", "cron"}:
        what = "it has no fallback for when its metrics cannot be read"
        yield scaled.doubtful(("spec",), "", "fallback", what, "state fallback.failureThreshold and fallback.replicas")


def identities(tree: Tree, trigger: Trigger) -> Iterator[ObjectFinding]:
    """A CloudWatch trigger speaks to AWS by a TriggerAuthentication with pod identity that is there."""
    name = text(trigger.spec, "authenticationRef", "name")
    kind = text(trigger.spec, "authenticationRef", "kind") or "TriggerAuthentication"
    path: Path = ("spec", "triggers", trigger.index)
    if not name:
        if any(key.startswith("aws") and "Key" in key for key in trigger.metadata):
            return
        mend = "name a TriggerAuthentication with podIdentity.provider: aws"
        what = "its trigger has no authenticationRef, and so speaks to AWS with whatever rights the KEDA operator has"
        yield trigger.owner.doubtful(path, "", "authenticationRef", what, mend)
        return
    namespace = "" if kind.startswith("Cluster") else trigger.owner.namespace
    found = tree.get(kind, namespace, name)
    if found is None:
        what, mend = f"its trigger names {kind} {name}, which is not there", "add it"
        yield trigger.owner.doubtful((*path, "authenticationRef"), name, "there", what, mend)
    elif text(found.body, "spec", "podIdentity", "provider") == "aws-eks":
        what, mend = "podIdentity.provider aws-eks is gone since KEDA 2.15", "write aws"
        yield found.wrong(("spec", "podIdentity", "provider"), "aws-eks", "aws", what, mend)
