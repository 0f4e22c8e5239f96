"""What pods may do: to their node, and to the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import resources
from holdfast.manifests.checks.objects import Found, items, mapping, text
from holdfast.manifests.checks.trees import Container, Tree, Workload
from holdfast.model.findings import ObjectFinding

_HARMLESS = ("NET_BIND_SERVICE",)
_FOR_EFA = "IPC_LOCK"
"""EFA pins memory for the adapter (docs.aws.amazon.com/eks, "Run machine learning training with EFA")."""


def containers(tree: Tree) -> Sequence[Container]:
    return tree.containers


def confined(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """Containers are non-root, without privilege and capabilities, with a read-only root file system and seccomp."""
    own = mapping(container.spec, "securityContext")
    pod = mapping(container.workload.spec, "securityContext")
    path, owner = (*container.path, "securityContext"), container.workload.owner
    if own.get("privileged") is True:
        what = f"{container.name} is privileged: whoever takes it over has the node"
        yield owner.doubtful((*path, "privileged"), True, False, what, "leave privileged out")
        return
    dropped = items(own, "capabilities", "drop")
    allowed = (*_HARMLESS, _FOR_EFA) if "vpc.amazonaws.com/efa" in resources.requests(container) else _HARMLESS
    added = [str(one) for one in items(own, "capabilities", "add") if one not in allowed]
    seccomp = text(own, "seccompProfile", "type") or text(pod, "seccompProfile", "type")
    user = own.get("runAsUser", pod.get("runAsUser"))
    missing = {
        "runAsNonRoot: true": own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True or user == 0,
        "allowPrivilegeEscalation: false": own.get("allowPrivilegeEscalation") is not False,
        "readOnlyRootFilesystem: true": own.get("readOnlyRootFilesystem") is not True,
        "capabilities.drop: [ALL]": "ALL" not in dropped,
        f"no capabilities.add {', '.join(added)}": bool(added),
        "seccompProfile.type: RuntimeDefault": seccomp not in ("RuntimeDefault", "Localhost"),
    }
    wanted = [name for name, lacks in missing.items() if lacks]
    if wanted:
        what = f"{container.name} has more rights than a server needs"
        yield owner.doubtful(path, "", ", ".join(wanted), what, f"set {', '.join(wanted)}")


def workloads(tree: Tree) -> Sequence[Workload]:
    return tree.workloads


def hosted(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """Pods share no namespace and no directory with their node."""
    path = (*workload.path, "spec")
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if workload.spec.get(field) is True:
            what = f"its pods have {field}, and so see their node's"
            yield workload.owner.doubtful((*path, field), True, False, what, f"leave {field} out")
    for index, volume in enumerate(items(workload.spec, "volumes")):
        where = text(volume, "hostPath", "path")
        if where:
            what = f"it mounts {where} of the node"
            yield workload.owner.doubtful(
                (*path, "volumes", index), where, "no hostPath", what, "use an emptyDir or a claim"
            )


def token(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """A pod whose service account has no role carries no token for the API."""
    account, namespace = text(workload.spec, "serviceAccountName") or "default", workload.namespace
    there = tree.get("ServiceAccount", namespace, account)
    mounted = workload.spec.get("automountServiceAccountToken")
    if mounted is None and there is not None:
        mounted = there.at("automountServiceAccountToken")
    if mounted is False or (there is None and account != "default"):
        return
    bound = any(
        text(subject, "name") == account and (text(subject, "namespace") or binding.namespace) == namespace
        for binding in tree.of("RoleBinding", "ClusterRoleBinding")
        for subject in items(binding.body, "subjects")
    )
    if not bound and resources.uses_devices(workload):
        what = "its pods carry a token for the API that they have no use for"
        path = (*workload.path, "spec")
        yield workload.owner.doubtful(path, "a token", "none", what, "set automountServiceAccountToken: false")


def roles(tree: Tree) -> Sequence[Found]:
    return tree.of("Role", "ClusterRole")


_READING = {"get", "list", "watch", "*"}


def secrets(tree: Tree, role: Found) -> Iterator[ObjectFinding]:
    """No role reads Secrets at large, or does all with everything."""
    for index, rule in enumerate(items(role.body, "rules")):
        verbs, kinds = {str(one) for one in items(rule, "verbs")}, {str(one) for one in items(rule, "resources")}
        groups = {str(one) for one in items(rule, "apiGroups")}
        path = ("rules", index)
        if kinds & {"secrets", "*"} and groups & {"", "*"} and verbs & _READING and not items(rule, "resourceNames"):
            what = "it may read every Secret" + (" of the cluster" if role.kind == "ClusterRole" else "")
            mend = "leave secrets out, or name those it needs under resourceNames"
            yield role.doubtful(path, "secrets", "no secrets", what, mend)
        elif "*" in verbs and "*" in kinds:
            yield role.doubtful(path, "*", "verbs", "it may do everything with everything", "list what it needs")
