"""Drift: what others change of what was applied is seen, and nothing else is drift."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.control.operator.keeping import drift
from holdfast.control.operator.keeping.drift import Difference, Drift
from holdfast.kube.kinds import Object

RECORDED = [
    json.loads(line) for line in (Path(__file__).parent / "recorded_drift.jsonl").read_text("utf-8").splitlines()
]
"""What kube-apiserver 1.36 had, with Gateway API's, KEDA's and its own kinds, after what the story says."""

NAMES = st.sampled_from(["name", "a", "b.example/c", "spec", "k:d", "."])
SCALARS = st.one_of(st.integers(), st.booleans(), st.text(max_size=3))
ITEMS = st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2)


@st.composite
def keyed(draw: st.DrawFn) -> list[Object]:
    """A list of objects that have their `name` as the key."""
    names = draw(st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, unique=True))
    return [{"name": name} | draw(ITEMS) for name in names]


CONTENT = st.dictionaries(
    NAMES, st.one_of(SCALARS, keyed(), st.dictionaries(NAMES, SCALARS, min_size=1, max_size=3)), min_size=1, max_size=4
)


def owned(value: Any) -> Object:
    """As a server writes down who owns this: the lists here have the key `name`."""
    if isinstance(value, dict):
        return {f"f:{name}": owned(each) for name, each in value.items()}
    if isinstance(value, list):
        return {f"k:{json.dumps({'name': each['name']})}": {".": {}} | owned(each) for each in value}
    return {}


def leaves(node: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of all that is owned by itself."""
    for name, below in node.items():
        if below:
            yield from leaves(below, (*path, name))
        elif name != ".":
            yield (*path, name)


def without(node: Object, path: tuple[str, ...]) -> Object:
    """The node without that path, and without what it leaves empty."""
    first, *rest = path
    below = without(node[first], tuple(rest)) if rest else {}
    return {name: each for name, each in node.items() if name != first} | ({first: below} if below else {})


def applied(content: Object) -> tuple[Object, Object]:
    """An object as it is applied, and as a server has it then."""
    wanted = drift.stamped({"apiVersion": "v1", "kind": "Any", "metadata": {"name": "any"}, "spec": content})
    fields = owned({"metadata": {"annotations": wanted["metadata"]["annotations"]}, "spec": content})
    return wanted, as_owned(wanted, fields)


def as_owned(wanted: Object, fields: Object, *others: Object) -> Object:
    ours = {"manager": drift.MANAGER, "operation": "Apply", "fieldsV1": fields}
    return wanted | {"metadata": wanted["metadata"] | {"managedFields": [*others, ours]}}


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: f"{case['wanted']['kind']}: {case['story']}")
def test_a_real_servers_objects_are_read_right(case: Object) -> None:
    expected = Drift(Difference.CHANGED, tuple(case["changed"])) if case["changed"] else None
    assert drift.of(case["wanted"], case["live"]) == expected


@given(CONTENT)
def test_what_was_applied_is_no_drift(content: Object) -> None:
    assert drift.of(*applied(content)) is None


@given(CONTENT, CONTENT)
def test_the_fields_of_others_are_never_drift(content: Object, theirs: Object) -> None:
    wanted, live = applied(content)
    fields = live["metadata"]["managedFields"][0]["fieldsV1"]
    for operation in ("Update", "Apply"):
        other = {"manager": "other", "operation": operation, "fieldsV1": owned({"spec": theirs, "status": theirs})}
        scaled = {"manager": drift.MANAGER, "operation": "Apply", "subresource": "status", "fieldsV1": owned(theirs)}
        changed = as_owned(wanted | {"status": theirs}, fields, other, scaled)
        changed["spec"] = theirs | content
        assert drift.of(wanted, changed) is None


@given(CONTENT, st.data())
def test_any_managed_field_that_another_takes_is_drift(content: Object, data: st.DataObject) -> None:
    wanted, live = applied(content)
    fields = live["metadata"]["managedFields"][0]["fieldsV1"]
    taken = data.draw(st.sampled_from([path for path in leaves(fields) if path[0] == "f:spec"]))
    found = drift.of(wanted, as_owned(wanted, without(fields, taken)))
    assert found is not None and found.difference is Difference.CHANGED
    assert "somebody else changed it: spec" in found.text


@given(CONTENT, CONTENT)
def test_another_plan_or_decision_is_drift(content: Object, later: Object) -> None:
    found = drift.of(applied(later)[0], applied(content)[1])
    assert found == (
        None if json.dumps(content, sort_keys=True) == json.dumps(later, sort_keys=True) else Drift(Difference.OUTDATED)
    )


def test_an_object_that_is_not_there_is_drift() -> None:
    assert drift.of(applied({"a": 1})[0], None) == Drift(Difference.ABSENT)


def test_what_somebody_else_made_under_the_same_name_is_drift() -> None:
    wanted, live = applied({"a": 1})
    strange = copy.deepcopy(live)
    strange["metadata"]["managedFields"][0]["manager"] = "kubectl"
    assert drift.of(wanted, strange) == Drift(Difference.CHANGED, ("all of it",))
    assert drift.of(wanted, {"metadata": {"name": "any"}}) == Drift(Difference.OUTDATED)


def test_people_are_told_the_first_few_fields() -> None:
    assert Drift(Difference.CHANGED, tuple("abcde")).text == "somebody else changed it: a, b, c and 2 more"


def test_the_same_object_has_the_same_stamp_whatever_the_order_of_its_keys() -> None:
    one = drift.stamped({"metadata": {"name": "n", "labels": {"a": "1", "b": "2"}}, "spec": {"x": 1, "y": 2}})
    two = drift.stamped({"spec": {"y": 2, "x": 1}, "metadata": {"labels": {"b": "2", "a": "1"}, "name": "n"}})
    assert one == two
