"""The API server as a value: a request and the time in, an answer or a watch out. No sockets, no threads, no clock.

Left out: authentication, RBAC, admission webhooks, protobuf, tables, CEL rules.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import yaml

from kube_api import calls, collecting, discovery, requests, resources, selectors, views, writing
from kube_api.calls import Call, Written
from kube_api.requests import Answer, Object, Refusal, Request, copied, encoded
from kube_api.resources import Resource
from kube_api.selectors import Wanted
from kube_api.store import Change, Store, Stored
from kube_api.watching import FIRST_END_S, Subscription
from kube_api.writing import Writer

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class Api:
    """One cluster. definitions: CustomResourceDefinitions that are there from the start."""

    def __init__(self, definitions: Iterable[Object] = (), *, now_s: float = 0.0, kept: int = 20_000) -> None:
        self.store = Store(kept=kept)
        self.store.changed = self._changed
        self.litter = False
        """Whether something was deleted since the last `collect`."""
        self.requests = 0
        self._writer = Writer(self.store)
        self._watches: list[Subscription] = []
        self._pages: dict[str, tuple[int, list[Stored]]] = {}
        self._resources = {(r.group, r.version, r.plural): r for r in resources.BUILT_IN}
        for name in NAMESPACES:
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, now_s)
        for definition in definitions:
            self.create(definition, now_s)

    def fork(self) -> Api:
        """Another cluster, as this one is now: what is shared is never changed."""
        twin = copy.copy(self)
        twin.store = self.store.fork()
        twin.store.changed = twin._changed
        twin._writer = self._writer.fork(twin.store)
        twin._watches, twin._pages, twin._resources = [], {}, dict(self._resources)
        return twin

    @property
    def resources(self) -> list[Resource]:
        return list(self._resources.values())

    def handle(self, request: Request, now_s: float) -> Answer | Subscription:
        self.requests += 1
        try:
            return self._handle(request, now_s)
        except Refusal as refusal:
            return refusal.answer

    def create(self, found: Object, now_s: float) -> Object:
        """For tests that set a scene: stores an object as a client would. Raises Refusal."""
        resource = self.resource_of(found)
        namespace = found["metadata"].get("namespace", "default") if resource.namespaced else ""
        call = Call(resource, namespace, found["metadata"].get("name", ""), "", "test", now_s)
        return self._writer.create(call, copy.deepcopy(found)).stored.object

    def resource_of(self, found: Object) -> Resource:
        """Raises KeyError for a kind that is not served."""
        wanted = found["apiVersion"], found["kind"]
        for resource in self._resources.values():
            if (resource.api_version, resource.kind) == wanted:
                return resource
        raise KeyError(wanted)

    def collect(self, now_s: float) -> bool:
        """One round of garbage collection, and of emptying dying namespaces. Whether anything was done."""
        self.litter = False
        self.litter = collecting.collect(self.store, self._writer, self.resources, now_s)
        return self.litter

    def compact(self) -> None:
        """Forgets old versions: watches from before now, and pages of old lists, are answered 410."""
        self.store.compact()
        self._pages.clear()

    def end_watches(self, status: Object | None = None) -> None:
        """Ends all streams, with an error in them if one is given."""
        for watch in list(self._watches):
            if status is None:
                watch.end()
            else:
                watch.fail(status)

    def forget(self, watch: Subscription) -> None:
        """The client is gone."""
        if watch in self._watches:
            self._watches.remove(watch)

    def _handle(self, request: Request, now_s: float) -> Answer | Subscription:
        parts = [part for part in request.path.split("/") if part]
        found = discovery.answer(parts, self.resources) if request.method == "GET" else None
        if found is not None:
            return found
        if parts[:1] == ["apis"] and not any(parts[1:3] == [r.group, r.version] for r in self.resources):
            return requests.no_such_path()
        resource, namespace, name, subresource = self._route(parts)
        if request.method == "GET":
            return self._read(request, resource, namespace, name, subresource, now_s)
        if not name and request.method == "DELETE":
            return self._delete_all(request, resource, namespace, now_s)
        if bool(name) == (request.method == "POST") and subresource != "binding":
            raise requests.method_not_allowed()
        query = request.query
        call = Call(
            resource,
            namespace,
            name,
            subresource,
            query.get("fieldManager") or request.headers.get("user-agent", "").partition("/")[0] or "unknown",
            now_s,
            dry_run=query.get("dryRun") == "All",
            strict=query.get("fieldValidation") == "Strict",
        )
        if request.method == "DELETE":
            return self._delete(request, call)
        if subresource == "scale":
            return self._scale(request, call)
        if subresource == "binding":
            return self._bind(request, call)
        return self._answer_write(self._write(request, call), resource)

    def _route(self, parts: list[str]) -> tuple[Resource, str, str, str]:
        if parts[:1] == ["api"] and len(parts) > 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[:1] == ["apis"] and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            raise requests.nowhere()
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        resource = self._resources.get((group, version, rest[0]))
        if resource is None or len(rest) > 3:
            raise requests.nowhere()
        name, subresource = (*rest[1:], "", "")[:2]
        if subresource and subresource not in resource.subresources:
            raise requests.nowhere()
        if (namespace and not resource.namespaced) or (name and resource.namespaced and not namespace):
            raise requests.nowhere()
        return resource, namespace, name, subresource

    def _read(
        self, request: Request, resource: Resource, namespace: str, name: str, subresource: str, now_s: float
    ) -> Answer | Subscription:
        if not name:
            wanted = views.wanted(request, resource)
            if request.watches:
                return self._watch(request, resource, namespace, wanted, now_s)
            return self._list(request, resource, namespace, wanted)
        stored = self.store.get(resource.storage, (namespace, name))
        if stored is None:
            raise requests.not_found(resource.group, resource.plural, name)
        if subresource == "scale":
            return Answer(200, encoded(discovery.scale_of(resource, stored.object)))
        return Answer(200, views.view(resource, stored))

    def _list(self, request: Request, resource: Resource, namespace: str, wanted: Wanted) -> Answer:
        token = request.query.get("continue", "")
        if token:
            if not views.is_token(token):
                raise requests.bad_request("invalid continue token")
            if token not in self._pages:
                raise requests.expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start a "
                    "new list without the continue parameter."
                )
            revision, found = self._pages.pop(token)
        else:
            revision = self.store.revision
            found = [
                stored
                for stored in self.store.all(resource.storage)
                if namespace in ("", stored.key[0]) and wanted(resource.shown(stored.object))
            ]
        limit = int(request.query.get("limit") or 0)
        metadata: Object = {"resourceVersion": str(revision)}
        if not resource.typed:
            metadata["continue"] = ""
        if limit and len(found) > limit:
            found, rest = found[:limit], found[limit:]
            text = f"page/{revision}/{resource.storage}/{namespace}/{len(rest)}/{self.requests}"
            metadata["continue"] = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
            if wanted is selectors.everything:
                metadata["remainingItemCount"] = len(rest)
            self._pages[metadata["continue"]] = (revision, rest)
        return views.listed(resource, found, metadata)

    def _watch(
        self, request: Request, resource: Resource, namespace: str, wanted: Wanted, now_s: float
    ) -> Subscription:
        query = request.query
        watch = Subscription(
            resource,
            namespace,
            wanted,
            now_s=now_s,
            timeout_s=float(query.get("timeoutSeconds") or FIRST_END_S),
            bookmarks=query.get("allowWatchBookmarks", "") in ("1", "true"),
            shown=views.view,
        )
        version = query.get("resourceVersion", "")
        initial = query.get("sendInitialEvents") == "true"
        if initial or version in ("", "0"):
            watch.begin(self.store.all(resource.storage), self.store.revision, told_end=initial)
        else:
            self._resume(watch, version)
        self._watches.append(watch)
        return watch

    def _resume(self, watch: Subscription, version: str) -> None:
        if not version.isdigit():
            parsing = f'strconv.ParseUint: parsing "{version}": invalid syntax'
            raise Refusal(500, "", f'resourceVersion: Invalid value: "{version}": {parsing}')
        since = int(version)
        if since > self.store.revision:
            raise Refusal(
                504,
                "Timeout",
                f"Too large resource version: {since}, current: {self.store.revision}",
                {
                    "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                    "retryAfterSeconds": 1,
                },
            )
        if since < self.store.compacted:
            gone = requests.expired(f"too old resource version: {since} ({self.store.compacted})")
            watch.fail(gone.status)
            return
        watch.reach(since)
        for change in self.store.since(watch.resource.storage, since):
            watch.tell(change)
        watch.reach(self.store.revision)

    def _write(self, request: Request, call: Call) -> Written:
        content = request.headers.get("content-type", "application/json").partition(";")[0].strip()
        if request.method != "PATCH" and content != "application/json":
            raise requests.unsupported_media_type()
        if request.method == "PATCH":
            return self._patch(request, call, content)
        sent = writing.read_body(request)
        if request.method == "POST":
            return self._writer.create(call, sent)
        if request.method == "PUT":
            return self._writer.replace(call, sent)
        raise requests.method_not_allowed()

    def _patch(self, request: Request, call: Call, content: str) -> Written:
        if content in writing.APPLY:
            if not request.query.get("fieldManager"):
                cause = requests.Cause(
                    "fieldManager", "Required value: is required for apply patch", "FieldValueRequired"
                )
                raise requests.invalid("meta.k8s.io", "PatchOptions", "", [cause])
            config = yaml.safe_load(request.body) if content.endswith("yaml") and request.body[:1] != b"{" else None
            force = request.query.get("force", "") in ("1", "true")
            return self._writer.apply(call, config or writing.read_body(request), force=force)
        if content == writing.MERGE:
            return self._writer.merge(call, writing.read_body(request))
        if content == writing.STRATEGIC and call.resource.typed:
            return self._writer.strategic(call, writing.read_body(request))
        raise requests.unsupported_media_type()

    def _answer_write(self, written: Written, resource: Resource) -> Answer:
        headers = {"content-type": "application/json"}
        if written.warnings:
            headers["warning"] = ", ".join('299 - "' + text.replace('"', '\\"') + '"' for text in written.warnings)
        return Answer(201 if written.created else 200, views.view(resource, written.stored), headers)

    def _delete(self, request: Request, call: Call) -> Answer:
        if call.subresource:
            raise requests.method_not_allowed()
        options = views.options(request)
        call = replace(call, dry_run=call.dry_run or options.get("dryRun") == ["All"])
        done = self._writer.delete(call, options)
        self.litter = True
        if not done.removed or call.resource.deleted_object_returned:
            return Answer(200, views.view(call.resource, done.stored))
        names: Object = {"name": call.name}
        if call.resource.group:
            names["group"] = call.resource.group
        details = {**names, "kind": call.resource.plural, "uid": done.stored.object["metadata"]["uid"]}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return Answer(200, encoded(status))

    def _delete_all(self, request: Request, resource: Resource, namespace: str, now_s: float) -> Answer:
        wanted = views.wanted(request, resource)
        found = [s for s in self.store.all(resource.storage) if namespace in ("", s.key[0]) and wanted(s.object)]
        for stored in found:
            self._writer.delete(Call(resource, stored.key[0], stored.key[1], "", "", now_s), views.options(request))
        self.litter = True
        return views.listed(resource, found, {"resourceVersion": str(self.store.revision)})

    def _scale(self, request: Request, call: Call) -> Answer:
        before = self.store.get(call.resource.storage, (call.namespace, call.name))
        if before is None:
            raise requests.not_found(*call.refusal_names)
        sent = writing.read_body(request)
        replicas = selectors.at(sent, "spec.replicas")
        patch: Any = replicas
        for part in reversed(call.resource.scale_paths[0].split(".")):
            patch = {part: patch}
        done = self._writer.merge(call, patch)
        return Answer(200, encoded(discovery.scale_of(call.resource, done.stored.object)))

    def _bind(self, request: Request, call: Call) -> Answer:
        """A scheduler puts a pod on a node."""
        node = selectors.at(writing.read_body(request), "target.name")
        found = self.store.get(call.resource.storage, (call.namespace, call.name))
        if found is None:
            raise requests.not_found(*call.refusal_names)
        if found.object["spec"].get("nodeName"):
            why = f'pod {call.name} is already assigned to node "{found.object["spec"]["nodeName"]}"'
            raise requests.moved_on(
                call.resource.group, "pods/binding", call.name, f"Operation cannot be fulfilled: {why}"
            )
        bound = copied(found.object)
        bound["spec"]["nodeName"] = node
        time = calls.rfc3339(call.now_s)
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": time}
        kept = [c for c in bound["status"].get("conditions", ()) if c["type"] != "PodScheduled"]
        bound["status"]["conditions"] = [*kept, scheduled]
        self.store.put(call.resource.storage, bound)
        return Answer(
            201, encoded({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
        )

    def _changed(self, change: Change) -> None:
        if change.storage == DEFINITIONS:
            self._define(change)
        for watch in self._watches:
            watch.tell(change)

    def _define(self, change: Change) -> None:
        last = change.last.object
        if change.before is not None:
            for resource in resources.of_definition(change.before.object):
                self._resources.pop((resource.group, resource.version, resource.plural), None)
        if change.after is not None:
            for resource in resources.of_definition(last):
                self._resources[resource.group, resource.version, resource.plural] = resource
        elif change.before is not None:
            names = resources.of_definition(last)
            for stored in self.store.all(names[0].storage) if names else []:
                self.store.remove(names[0].storage, stored.key)
