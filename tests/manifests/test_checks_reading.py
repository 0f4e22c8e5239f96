"""Files of any layout to objects, and what is told of files that cannot be read."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.manifests import checks, yaml
from holdfast.manifests.checks import Built, reading, schemas
from holdfast.manifests.checks.quantities import amount, duration_s
from holdfast.model.findings import Severity
from manifests.mutable import GOLDEN, Tree

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\ndata: {x: '1'}\n"
KUSTOMIZATION = "kind: Kustomization\nresources: [a.yaml]\n"


def found(files: dict[str, str], built: dict[str, Built] | None = None) -> list[tuple[str, int, str]]:
    return [(one.file, one.row, one.check) for one in checks.inspect(files, built).findings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("0o17", 15),
        ("017", 15),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1:30", "1:30"),
        ("2026-09-03", "2026-09-03"),
        ("on", True),
        ("y", True),
        ("N", False),
        ("~", None),
        ("v1.33", "v1.33"),
        ("'1.33'", "1.33"),
        ("1.", 1.0),
        ("-", ["x"]),
    ],
)
def test_plain_scalars_are_read_as_kubernetes_does(text: str, value: object) -> None:
    source = "a:\n- x\n" if text == "-" else f"a: {text}\n"
    assert next(yaml.load_all(source)).value == {"a": value}


@pytest.mark.parametrize("text", ["a: [1\n", "a: &x [*x]\n", "{[1]: 2}", "a: .inf\n---\n\x07"])
def test_what_kubernetes_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(yaml.NotYamlError):
        list(yaml.load_all(text))


def test_a_key_that_stands_twice_is_told_and_the_rest_is_checked() -> None:
    files = {"a.yaml": f"{CONFIG}data: {{x: 1}}\n"}
    assert found(files) == [("a.yaml", 5, "yaml"), ("a.yaml", 5, "schema"), ("a.yaml", 5, "strings")]


def test_a_finding_names_the_line() -> None:
    files = {"a.yaml": f"{CONFIG}---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\ndata:\n  x: 1\n"}
    assert found(files) == [("a.yaml", 11, "schema"), ("a.yaml", 11, "strings")]


def test_several_documents_lists_and_json_are_read() -> None:
    both = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"
    files = {
        "a.yaml": f"{CONFIG}---\n{both}",
        "b.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}',
    }
    assert sorted(one.name for one in reading.read(files, {}).objects) == ["a", "b", "c"]


def test_files_of_other_programs_are_left_alone() -> None:
    files = {
        "values.yaml": "a: 1\n",
        "Chart.yaml": "apiVersion: v2\nname: x\n",
        "main.tf": "resource {",
        "d.json": "[]",
    }
    assert found(files) == []


def test_a_template_is_a_note_and_broken_yaml_is_not() -> None:
    done = checks.inspect({"t.yaml": "a: {{ .Values.x }}: b\n", "b.yaml": "apiVersion: [\n", "c.json": "{a}"})
    assert [(one.file, one.severity) for one in done.findings] == [
        ("b.yaml", Severity.IMPOSSIBLE),
        ("c.json", Severity.NOTE),
        ("t.yaml", Severity.NOTE),
    ]


def test_an_object_that_lost_its_kind_is_told() -> None:
    assert found({"a.yaml": CONFIG.replace("kind: ConfigMap\n", "spec: {x: 1}\n")}) == [("a.yaml", 1, "yaml")]


def test_a_patch_is_no_object_of_its_own() -> None:
    patch = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\ndata: {x: 2}\n"
    files = {
        "base/kustomization.yaml": KUSTOMIZATION,
        "base/a.yaml": CONFIG,
        "over/kustomization.yaml": "kind: Kustomization\nresources: [../base]\npatches: [{path: p.yaml}]\n",
        "over/p.yaml": patch,
    }
    done = checks.inspect(files)
    assert done.objects == 1
    assert done.findings == ()
    assert any("without its patches" in line for line in done.undone)


def test_what_was_built_is_checked_and_points_to_its_source() -> None:
    files = {"k/kustomization.yaml": KUSTOMIZATION, "k/a.yaml": CONFIG}
    made = CONFIG.replace("'1'", "1")
    assert found(files, {"k": Built(output=made)}) == [("k/a.yaml", 4, "schema"), ("k/a.yaml", 4, "strings")]


def test_what_cannot_be_built_is_told() -> None:
    files = {"k/kustomization.yaml": KUSTOMIZATION, "k/a.yaml": CONFIG}
    assert found(files, {"k": Built(error="no matches for Id")}) == [("k/kustomization.yaml", 0, "kustomize")]


def test_two_overlays_of_one_base_are_no_duplicates() -> None:
    overlay = "kind: Kustomization\nresources: [../base]\n"
    files = {"base/kustomization.yaml": KUSTOMIZATION, "base/a.yaml": CONFIG}
    files |= {"x/kustomization.yaml": overlay, "y/kustomization.yaml": overlay}
    assert checks.roots(files) == ("x", "y")
    assert found(files) == []


def test_a_kustomization_with_a_part_elsewhere_is_not_built() -> None:
    files = {
        "k/kustomization.yaml": "kind: Kustomization\nresources: [a.yaml, 'https://example.com/b.yaml']\n",
        "k/a.yaml": CONFIG,
    }
    assert checks.roots(files) == ()
    assert any("elsewhere" in line for line in checks.inspect(files).undone)


def test_without_the_extra_it_says_that_schemas_were_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "available", lambda: False)
    done = checks.inspect({"a.yaml": CONFIG.replace("\ndata", "\ndta")})
    assert done.findings == ()
    assert done.undone == ("schemas: kubernetes-validate is not installed; install holdfast with its extra `check`",)


def test_an_object_twice_is_told() -> None:
    assert found({"a.yaml": CONFIG, "b.yaml": CONFIG}) == [("b.yaml", 1, "duplicates")]


def test_an_accepted_doubt_is_a_note_with_its_reason() -> None:
    metadata = "{name: s, annotations: {holdfast.dev/accept.kept-secrets: only a test}}"
    secret = f"apiVersion: v1\nkind: Secret\nmetadata: {metadata}\ndata: {{a: YQ==}}\n"
    (one,) = checks.inspect({"s.yaml": secret}).findings
    assert (one.severity, one.likely) == (Severity.NOTE, "Accepted: only a test")


JUNK: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: -1,
    lambda: 1.5,
    lambda: "",
    lambda: "x=y:{",
    lambda: [],
    lambda: [None, 1, "a", {}],
    lambda: {},
    lambda: {"name": 1, "key": None, "a": [{}]},
]


def spoil(value: Any, chance: random.Random, share: float) -> Any:
    """`value` with some parts of it replaced by junk."""
    if chance.random() < share:
        return chance.choice(JUNK)()
    if isinstance(value, dict):
        return {key: spoil(part, chance, share) for key, part in value.items()}
    if isinstance(value, list):
        return [spoil(part, chance, share) for part in value]
    return value


TREES = sorted(folder.name for folder in GOLDEN.iterdir())


@functools.cache
def stored(name: str) -> dict[str, list[Any]]:
    """The values of the documents of a tree's files of YAML."""
    files = {path: text for path, text in Tree(name).texts.items() if path.endswith(".yaml")}
    return {path: [document.value for document in yaml.load_all(text)] for path, text in files.items()}


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(TREES), seed=st.integers(0, 2**32), share=st.sampled_from([0.002, 0.02, 0.1]))
def test_no_nonsense_makes_a_check_fail(name: str, seed: int, share: float) -> None:
    chance = random.Random(seed)
    tree = Tree(name)
    for path, documents in stored(name).items():
        # JSON is YAML, and is written a hundred times as fast.
        tree.texts[path] = "\n---\n".join(json.dumps(spoil(value, chance, share)) for value in documents)
    parsed = reading.read(tree.texts, {})
    for check in checks.CHECKS:
        for one in parsed.trees:
            assert all(finding.message.endswith(".") for finding in check.on(one).findings)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3136m", 3.136), ("1Gi", 2**30), ("4", 4), (4, 4), ("1e3", 1000), ("1.5k", 1500), ("x", None), (True, None)],
)
def test_quantities_are_read(text: object, value: float | None) -> None:
    assert amount(text) == value


def test_durations_are_read() -> None:
    assert [duration_s(text) for text in ("1h30m", "5m", "0.5s", "5", 5)] == [5400, 300, 0.5, None, None]
