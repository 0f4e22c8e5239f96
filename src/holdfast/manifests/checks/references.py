"""What objects refer to by name: config maps, claims, secrets, service accounts, device claims.

A service account is missed only where the namespace has any: files may be a part of what is applied. Secrets belong in
no repository; one that is not there is a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks.objects import Found, Mapping, items, mapping, text
from holdfast.manifests.checks.trees import Tree, Workload
from holdfast.manifests.yaml import Path
from holdfast.model.findings import ObjectFinding

_MADE = "kube-root-ca.crt"
"""The ConfigMap that Kubernetes makes in every namespace."""

_GIVE_SECRETS = ("Secret", "ExternalSecret", "SealedSecret", "SecretProviderClass")


def workloads(tree: Tree) -> Sequence[Workload]:
    return tree.workloads


def present(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """Config maps, volume claims, service accounts and resource claims of a pod are there."""
    owner = workload.owner
    for path, kind, name, optional in _named(workload):
        if kind == "Secret" or optional or name == _MADE or tree.has(kind, owner.namespace, name):
            continue
        if kind == "ServiceAccount" and (name == "default" or not tree.has_any(kind, owner.namespace)):
            continue
        what, mend = f"it uses {kind} {name}, which is not there", "add it, or name one that is there"
        yield owner.doubtful(path, name, f"a {kind}", what, mend)
    volumes = {text(volume, "name") for volume in items(workload.spec, "volumes")}
    volumes |= {text(claim, "metadata", "name") for claim in items(owner.body, "spec", "volumeClaimTemplates")}
    for container in workload.containers:
        for index, mount in enumerate(items(container.spec, "volumeMounts")):
            if text(mount, "name") not in volumes:
                what = f"{container.name} mounts volume {text(mount, 'name')}, which the pod does not have"
                path = (*container.path, "volumeMounts", index)
                yield owner.wrong(
                    path, text(mount, "name"), ", ".join(sorted(volumes)), what, "name one of its volumes"
                )
    claims = {text(claim, "name") for claim in items(workload.spec, "resourceClaims")}
    for container in workload.containers:
        for index, claim in enumerate(items(container.spec, "resources", "claims")):
            if text(claim, "name") not in claims:
                what = f"{container.name} uses claim {text(claim, 'name')}, which the pod does not make"
                path = (*container.path, "resources", "claims", index)
                yield owner.wrong(
                    path, text(claim, "name"), ", ".join(sorted(claims)), what, "name one of resourceClaims"
                )


def _named(workload: Workload) -> Iterator[tuple[Path, str, str, bool]]:
    """Path, kind, name and whether it may be missing, of all that a pod refers to."""
    spec, base = workload.spec, (*workload.path, "spec")
    account = text(spec, "serviceAccountName")
    if account:
        yield (*base, "serviceAccountName"), "ServiceAccount", account, False
    for index, volume in enumerate(items(spec, "volumes")):
        path: Path = (*base, "volumes", index)
        yield from _reference(path, "ConfigMap", mapping(volume, "configMap"), "name")
        yield from _reference(path, "Secret", mapping(volume, "secret"), "secretName")
        yield from _reference(path, "PersistentVolumeClaim", mapping(volume, "persistentVolumeClaim"), "claimName")
        for source in items(volume, "projected", "sources"):
            yield from _reference(path, "ConfigMap", mapping(source, "configMap"), "name")
            yield from _reference(path, "Secret", mapping(source, "secret"), "name")
    for index, claim in enumerate(items(spec, "resourceClaims")):
        path = (*base, "resourceClaims", index)
        yield from _reference(path, "ResourceClaimTemplate", mapping(claim), "resourceClaimTemplateName")
        yield from _reference(path, "ResourceClaim", mapping(claim), "resourceClaimName")
    for container in workload.containers:
        for index, entry in enumerate(items(container.spec, "env")):
            path = (*container.path, "env", index)
            yield from _reference(path, "ConfigMap", mapping(entry, "valueFrom", "configMapKeyRef"), "name")
            yield from _reference(path, "Secret", mapping(entry, "valueFrom", "secretKeyRef"), "name")
        for index, entry in enumerate(items(container.spec, "envFrom")):
            path = (*container.path, "envFrom", index)
            yield from _reference(path, "ConfigMap", mapping(entry, "configMapRef"), "name")
            yield from _reference(path, "Secret", mapping(entry, "secretRef"), "name")


def _reference(path: Path, kind: str, ref: Mapping, key: str) -> Iterator[tuple[Path, str, str, bool]]:
    if text(ref, key):
        yield path, kind, text(ref, key), ref.get("optional") is True


def secrets(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """Secrets that a pod needs are among the files, or somebody must make them: a note."""
    namespace = workload.namespace
    for path, kind, name, optional in _named(workload):
        if kind == "Secret" and not optional and not any(tree.has(one, namespace, name) for one in _GIVE_SECRETS):
            what = f"it needs Secret {name}, which is not among the files"
            yield workload.owner.noted(path, name, what, f"make it in namespace {namespace or 'default'} first")


def plain_secrets(tree: Tree) -> Sequence[Found]:
    return tree.of("Secret")


def kept_secret(tree: Tree, secret: Found) -> Iterator[ObjectFinding]:
    """No Secret with its values lies among the files."""
    if mapping(secret.body, "data") or mapping(secret.body, "stringData"):
        what = "it has its values in the file, where everybody reads them who reads the repository"
        mend = "use an ExternalSecret, or make it by hand"
        yield secret.doubtful((), "values", "none", what, mend)


def everything(tree: Tree) -> Sequence[Found]:
    return tree.objects


def once(tree: Tree, found: Found) -> Iterator[ObjectFinding]:
    """No two objects have one name, and each has one."""
    name = found.at("metadata", "name")
    if not isinstance(name, str) or not name:
        if not found.at("metadata", "generateName"):
            yield found.wrong(("metadata",), "", "a name", "it has no name", "give it metadata.name")
        return
    first = next(one for one in tree.objects if one.identity == found.identity)
    if first is not found:
        what = f"it is also in {first.file}, line {first.document.row()}, and the later one wins"
        yield found.wrong((), found.file, first.file, what, "keep one")
