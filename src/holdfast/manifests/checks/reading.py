"""Files to objects: any layout, several documents to a file, Kustomize folders.

What a Kustomization lists is applied together, and is one tree; two overlays of one base are two trees. Where it was
built (`kubectl kustomize`), what came out is checked, and findings point into the file that it came from. Files that
no Kustomization lists are a tree of their own. Patches are parts of objects and are never read as objects.
"""

from __future__ import annotations

import functools
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.manifests import yaml
from holdfast.manifests.checks.objects import Found, items, mapping, text
from holdfast.manifests.checks.trees import Tree
from holdfast.model.findings import ObjectFinding, Severity

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_READ = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Built:
    """What `kubectl kustomize` said of a folder: its output, or its error."""

    output: str = ""
    error: str = ""


@dataclass(frozen=True)
class Read:
    """What files hold. findings: of files that cannot be read, checks `yaml` and `kustomize`; rows are lines."""

    trees: tuple[Tree, ...]
    findings: tuple[ObjectFinding, ...]
    undone: tuple[str, ...]

    @property
    def objects(self) -> tuple[Found, ...]:
        return tuple(found for tree in self.trees for found in tree.objects)


def read(files: Mapping[str, str], built: Mapping[str, Built]) -> Read:
    """The trees in `files`, by path. built: of some roots (`roots`), what building them gave."""
    parsed, findings = _parsed(files)
    folders = _folders(parsed)
    undone: list[str] = []
    pieces: list[tuple[str, list[Found]]] = []
    reached: set[str] = set()
    for root in _roots(folders):
        listed = _members(folders, root, set(files))
        reached |= listed.objects | listed.parts
        raw = [
            found for file in sorted(listed.objects) for found in parsed.get(file, []) if not _is_kustomization(file)
        ]
        made = built.get(root)
        if made is not None and not made.error:
            pieces.append((root, list(_placed(made.output, raw, folders[root].file))))
            continue
        pieces.append((root, raw))
        findings += listed.missing
        if made is not None and not listed.missing:
            findings.append(_unbuilt(folders[root].file, root, made.error))
        if listed.remote:
            undone.append(f"{root} was not built: it takes {listed.remote[0]} from elsewhere")
        elif made is None and listed.parts:
            undone.append(f"{root} was checked without its patches: kubectl is not there to build it")
    rest = [
        found
        for file, there in sorted(parsed.items())
        if file not in reached and not _is_kustomization(file)
        for found in there
    ]
    pieces.append(("", rest))
    whole = [found for _, objects in pieces for found in objects]
    trees = tuple(_tree(objects, whole) for _, objects in pieces if objects)
    return Read(trees, tuple(findings), tuple(dict.fromkeys(undone)))


def parts(files: Mapping[str, str]) -> set[str]:
    """The files that Kustomizations use and that hold no whole objects: patches, what config maps are made of."""
    folders = _folders(_parsed(files)[0])
    return {part for root in _roots(folders) for part in _members(folders, root, set(files)).parts}


def _tree(objects: list[Found], whole: list[Found]) -> Tree:
    own = set(objects)
    return Tree(tuple(objects), tuple(found for found in whole if found not in own))


def roots(files: Mapping[str, str]) -> tuple[str, ...]:
    """The folders with a Kustomization that no other one lists, `.` where it is the topmost.

    Those that take something from elsewhere (a URL, a chart) are left out: building them would go and get it.
    """
    parsed, _ = _parsed({file: content for file, content in files.items() if _is_kustomization(file)})
    folders = _folders(parsed)
    return tuple(root for root in _roots(folders) if not _members(folders, root, set(files)).remote)


def _is_kustomization(file: str) -> bool:
    return posixpath.basename(file) in KUSTOMIZATIONS


def _parsed(files: Mapping[str, str]) -> tuple[dict[str, list[Found]], list[ObjectFinding]]:
    """The objects of each file; documents of other programs (values of charts, dashboards) are left out."""
    parsed: dict[str, list[Found]] = {}
    findings: list[ObjectFinding] = []
    for file, content in sorted(files.items()):
        if not (file.endswith(_READ) or _is_kustomization(file)):
            continue
        try:
            documents = _documents(content, json_only=file.endswith(".json"))
        except yaml.NotYamlError as error:
            findings.append(_unreadable(file, content, str(error), error.row))
            continue
        except (ValueError, RecursionError) as error:
            findings.append(_unreadable(file, content, str(error), getattr(error, "lineno", 0)))
            continue
        for document in documents:
            parsed.setdefault(file, []).extend(_objects(file, document))
            findings += (*_half(file, document), *_twice(file, document))
    return parsed, findings


@functools.lru_cache(maxsize=1024)
def _documents(content: str, *, json_only: bool) -> tuple[yaml.Document, ...]:
    """The documents of a text. Remembered, as the same files are read for their roots, their parts and their objects.

    Raises NotYamlError or, where it is to be JSON, ValueError.
    """
    return (yaml.Document(json.loads(content)),) if json_only else tuple(yaml.load_all(content))


def _objects(file: str, document: yaml.Document) -> Iterator[Found]:
    found = Found(file, document)
    if _is_kustomization(file) and isinstance(document.value, dict):
        yield found
    elif found.kind.endswith("List") and isinstance(found.at("items"), list) and found.api_version:
        for part in items(found.body, "items"):
            yield Found(file, yaml.Document(part, document.node))
    elif found.kind and found.api_version:
        yield found


def _half(file: str, document: yaml.Document) -> Iterator[ObjectFinding]:
    """A document that has one of apiVersion and kind is an object that lost the other."""
    found = Found(file, document)
    if found.at("metadata", "name") and found.at("spec") and bool(found.kind) != bool(found.api_version):
        lost = "apiVersion" if found.kind else "kind"
        message = f"The document at line {document.row()} has no {lost}, and is no object without it; state {lost}."
        yield ObjectFinding(file, document.row(), "yaml", Severity.IMPOSSIBLE, "", lost, message)


def _twice(file: str, document: yaml.Document) -> Iterator[ObjectFinding]:
    for key, row in document.repeated:
        message = f"The key {key} stands twice in one mapping, and Kubernetes refuses the object; join the two."
        yield ObjectFinding(
            file, row, "yaml", Severity.IMPOSSIBLE, key, "once", message, object=Found(file, document).title
        )


def _unreadable(file: str, content: str, why: str, row: int) -> ObjectFinding:
    if "{{" in content:
        message = "The file is a template, which is read when it is rendered; check what comes out of it."
        return ObjectFinding(file, row, "yaml", Severity.NOTE, "a template", "YAML", message)
    if "apiVersion" not in content:
        message = f"The file cannot be read ({why.rstrip('.')}), and was left out; it may be another program's."
        return ObjectFinding(file, row, "yaml", Severity.NOTE, why, "YAML", message)
    message = f"The file is not YAML that Kubernetes reads: {why.rstrip('.')}; mend that line."
    return ObjectFinding(file, row, "yaml", Severity.IMPOSSIBLE, why, "YAML", message)


def _folders(parsed: Mapping[str, list[Found]]) -> dict[str, Found]:
    """Kustomizations by the folder that they stand in."""
    return {
        posixpath.dirname(file) or ".": there[0] for file, there in parsed.items() if _is_kustomization(file) and there
    }


def _lists(kustomization: Found) -> Iterator[tuple[str, bool, int]]:
    """The paths that a Kustomization names, whether as objects (or folders of them), and the line."""
    for field in ("resources", "bases", "components", "crds"):
        for index, entry in enumerate(items(kustomization.body, field)):
            if isinstance(entry, str):
                yield entry, True, kustomization.document.row((field, index))
    for field in (
        "patches",
        "patchesStrategicMerge",
        "patchesJson6902",
        "transformers",
        "generators",
        "configurations",
    ):
        for index, entry in enumerate(items(kustomization.body, field)):
            path = entry if isinstance(entry, str) else text(entry, "path")
            if path and "\n" not in path:
                yield path, False, kustomization.document.row((field, index))
    for field in ("configMapGenerator", "secretGenerator"):
        for index, entry in enumerate(items(kustomization.body, field)):
            for path in (*items(entry, "files"), *items(entry, "envs")):
                if isinstance(path, str):
                    yield path.partition("=")[2] or path, False, kustomization.document.row((field, index))


def _roots(folders: Mapping[str, Found]) -> list[str]:
    named = {
        posixpath.normpath(posixpath.join(folder, entry))
        for folder, kustomization in folders.items()
        for entry, objects, _ in _lists(kustomization)
        if objects
    }
    return [folder for folder in sorted(folders) if folder not in named and folders[folder].kind != "Component"]


@dataclass(frozen=True)
class _Listed:
    """What a root lists: files with objects, files that it uses otherwise, what is not there, what is elsewhere."""

    objects: set[str]
    parts: set[str]
    missing: list[ObjectFinding]
    remote: list[str]


def _members(folders: Mapping[str, Found], root: str, files: set[str]) -> _Listed:
    listed = _Listed(set(), set(), [], [])
    top = posixpath.commonpath([posixpath.dirname(file) or "." for file in files]) if len(files) > 1 else root
    pending, seen = [root], set[str]()
    while pending:
        folder = pending.pop()
        if folder in seen:
            continue
        seen.add(folder)
        for chart in (
            *items(folders[folder].body, "helmCharts"),
            *items(folders[folder].body, "helmChartInflationGenerator"),
        ):
            listed.remote.append(f"the chart {text(chart, 'name')}")
        for entry, objects, row in _lists(folders[folder]):
            path = posixpath.normpath(posixpath.join(folder, entry))
            if "://" in entry or "?ref=" in entry or entry.startswith(("github.com/", "git@")):
                listed.remote.append(entry)
            elif path in folders:
                pending.append(path)
            elif path in files:
                (listed.objects if objects else listed.parts).add(path)
            elif top in (".", "") or path.startswith(f"{top}/"):
                listed.missing.append(_missing(folders[folder], entry, row))
    return listed


def _missing(kustomization: Found, entry: str, row: int) -> ObjectFinding:
    message = f"The Kustomization names {entry}, which is not there; add it, or take the line out."
    return ObjectFinding(kustomization.file, row, "kustomize", Severity.IMPOSSIBLE, entry, "a file or folder", message)


def _unbuilt(file: str, root: str, error: str) -> ObjectFinding:
    told = " ".join(error.split())[:300].rstrip(".")
    message = f"kubectl cannot build {root}: {told}; mend what it names."
    return ObjectFinding(file, 0, "kustomize", Severity.IMPOSSIBLE, told, "objects", message)


def _placed(output: str, raw: list[Found], file: str) -> Iterator[Found]:
    """Built objects, each with the file and the lines of what it was built from; else those of the Kustomization."""
    sources: dict[Any, Found] = {found.identity: found for found in raw}
    loose: dict[Any, Found] = {(found.kind, found.name): found for found in raw}
    for document in yaml.load_all(output):
        made = Found(file, document)
        source = sources.get(made.identity) or loose.get((made.kind, made.name))
        if source is None:
            yield Found(file, yaml.Document(document.value))
        else:
            yield Found(source.file, yaml.Document(mapping(document.value), source.document.node))


def documents(files: Mapping[str, str]) -> list[Found]:
    """All objects among files, Kustomizations included, whatever lists them; what cannot be read is left out."""
    return [found for there in _parsed(files)[0].values() for found in there]
