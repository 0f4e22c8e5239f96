"""Objects that are applied together, and the pods among them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from holdfast.manifests.checks.objects import Found, Mapping, at, items, mapping, text
from holdfast.manifests.yaml import Path


@dataclass(frozen=True, eq=False)
class Container:
    """One container of a workload. starts: whether it is one of initContainers."""

    workload: Workload
    path: Path
    spec: Mapping
    starts: bool

    @property
    def name(self) -> str:
        return text(self.spec, "name") or "?"

    @property
    def stays(self) -> bool:
        """Whether it runs as long as the pod: containers, and initContainers that are sidecars."""
        return not self.starts or text(self.spec, "restartPolicy") == "Always"

    @property
    def words(self) -> list[str]:
        """Its command and arguments, shell scripts taken apart."""
        given = [word for key in ("command", "args") for word in items(self.spec, key) if isinstance(word, str)]
        return [part for word in given for part in (_shell_words(word) if _is_script(word) else [word])]

    def argument(self, flag: str) -> str | None:
        """The value of `--flag=value` or `--flag value`."""
        words = self.words
        for index, word in enumerate(words):
            if word.startswith(f"{flag}="):
                return word.partition("=")[2].strip("'\"")
            if word == flag and index + 1 < len(words):
                return words[index + 1].strip("'\"")
        return None

    def environment(self, name: str) -> Any:
        """The entry of `env` with that name; None when there is none."""
        return next((entry for entry in items(self.spec, "env") if text(entry, "name") == name), None)


def _is_script(word: str) -> bool:
    """Whether an argument is a line of a shell, and no flag or JSON with blanks in it."""
    return bool(re.search(r"\s", word)) and not word.startswith(("-", "{", "["))


def _shell_words(script: str) -> list[str]:
    try:
        return shlex.split(script, comments=True)
    except ValueError:  # A quote that is not closed: the shell will say so.
        return script.split()


@dataclass(frozen=True, eq=False)
class Workload:
    """A pod template and the object that makes pods of it. path: of the template in the object."""

    owner: Found
    path: Path

    @property
    def template(self) -> Mapping:
        return mapping(self.owner.body, *self.path)

    @property
    def spec(self) -> Mapping:
        return mapping(self.template, "spec")

    @cached_property
    def labels(self) -> Mapping:
        """Labels of its pods, those that controllers add by themselves included."""
        return self._added | mapping(self.template, "metadata", "labels")

    @property
    def _added(self) -> Mapping:
        # lws.sigs.k8s.io/docs/reference/labels-annotations-and-environment-variables; batch/v1 Job.
        name = self.owner.name
        if self.owner.kind == "LeaderWorkerSet":
            leads = self.path[-1] == "leaderTemplate" or self.owner.at(*self.path[:-1], "leaderTemplate") is None
            index = {"leaderworkerset.sigs.k8s.io/worker-index": "0"} if leads else {}
            return {"leaderworkerset.sigs.k8s.io/name": name} | index
        if self.owner.kind == "Job":
            return {"batch.kubernetes.io/job-name": name, "job-name": name}
        return {}

    @property
    def namespace(self) -> str:
        return self.owner.namespace

    @property
    def serves(self) -> bool:
        """Whether its pods stay: no Job."""
        return self.owner.kind not in ("Job", "CronJob")

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        return tuple(
            Container(self, (*self.path, "spec", key, index), mapping(entry), key == "initContainers")
            for key in ("initContainers", "containers")
            for index, entry in enumerate(items(self.spec, key))
        )


_TEMPLATES: dict[str, tuple[Path, ...]] = {
    "Pod": ((),),
    "Deployment": (("spec", "template"),),
    "ReplicaSet": (("spec", "template"),),
    "StatefulSet": (("spec", "template"),),
    "DaemonSet": (("spec", "template"),),
    "Job": (("spec", "template"),),
    "CronJob": (("spec", "jobTemplate", "spec", "template"),),
    "LeaderWorkerSet": (
        ("spec", "leaderWorkerTemplate", "leaderTemplate"),
        ("spec", "leaderWorkerTemplate", "workerTemplate"),
    ),
}


@dataclass(frozen=True, eq=False)
class Tree:
    """Objects that are applied together. known: all that is there besides, which they may refer to."""

    objects: tuple[Found, ...]
    known: tuple[Found, ...] = ()

    @cached_property
    def _by_kind(self) -> dict[str, list[Found]]:
        by_kind: dict[str, list[Found]] = {}
        for found in self.objects:
            by_kind.setdefault(found.kind, []).append(found)
        return by_kind

    def of(self, *kinds: str) -> list[Found]:
        """The objects of those kinds."""
        return [found for kind in kinds for found in self._by_kind.get(kind, [])]

    @cached_property
    def _names(self) -> set[tuple[str, str, str]]:
        return {(found.kind, found.namespace, found.name) for found in (*self.objects, *self.known)}

    @cached_property
    def _kinds(self) -> set[tuple[str, str]]:
        return {(kind, namespace) for kind, namespace, _ in self._names}

    def has(self, kind: str, namespace: str, name: str) -> bool:
        return (kind, namespace, name) in self._names

    def has_any(self, kind: str, namespace: str = "") -> bool:
        """Whether there is any object of the kind in the namespace: without one, nothing is known of them."""
        return (kind, namespace) in self._kinds

    def get(self, kind: str, namespace: str, name: str) -> Found | None:
        """The object, of the tree or else of what is known besides."""
        wanted = (kind, namespace, name)
        everything = (*self.of(kind), *self.known)
        return next((found for found in everything if (found.kind, found.namespace, found.name) == wanted), None)

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        return tuple(
            workload
            for found in self.objects
            for path in _TEMPLATES.get(found.kind, ())
            if (workload := Workload(found, path)).template
        )

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        return tuple(container for workload in self.workloads for container in workload.containers)

    def selected(self, namespace: str, selector: Mapping) -> list[Workload]:
        """The workloads of the namespace whose pods a selector's labels match; none for an empty selector."""
        return [
            one for one in self.workloads if one.namespace == namespace and selector and matches(selector, one.labels)
        ]


def matches(selector: Mapping, labels: Mapping) -> bool:
    """Whether labels have all of a selector's `key: value`."""
    return all(labels.get(key) == value for key, value in selector.items())


def match_labels(selector: Any) -> Mapping | None:
    """The labels of a label selector; None when it has expressions, which are not worked out here."""
    return None if at(selector, "matchExpressions") else mapping(selector, "matchLabels")
