"""Create, replace, patch, apply, delete: what becomes of an object, before it is stored."""

from __future__ import annotations

import copy
import datetime
import json
from dataclasses import dataclass, replace
from typing import Any

from kube_api import checking, defaults, merging, ownership, requests, selectors
from kube_api.ownership import Owner
from kube_api.requests import Cause, Object, Refusal, Request
from kube_api.resources import Resource
from kube_api.store import Store, Stored

APPLY = ("application/apply-patch+yaml", "application/apply-patch+json")
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
CONDITIONAL = {"Lease", "PodDisruptionBudget"}
"""Built-in kinds that are replaced only at a resource version; so are all custom resources."""
CREATED_BY_PUT = {"Lease", "Event"}
NOT_RESET = frozenset({("f:status",)})
"""What a write to an object with a status of its own ignores."""
RESET_BY_STATUS = frozenset({("f:spec",), ("f:metadata",)})


def rfc3339(now_s: float) -> str:
    return datetime.datetime.fromtimestamp(int(now_s), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Call:
    """A write: of what, by whom, how strictly."""

    resource: Resource
    namespace: str
    name: str
    subresource: str
    manager: str
    now_s: float
    dry_run: bool = False
    strict: bool = False

    @property
    def refusal_names(self) -> tuple[str, str, str]:
        return self.resource.group, self.resource.plural, self.name


@dataclass(frozen=True)
class Written:
    """stored: as the client is shown it. created, removed: what happened beside a change of it."""

    stored: Stored
    created: bool = False
    removed: bool = False
    warnings: tuple[str, ...] = ()


class Writer:
    """Turns writes into changes of the store. Uids are numbered, so that equal runs are equal."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._born = 0

    def create(self, call: Call, sent: Object) -> Written:
        resource = call.resource
        metadata = self._metadata_of(call, sent)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName']}{self._born + 1:05x}"
        call = replace(call, name=metadata.get("name", ""))
        if metadata.get("resourceVersion"):
            raise Refusal(500, "", "resourceVersion should not be set on objects to be created")
        found, warnings = self._taken(call, sent)
        if self.store.get(resource.storage, (call.namespace, call.name)) is not None:
            raise requests.already_exists(*call.refusal_names)
        self._born_into(call, found, sent)
        owner = Owner("Update", call.manager, resource.api_version, call.subresource)
        shown = resource.shown(found)
        keep = NOT_RESET if resource.status_apart else frozenset()
        owners = ownership.updated({}, owner, rfc3339(call.now_s), _newborn(resource), shown, resource.shape, keep)
        found["metadata"]["managedFields"] = ownership.written(owners)
        return Written(self._store(call, found), created=True, warnings=warnings)

    def replace(self, call: Call, sent: Object) -> Written:
        before = self.store.get(call.resource.storage, (call.namespace, call.name))
        self._metadata_of(call, sent)
        if before is None:
            if call.resource.kind in CREATED_BY_PUT and not call.subresource:
                if uid := sent["metadata"].get("uid"):
                    raise requests.moved_on(*call.refusal_names, requests.precondition("UID", uid, ""))
                sent["metadata"].pop("resourceVersion", None)
                return self.create(call, sent)
            raise requests.not_found(*call.refusal_names)
        conditional = not call.resource.typed or call.resource.kind in CONDITIONAL
        if conditional and not sent["metadata"].get("resourceVersion"):
            cause = Cause("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
            raise requests.invalid(call.resource.group, call.resource.kind, call.name, [cause])
        return self._update(call, before, sent)

    def merge(self, call: Call, patch: Object) -> Written:
        before = self._existing(call)
        result = merging.patched(copy.deepcopy(call.resource.shown(before.object)), patch)
        return self._update(call, before, result, patched=True)

    def strategic(self, call: Call, patch: Object) -> Written:
        before = self._existing(call)
        result = merging.strategic(call.resource.shown(before.object), patch, call.resource.shape)
        return self._update(call, before, copy.deepcopy(result), patched=True)

    def apply(self, call: Call, config: Object, *, force: bool) -> Written:
        resource = call.resource
        metadata = self._metadata_of(call, config)
        if "managedFields" in metadata:
            raise requests.bad_request("metadata.managedFields must be nil")
        before = self.store.get(resource.storage, (call.namespace, call.name))
        if before is None and call.subresource:
            raise requests.not_found(*call.refusal_names)
        version = metadata.pop("resourceVersion", None)
        if before is None and (uid := metadata.get("uid")):
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise requests.moved_on(*call.refusal_names, why)
        if version and before is not None and version != before.object["metadata"]["resourceVersion"]:
            raise requests.moved_on(*call.refusal_names)
        unknown: list[str] = []
        clean = checking.pruned(config, resource.shape, "", unknown)
        if unknown and (resource.typed or call.strict):
            raise _unknown(call, unknown)
        live = copy.deepcopy(resource.shown(before.object)) if before else _newborn(resource)
        owners = ownership.read(live.get("metadata", {}).get("managedFields", []))
        who = Owner("Apply", call.manager, resource.api_version, call.subresource)
        reset = RESET_BY_STATUS if call.subresource else NOT_RESET if resource.status_apart else frozenset()
        time = rfc3339(call.now_s)
        done = ownership.apply(live, owners, clean, who, time, resource.shape, force=force, reset=reset)
        result = copy.deepcopy(done.object)
        if before is None:
            found, warnings = self._taken(call, result)
            self._born_into(call, found, result)
            found["metadata"]["managedFields"] = ownership.written(done.owners)
            return Written(self._store(call, found), created=True, warnings=warnings)
        return self._update(call, before, result, owners=done.owners, patched=True)

    def delete(self, call: Call, options: Object) -> Written:
        before = self._existing(call)
        metadata = before.object["metadata"]
        wanted = options.get("preconditions") or {}
        for key, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if key in wanted and wanted[key] != metadata[key]:
                raise requests.moved_on(*call.refusal_names, requests.precondition(label, wanted[key], metadata[key]))
        finalizers = list(metadata.get("finalizers", ()))
        policy = options.get("propagationPolicy", "Background")
        extra = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy)
        if extra and extra not in finalizers:
            finalizers.append(extra)
        grace_s = self._grace_s(call, before, options)
        stays = finalizers or grace_s > 0 or call.resource.kind == "Namespace"
        if not stays:
            return Written(
                before if call.dry_run else self.store.remove(call.resource.storage, before.key), removed=True
            )
        if "deletionTimestamp" in metadata and finalizers == list(metadata.get("finalizers", ())):
            return Written(before)
        dying = copy.deepcopy(before.object)
        dying["metadata"].update(
            deletionTimestamp=rfc3339(call.now_s + grace_s), deletionGracePeriodSeconds=grace_s, finalizers=finalizers
        )
        if not finalizers:
            del dying["metadata"]["finalizers"]
        if "generation" in dying["metadata"]:
            dying["metadata"]["generation"] += 1
        if call.resource.kind == "Namespace":
            dying["status"]["phase"] = "Terminating"
        return Written(self._store(call, dying))

    def _grace_s(self, call: Call, before: Stored, options: Object) -> int:
        """Of pods that are on a node: whoever runs them there says when they are gone."""
        if call.resource.kind != "Pod" or not before.object["spec"].get("nodeName"):
            return 0
        if selectors.at(before.object, "status.phase") in ("Succeeded", "Failed"):
            return 0
        named = options.get("gracePeriodSeconds")
        return int(before.object["spec"].get("terminationGracePeriodSeconds", 30) if named is None else named)

    def _existing(self, call: Call) -> Stored:
        before = self.store.get(call.resource.storage, (call.namespace, call.name))
        if before is None:
            raise requests.not_found(*call.refusal_names)
        return before

    def _metadata_of(self, call: Call, sent: Object) -> Object:
        resource = call.resource
        if sent.get("kind", resource.kind) != resource.kind or sent.get("apiVersion") not in (
            resource.api_version,
            None,
        ):
            raise requests.bad_request(
                f"the API version in the data ({sent.get('apiVersion')}) does not match the expected API version "
                f"({resource.api_version})"
            )
        sent.update(kind=resource.kind, apiVersion=resource.api_version)
        metadata: Object = sent.setdefault("metadata", {})
        if metadata.setdefault("namespace", call.namespace) != call.namespace:
            raise requests.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if not resource.namespaced:
            del metadata["namespace"]
        if call.name and metadata.setdefault("name", call.name) != call.name:
            raise requests.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({call.name})"
            )
        return metadata

    def _taken(self, call: Call, sent: Object) -> tuple[Object, tuple[str, ...]]:
        """As it would be stored: pruned, with defaults, and checked."""
        resource = call.resource
        unknown: list[str] = []
        found = checking.pruned(sent, resource.shape, "", unknown)
        if unknown and call.strict:
            raise _unknown(call, unknown)
        resource.default(found)
        self._check(call, found)
        return resource.taken(found), tuple(f'unknown field "{path}"' for path in unknown)

    def _check(self, call: Call, found: Object) -> None:
        resource = call.resource
        name = found["metadata"].get("name", "")
        causes = []
        if not name:
            causes = [Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")]
        elif not checking.NAME.match(name) and resource.group != "rbac.authorization.k8s.io":
            causes = [Cause("metadata.name", f'Invalid value: "{name}": {checking.NAME_RULE}')]
        if resource.schema is not None:
            schema = {k: v for k, v in resource.schema.schema.items() if k != "properties"}
            declared = {k: v for k, v in resource.schema.schema["properties"].items() if k != "metadata"}
            causes += checking.causes(found, {**schema, "properties": declared}, "")
        else:
            causes += checking.built_in(resource.kind, found)
        if causes:
            raise requests.invalid(resource.group, resource.kind, name, causes)

    def _born_into(self, call: Call, found: Object, sent: Object) -> None:
        resource, metadata = call.resource, found["metadata"]
        namespace = call.namespace
        if resource.namespaced and not self._namespace_open(namespace):
            raise requests.not_found("", "namespaces", namespace)
        self._born += 1
        metadata["uid"] = f"{self._born:08x}-0000-4000-8000-000000000000"
        metadata["creationTimestamp"] = rfc3339(call.now_s)
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "managedFields"):
            metadata.pop(name, None)
        if resource.counts:
            metadata["generation"] = 1
        if resource.status_apart:
            status = defaults.status_at_birth(resource.kind, sent.get("status")) if resource.typed else None
            found.pop("status", None)
            if status is not None:
                found["status"] = status

    def _namespace_open(self, namespace: str) -> bool:
        found = self.store.get("namespaces.", ("", namespace))
        return found is not None and "deletionTimestamp" not in found.object["metadata"]

    def _update(
        self, call: Call, before: Stored, sent: Object, *, owners: ownership.Owners | None = None, patched: bool = False
    ) -> Written:
        resource = call.resource
        old = resource.shown(before.object)
        metadata, known = sent["metadata"], old["metadata"]
        if metadata.get("uid", known["uid"]) != known["uid"]:
            why = requests.precondition("UID", metadata["uid"], known["uid"])
            raise requests.moved_on(*call.refusal_names, why)
        if metadata.get("resourceVersion", known["resourceVersion"]) != known["resourceVersion"]:
            raise requests.moved_on(*call.refusal_names)
        for name in ("name", "namespace"):
            if patched and metadata.get(name) != known.get(name):
                raise requests.bad_request(f"the {name} of the object does not match the {name} on the URL")
        said = metadata.get("managedFields")
        for name in (
            "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink",
            "deletionTimestamp", "deletionGracePeriodSeconds",
        ):  # fmt: skip
            metadata.pop(name, None)
            if name in known:
                metadata[name] = known[name]
        if call.subresource == "status":
            # Labels and annotations could be changed there for some built-in kinds; nobody here does.
            sent = {**copy.deepcopy(old), **({"status": sent["status"]} if "status" in sent else {})}
        elif resource.status_apart:
            sent.pop("status", None)
            if "status" in old:
                sent["status"] = copy.deepcopy(old["status"])
        found, warnings = self._taken(call, sent)
        after = resource.shown(found)
        if _substance(after) != _substance(old) and _counted(resource, old, after):
            found["metadata"]["generation"] = known.get("generation", 0) + 1
        if owners is None:
            # An empty list that is sent wipes what was there: somebody tells that he does not care who owned it.
            start = {} if said == [{}] or said == [] else ownership.read(known.get("managedFields", []))
            who = Owner("Update", call.manager, resource.api_version, call.subresource)
            owners = ownership.updated(start, who, rfc3339(call.now_s), old, after, resource.shape, frozenset())
        found["metadata"]["managedFields"] = ownership.written(owners)
        if not found["metadata"]["managedFields"]:
            del found["metadata"]["managedFields"]
        if found == before.object or _but_for_times(found) == _but_for_times(before.object):
            return Written(before, warnings=warnings)
        if _has_no_reason_to_stay(found):
            stored = self._store(call, found)
            if not call.dry_run:
                self.store.remove(resource.storage, stored.key)
            return Written(stored, removed=True, warnings=warnings)
        return Written(self._store(call, found), warnings=warnings)

    def _store(self, call: Call, found: Object) -> Stored:
        if call.dry_run:
            found["metadata"].setdefault("resourceVersion", "")
            if not found["metadata"]["resourceVersion"]:
                del found["metadata"]["resourceVersion"]
            return Stored(found, self.store.revision)
        return self.store.put(call.resource.storage, found)


def _has_no_reason_to_stay(found: Object) -> bool:
    """It is being deleted, and neither a finalizer nor a grace period nor what is in it keeps it."""
    metadata = found["metadata"]
    kept = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds") or found["kind"] == "Namespace"
    return "deletionTimestamp" in metadata and not kept


def _newborn(resource: Resource) -> Object:
    """What is there before a create: a struct of Go has its fields, a custom resource nothing."""
    return {"metadata": {}, "spec": {}, "status": {}} if resource.typed else {"metadata": {}}


def _substance(found: Object) -> Object:
    """Without what the server itself writes."""
    metadata = {
        name: value
        for name, value in found["metadata"].items()
        if name not in ("managedFields", "resourceVersion", "generation")
    }
    return {**found, "metadata": metadata}


def _but_for_times(found: Object) -> Object:
    entries = [{**entry, "time": ""} for entry in found["metadata"].get("managedFields", ())]
    return {**_substance(found), "managedFields": entries, "generation": found["metadata"].get("generation")}


def _counted(resource: Resource, old: Object, new: Object) -> bool:
    """Whether the change raises the generation."""
    if not resource.counts:
        return False
    if resource.typed:
        annotated = resource.kind == "Deployment"
        return old.get("spec") != new.get("spec") or (
            annotated and old["metadata"].get("annotations") != new["metadata"].get("annotations")
        )
    uncounted = {"metadata", "status"} if resource.status_apart else {"metadata"}
    return any(old.get(name) != new.get(name) for name in {*old, *new} - uncounted)


def _unknown(call: Call, unknown: list[str]) -> Refusal:
    listed = ", ".join(f'unknown field "{path}"' for path in unknown)
    return requests.bad_request(f"strict decoding error: {listed}")


def read_body(request: Request) -> Any:
    try:
        return json.loads(request.body) if request.body else {}
    except ValueError as error:
        raise requests.bad_request(f"the object provided is unrecognized (must be JSON): {error}") from error
