"""Create, replace, patch, apply, delete: what becomes of an object, before it is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from kube_api import calls, checking, defaults, lifetimes, merging, ownership, requests, selectors
from kube_api.calls import Call, Written
from kube_api.ownership import Owner
from kube_api.requests import Cause, Object, Refusal, Request, copied
from kube_api.store import Store, Stored

APPLY = ("application/apply-patch+yaml", "application/apply-patch+json")
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
CONDITIONAL = {"Lease", "PodDisruptionBudget"}
"""Built-in kinds that are replaced only at a resource version; so are all custom resources."""
CREATED_BY_PUT = {"Lease", "Event"}
STATUS = frozenset({("f:status",)})


class Writer:
    """Turns writes into changes of the store. Uids are numbered, so that equal runs are equal."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._born = 0

    def fork(self, store: Store) -> Writer:
        """Another, whose next uid is the next here."""
        twin = Writer(store)
        twin._born = self._born
        return twin

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
        self._born_into(call, found)
        owner = Owner("Update", call.manager, resource.api_version, call.subresource)
        shown = resource.shown(found)
        keep = STATUS if resource.status_apart else frozenset()
        owners = ownership.updated(
            {}, owner, calls.rfc3339(call.now_s), lifetimes.newborn(resource), shown, resource.shape, keep
        )
        lifetimes.own(found, owners)
        defaults.admit(resource.kind, found)
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
            raise requests.invalid(call.resource.group, call.resource.plural, call.name, [cause])
        return self._update(call, before, sent)

    def merge(self, call: Call, patch: Object) -> Written:
        before = self._existing(call)
        result = merging.patched(copied(call.resource.shown(before.object)), patch)
        return self._update(call, before, result, patched=True)

    def strategic(self, call: Call, patch: Object) -> Written:
        before = self._existing(call)
        result = merging.strategic(call.resource.shown(before.object), patch, call.resource.shape)
        return self._update(call, before, copied(result), patched=True)

    def apply(self, call: Call, config: Object, *, force: bool) -> Written:
        resource = call.resource
        said_namespace = config.get("metadata", {}).get("namespace", "")
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
        if version and before and version != before.object["metadata"]["resourceVersion"]:
            raise requests.moved_on(*call.refusal_names)
        unknown: list[str] = []
        checking.pruned(config, resource.shape, "", unknown, [])
        if unknown:
            raise calls.undeclared(call, said_namespace, unknown)
        live = copied(resource.shown(before.object)) if before else lifetimes.newborn(resource)
        owners = ownership.read(live.get("metadata", {}).get("managedFields", []))
        who = Owner("Apply", call.manager, resource.api_version, call.subresource)
        time = calls.rfc3339(call.now_s)
        done = ownership.apply(live, owners, lifetimes.heeded(call, config), who, time, resource.shape, force=force)
        result = copied(done.object)
        if before is None:
            found, warnings = self._taken(call, result)
            self._born_into(call, found)
            lifetimes.own(found, done.owners)
            defaults.admit(resource.kind, found)
            return Written(self._store(call, found), created=True, warnings=warnings)
        return self._update(call, before, result, owners=done.owners, patched=True)

    def delete(self, call: Call, options: Object) -> Written:
        before = self._existing(call)
        metadata = before.object["metadata"]
        wanted = options.get("preconditions") or {}
        for key, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if key in wanted and wanted[key] != metadata[key]:
                why = requests.precondition(label, wanted[key], metadata[key])
                raise requests.moved_on(call.resource.group, call.resource.kind, call.name, why)
        finalizers = list(metadata.get("finalizers", ()))
        policy = options.get("propagationPolicy", "Background")
        extra = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy)
        if extra and extra not in finalizers:
            finalizers.append(extra)
        grace_s = self._grace_s(call, before, options)
        if not finalizers and not grace_s and call.resource.kind != "Namespace":
            last = before if call.dry_run else self.store.remove(call.resource.storage, before.key)
            if call.resource.kind == "Pod":
                last = Stored(lifetimes.dying(call, last, grace_s, finalizers), last.revision)
            return Written(last, removed=True)
        if "deletionTimestamp" in metadata and finalizers == list(metadata.get("finalizers", ())):
            return Written(before)
        return Written(self._store(call, lifetimes.dying(call, before, grace_s, finalizers)))

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

    def _taken(
        self, call: Call, sent: Object, before: Stored | None = None, *, patched: bool = False
    ) -> tuple[Object, tuple[str, ...]]:
        """As it would be stored: pruned, with defaults, and checked."""
        resource = call.resource
        unknown: list[str] = []
        wrong: list[str] = []
        found = checking.pruned(sent, resource.shape, "", unknown, wrong)
        if unknown and call.strict:
            raise calls.unknown(call, unknown, patched=patched)
        if wrong:
            raise calls.unreadable(call, wrong[0], patched=patched)
        resource.default(found)
        taken = resource.taken(found)
        self._check(call, found, taken, before)
        return taken, tuple(f'unknown field "{path}"' for path in unknown)

    def _check(self, call: Call, found: Object, taken: Object, before: Stored | None) -> None:
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
            if before is not None:
                causes += checking.change(resource.kind, resource.group, before.object, taken)
        if causes:
            group = "" if resource.kind == "Event" else resource.group
            raise requests.invalid(group, resource.kind, name, causes)

    def _born_into(self, call: Call, found: Object) -> None:
        resource, metadata = call.resource, found["metadata"]
        namespace = call.namespace
        if resource.namespaced and not self._namespace_open(namespace):
            raise requests.not_found("", "namespaces", namespace)
        self._born += 1
        metadata["uid"] = f"{self._born:08x}-0000-4000-8000-000000000000"
        metadata["creationTimestamp"] = calls.rfc3339(call.now_s)
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "managedFields"):
            metadata.pop(name, None)
        if resource.counts:
            metadata["generation"] = 1
        if resource.kind == "Service" and found["spec"].get("clusterIP") is None:
            address = f"10.96.{self._born // 250}.{self._born % 250 + 1}"
            found["spec"].update(clusterIP=address, clusterIPs=[address])
        if resource.status_apart:
            status = defaults.status_at_birth(resource.kind, found.get("status")) if resource.typed else None
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
            why = requests.another(resource.plural, call.namespace, call.name, metadata["uid"], known["uid"])
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
            sent = {**copied(old), **({"status": sent["status"]} if "status" in sent else {})}
        elif resource.status_apart:
            sent.pop("status", None)
            if "status" in old:
                sent["status"] = copied(old["status"])
        found, warnings = self._taken(call, sent, before, patched=patched)
        after = resource.shown(found)
        if lifetimes.substance(after) != lifetimes.substance(old) and lifetimes.counted(resource, old, after):
            found["metadata"]["generation"] = known.get("generation", 0) + 1
        if owners is None:
            # An empty list that is sent wipes what was there: somebody tells that he does not care who owned it.
            start = {} if said == [{}] or said == [] else ownership.read(known.get("managedFields", []))
            who = Owner("Update", call.manager, resource.api_version, call.subresource)
            if lifetimes.tracked(call, start):
                owners = ownership.updated(
                    start, who, calls.rfc3339(call.now_s), old, after, resource.shape, frozenset()
                )
            else:
                owners = start
        lifetimes.own(found, owners)
        if found == before.object or lifetimes.but_for_times(found) == lifetimes.but_for_times(before.object):
            return Written(before, warnings=warnings)
        if lifetimes.has_no_reason_to_stay(found):
            # The last change is not stored by itself: the object is shown at the version that it had before.
            if not call.dry_run:
                self.store.remove(resource.storage, before.key)
            return Written(Stored(found, before.revision), removed=True, warnings=warnings)
        return Written(self._store(call, found), warnings=warnings)

    def _store(self, call: Call, found: Object) -> Stored:
        if call.dry_run:
            found["metadata"].setdefault("resourceVersion", "")
            if not found["metadata"]["resourceVersion"]:
                del found["metadata"]["resourceVersion"]
            return Stored(found, self.store.revision)
        return self.store.put(call.resource.storage, found)


def read_body(request: Request) -> Any:
    try:
        return json.loads(request.body) if request.body else {}
    except ValueError as error:
        raise requests.bad_request(f"the object provided is unrecognized (must be JSON): {error}") from error
