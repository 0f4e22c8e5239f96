"""README of the tree: what is in it, in the order in which it is applied."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.kustomization import OVERLAY
from holdfast.manifests.manifest import BASE, File, TextFile
from holdfast.manifests.routing import cascade_proxy
from holdfast.manifests.serving import model_files
from holdfast.model.plan import Plan, PoolPlan

_FOLDERS = {
    "terraform": ("the account's part: network, cluster, rights, buckets", "its README has the two commands"),
    "images": (
        "Dockerfiles of holdfast, and of its own model server where a pool runs it",
        "`make -C images build sbom push`",
    ),
    "hybrid": ("machines of your own, to be joined as nodes", "the README of each unit"),
    "addons": ("charts that the cluster must run beside the fleet", "its README has the commands"),
    "operator": (
        "holdfast's operator and its resource InferenceFleet, once for a cluster, whatever fleets it has",
        "`kubectl apply --server-side -k operator`",
    ),
    "fleet": (
        "the fleet for the operator: the resource, its plan, namespace and node pools; the operator brings the rest of "
        "`base`, which is not applied then",
        "`kubectl apply --server-side -k fleet`",
    ),
    BASE: (
        f"the whole fleet without an operator; `overlays/{OVERLAY}` is the place for what you change",
        f"`kubectl apply -k overlays/{OVERLAY}`",
    ),
    "jobs": ("load and limit searches, suspended until you start them", "`kubectl apply -k jobs`"),
    "observing": ("a CloudWatch dashboard, and Container Insights", "by the AWS command line"),
}
"""What a folder is and how it is applied, in order."""


def file(plan: Plan, files: Sequence[File]) -> TextFile:
    """The page that whoever opens the folder reads first."""
    there = {each.path.partition("/")[0] for each in files}
    steps = [f"| `{name}/` | {what} | {how} |" for name, (what, how) in _FOLDERS.items() if name in there]
    fleet = plan.fleet.metadata
    text = f"""# Fleet {fleet.name}

{plan.demand_per_s:.6g} requests/s for {plan.cost_usd_per_h:.6g} USD/h, rendered by holdfast from a plan. The same plan
gives the same bytes. `holdfast render PLAN --diff .` says what another plan changes, `holdfast render PLAN -o .` writes
it here, and `holdfast render --check .` says what is wrong. Your changes belong in `overlays/`, or in files of your
own: those are left alone.

| folder, in order | what | applied by |
| --- | --- | --- |
{chr(10).join(steps)}
{_secrets_text(plan)}
| pool | replicas | weight | USD/h | why |
| --- | ---: | ---: | ---: | --- |
{chr(10).join(_row(pool) for pool in plan.pools)}

Keep your changes in the overlay, or in files of your own beside Terraform's: rendering anew leaves those alone.
"""
    return TextFile("README.md", text)


def secrets(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Secrets that the tree names and does not hold, and their keys."""
    spec = plan.fleet.spec
    found: dict[str, tuple[str, ...]] = {}
    if spec.model.source.token_secret is not None:
        found[spec.model.source.token_secret] = (model_files.TOKEN_KEY,)
    if spec.cluster.cascade is not None:
        found[spec.cluster.cascade.key_secret] = (cascade_proxy.KEY,)
    authentication = spec.cluster.edge.authentication
    if authentication is not None and authentication.oidc is not None:
        found[authentication.oidc.secret] = ("clientID", "clientSecret")
    return found


def _secrets_text(plan: Plan) -> str:
    made = [
        f"kubectl -n {plan.fleet.metadata.namespace} create secret generic {name} "
        + " ".join(f"--from-file={key}" for key in keys)
        for name, keys in secrets(plan).items()
    ]
    if not made:
        return ""
    return f"""
No Secret is in the tree. Pods wait for these, which are yours to make once the namespace is there, from files that are
named as their keys (an external secrets operator may bring them as well):

```
{chr(10).join(made)}
```
"""


def _row(pool: PoolPlan) -> str:
    cost = pool.replicas * pool.price_usd_per_h
    return f"| {pool.unit} | {pool.replicas} | {pool.weight} | {cost:.4g} | {pool.reason} |"
