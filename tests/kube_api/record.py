"""Records what a real API server answers to the scripts: `KUBECONFIG=... python -m kube_api.record NAME...`

`quiet` stands for all scripts that want no controllers beside them (stop controller manager and scheduler first),
`controlled` for the others. It needs an administrator's token, and makes and deletes the namespace `transcript`.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import yaml

from kube_api import scripts
from kube_api.requests import Object

RECORDED = Path(__file__).parent / "recorded"
REFERENCE = re.compile(r"\$\{(\w+)\.([\w.]+)\}")
WAIT_S = 60.0


def resolved(value: Any, answers: dict[str, Any]) -> Any:
    """References to answers of earlier steps replaced by what they stand for."""
    if isinstance(value, dict):
        return {name: resolved(inner, answers) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolved(item, answers) for item in value]
    match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    found = answers[match[1]]
    for part in match[2].split("."):
        found = found[part]
    return found


def client_of(path: Path) -> httpx2.Client:
    """By the token of the current context."""
    found = yaml.safe_load(path.read_text())
    cluster = found["clusters"][0]["cluster"]
    token = found["users"][0]["user"]["token"]
    tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
    return httpx2.Client(
        base_url=cluster["server"], verify=tls, headers={"authorization": f"Bearer {token}", "user-agent": "recorder/1"}
    )


def ask(client: httpx2.Client, step: Object, answers: dict[str, Any]) -> Object:
    """The answer to one step: status, body, and events where it is a watch."""
    method, path = step["method"], step["path"]
    if method == "COMPACT":
        return {"status": 0, "body": None}
    if method == "GONE":
        until = time.monotonic() + WAIT_S
        while client.get(path).status_code != 404:
            if time.monotonic() > until:
                raise TimeoutError(path)
            time.sleep(0.2)
        return {"status": 404, "body": None}
    body = resolved(step["body"], answers)
    response = client.request(
        method,
        path,
        params=resolved(step["query"], answers),
        headers={"content-type": step["content"]},
        content=None if body is None else json.dumps(body),
    )
    told: Object = {"status": response.status_code}
    if "warning" in response.headers:
        told["warning"] = response.headers["warning"]
    if step["query"].get("watch") and response.status_code == 200:
        return told | {"events": [json.loads(line) for line in response.text.splitlines()]}
    try:
        return told | {"body": response.json()}
    except ValueError:
        return told | {"body": response.text}


def record(client: httpx2.Client, name: str, version: str) -> int:
    """Plays one script and writes its transcript. The number of steps."""
    client.post("/api/v1/namespaces", json={"metadata": {"name": scripts.NAMESPACE}}).raise_for_status()
    answers: dict[str, Any] = {}
    steps = []
    for step in scripts.SCRIPTS[name]:
        answer = ask(client, step, answers)
        if step["name"]:
            answers[step["name"]] = answer["body"]
        steps.append({"asked": {k: v for k, v in step.items() if v or k in ("method", "path")}, "answered": answer})
    normal = normalised(steps)
    RECORDED.mkdir(exist_ok=True)
    text = json.dumps({"server": version, "steps": normal}, indent=1, ensure_ascii=False)
    (RECORDED / f"{name}.json").write_text(text + "\n")
    return len(steps)


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MADE_UP = "00000000-1111-2222-3333-444444444444"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
ADDRESS = re.compile(r"10\.96\.\d+\.\d+")
VERSIONS = re.compile(r"(resource version: \d+ \(|Version in record \(|Version in the precondition \()\d+(\))")
SAID = "2026-11-21T20:00:0"
"""Times that the scripts themselves say begin so."""


def normalised(steps: list[Object]) -> list[Object]:
    """The same transcript without what differs from run to run: uids by number, times gone, versions as ranks."""
    text = json.dumps([step["answered"] for step in steps])
    uids: dict[str, str] = {}
    for uid in UUID.findall(text):
        if uid != MADE_UP:
            uids.setdefault(uid, f"uid-{len(uids) + 1}")
    versions: set[int] = set()
    for step in steps:
        _versions(step["answered"], versions)
    ranks = {str(version): f"version-{rank + 1}" for rank, version in enumerate(sorted(versions))}

    def clean(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            is_list = "items" in value and str(value.get("kind", "")).endswith("List")
            return {
                _numbered(name, uids): _list_metadata(inner) if is_list and name == "metadata" else clean(inner, name)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            # Owners are in the order of their times, which depends on how fast the requests came; causes in any.
            order = {"managedFields": _owner, "causes": _cause}.get(key)
            ordered = sorted(value, key=order) if order else value
            return [clean(item) for item in ordered]
        if not isinstance(value, str):
            return value
        if key == "resourceVersion":
            return ranks.get(value, value)
        value = VERSIONS.sub(lambda match: f"{match[1]}<version>{match[2]}", value)
        value = _numbered(value, uids)
        value = ADDRESS.sub("<address>", value)
        return TIME.sub(lambda match: match[0] if match[0].startswith(SAID) else "<time>", value)

    return [{"asked": step["asked"], "answered": clean(step["answered"])} for step in steps]


def _numbered(text: str, uids: dict[str, str]) -> str:
    return UUID.sub(lambda match: uids.get(match[0], match[0]), text)


def _owner(entry: Object) -> tuple[str, ...]:
    return entry["manager"], entry["operation"], entry["apiVersion"], entry.get("subresource", "")


def _cause(cause: Object) -> tuple[str, ...]:
    return cause["field"], cause["message"]


def _list_metadata(metadata: Object) -> Object:
    """A list's version is the server's, which others move too; its tokens are its own."""
    return {name: f"<{name}>" if name in ("resourceVersion", "continue") else v for name, v in metadata.items()}


def _versions(value: Any, found: set[int]) -> None:
    """The versions of objects: not those of lists and bookmarks, which are the server's."""
    if isinstance(value, dict):
        if value.get("type") == "BOOKMARK":
            value["object"]["metadata"]["resourceVersion"] = "<resourceVersion>"
        version = value.get("resourceVersion", "")
        if "uid" in value and "name" in value and str(version).isdigit():
            found.add(int(version))
        for inner in value.values():
            _versions(inner, found)
    elif isinstance(value, list):
        for item in value:
            _versions(item, found)


def main(names: list[str]) -> None:
    sets = {"quiet": list(scripts.QUIET), "controlled": list(scripts.CONTROLLED)}
    wanted = [name for given in names for name in sets.get(given, [given])]
    with client_of(Path(os.environ["KUBECONFIG"])) as client:
        version = client.get("/version").json()["gitVersion"]
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        client.post(crds, json=scripts.DEFINITION)
        until = time.monotonic() + WAIT_S
        while client.get("/apis/tests.holdfast.dev/v1/shelves").status_code != 200 and time.monotonic() < until:
            time.sleep(0.5)  # until it is served
        for name in wanted:
            count = record(client, name, version)
            sys.stdout.write(f"{name}: {count} steps\n")
            empty(client)


MADE_IN = (
    scripts.MAPS, scripts.PODS, scripts.SERVICES, scripts.DEPLOYMENTS, scripts.SHELVES, scripts.LEASES, scripts.EVENTS,
    scripts.AUTOSCALERS, scripts.INGRESSES, scripts.BUDGETS, scripts.POLICIES,
)  # fmt: skip


def empty(client: httpx2.Client) -> None:
    """Deletes the namespace, also where no controller manager would finish that."""
    for path in MADE_IN:
        for item in client.get(path).raise_for_status().json()["items"]:
            one = f"{path}/{item['metadata']['name']}"
            client.patch(one, json={"metadata": {"finalizers": None}}, headers={"content-type": scripts.MERGE})
            client.delete(one, params={"gracePeriodSeconds": "0"})
    path = f"/api/v1/namespaces/{scripts.NAMESPACE}"
    client.delete(path)
    until = time.monotonic() + WAIT_S
    while (response := client.get(path)).status_code != 404:
        found = response.json()
        found["spec"]["finalizers"] = []
        client.put(f"{path}/finalize", json=found)
        if time.monotonic() > until:
            raise TimeoutError(path)
        time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1:])
