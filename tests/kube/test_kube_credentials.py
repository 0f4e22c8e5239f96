from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import httpx2
import pytest
import yaml
from lightkube.config.models import NameValue, UserExec

from holdfast.kube import credentials, errors, kinds
from holdfast.kube.connection import Connection
from holdfast.kube.credentials import Plugin, TokenFile
from holdfast.model.errors import InputError

CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIUXnf0UolRvb9xx9UzfK2sl3sDKRMwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFdGVzdHMwIBcNMjYxMTIxMjA1MjU3WhgPMjEyNjEwMjgyMDUy
NTdaMBAxDjAMBgNVBAMMBXRlc3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
nKMi6OwgYUILNhsLph8i5xihBCn7f7SJRrAQQTv3XBuCyRXx8mAmrAOjkFHNePjm
tjY1bjmoL/8XKHDB+0EZPqNTMFEwHQYDVR0OBBYEFAWoZotnvlduZA/ycUfYLHnX
hSuAMB8GA1UdIwQYMBaAFAWoZotnvlduZA/ycUfYLHnXhSuAMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAN+CJaocd0XxP2qb1Y+jd3D752d+xcb5
Cc0Ns4M2wessAiAP2/cfov4/pm3iCIuUmo+QjCY2Y0UTMN0mXgmeYTgxYA==
-----END CERTIFICATE-----
"""
"""Self-signed, of nobody; valid for a hundred years."""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster around this process, no home with a kubeconfig."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def kubeconfig(path: Path, server: str = "https://one", **user: object) -> Path:
    document = {
        "clusters": [{"name": name, "cluster": {"server": f"{server}-{name}"}} for name in ("x", "y")],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "x", "context": {"cluster": "x", "user": "u", "namespace": "inference"}},
            {"name": "y", "context": {"cluster": "y", "user": "u"}},
        ],
        "current-context": "x",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


def service_account(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.mkdir()
    for name, content in (("token", "from-the-pod"), ("namespace", "holdfast")):
        (path / name).write_text(content)
    (path / "ca.crt").write_text(CERTIFICATE)
    monkeypatch.setattr(credentials, "SERVICE_ACCOUNT", str(path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")


def test_a_file_that_is_named_goes_before_one_of_the_environment_and_that_before_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig(tmp_path / "home/.kube/config", "https://home")
    assert credentials.find().server == "https://home-x"
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "environment", "https://environment")))
    assert credentials.find().server == "https://environment-x"
    assert credentials.find(kubeconfig(tmp_path / "named", "https://named")).server == "https://named-x"


def test_within_a_cluster_the_service_account_is_taken_unless_a_file_or_a_context_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig(tmp_path / "home/.kube/config", "https://home")
    service_account(tmp_path / "account", monkeypatch)
    within = credentials.find()
    assert (within.server, within.namespace) == ("https://10.0.0.1:443", "holdfast")
    assert within.auth is not None
    assert asked(within.auth) == ["from-the-pod"]
    assert credentials.find(context="y").server == "https://home-y"
    assert credentials.find(kubeconfig(tmp_path / "named", "https://named")).server == "https://named-x"
    (tmp_path / "account/namespace").unlink()
    with pytest.raises(InputError, match=r"service account .*namespace"):
        credentials.find()


def test_a_context_is_chosen_by_name_with_its_namespace(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config")
    assert credentials.find(path).namespace == "inference"
    other = credentials.find(path, "y")
    assert (other.server, other.namespace) == ("https://one-y", "default")


def test_a_proxy_of_the_environment_is_gone_through_unless_the_host_is_excepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kubeconfig(tmp_path / "config")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert credentials.find(path).proxy == "http://proxy:3128"
    monkeypatch.setenv("NO_PROXY", "one-x")
    assert credentials.find(path).proxy is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not found"),
        ("", "lacks"),
        ("[", "while parsing"),
        ("\x00", "special characters"),
        ("- 1", "is no kubeconfig"),
        ("{}", "lacks"),
        ("{clusters: [], contexts: []}", "No current context"),
        ("{clusters: [], contexts: [], current-context: x}", "'x' not found; it has none"),
        ("{clusters: [{name: c, cluster: {server: 1}}], contexts: []}", "Expected `str`"),
        ("{clusters: [], contexts: [{name: x, context: {cluster: c}}], current-context: x}", "'c'"),
        (
            "{clusters: [{name: c, cluster: {server: host}}], contexts: [{name: x, context: {cluster: c}}], "
            "current-context: x}",
            "is no URL",
        ),
        (
            "{clusters: [{name: c, cluster: {server: 'https://h', certificate-authority: /no/ca}}], "
            "contexts: [{name: x, context: {cluster: c}}], current-context: x}",
            "No such file",
        ),
        (
            "{clusters: [{name: c, cluster: {server: 'https://h'}}], users: [{name: u, user: {exec: {apiVersion: "
            "client.authentication.k8s.io/v1, command: no-such-plugin, installHint: get it}}}], "
            "contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}",
            "no credentials plugin 'no-such-plugin'; get it",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_refused_in_one_sentence(
    content: str | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as found:
        credentials.find(path)
    assert said in str(found.value)
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)


def test_a_folder_several_files_and_nothing_at_all_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (tmp_path, None):
        with pytest.raises(InputError, match="not found"):
            credentials.find(place)
    monkeypatch.setenv("KUBECONFIG", "/a:/b")
    with pytest.raises(InputError, match="several files"):
        credentials.find()


def asked(auth: httpx2.Auth, *statuses: int, times: int = 1) -> list[str]:
    """What the server was shown, request by request; it answers with the statuses, then 200."""
    shown: list[str] = []
    answers = iter(statuses)

    def answer(request: httpx2.Request) -> httpx2.Response:
        shown.append(request.headers["Authorization"].removeprefix("Bearer "))
        return httpx2.Response(next(answers, 200), json={})

    async def scene() -> None:
        connection = Connection("http://cluster", auth=auth, transport=httpx2.MockTransport(answer))
        await asyncio.gather(*(connection.get(kinds.NODE, "n") for _ in range(times)))

    asyncio.run(scene())
    return shown


def test_a_token_that_was_renewed_in_its_file_is_used_within_a_minute(tmp_path: Path) -> None:
    path, now = tmp_path / "token", [0.0]
    auth = TokenFile(path, clock=lambda: now[0])
    path.write_text("first\n")
    assert asked(auth) == ["first"]
    path.write_text("second\n")
    now[0] = 59.0
    assert asked(auth) == ["first"]
    now[0] = 60.0
    assert asked(auth) == ["second"]


def test_a_token_that_is_refused_is_read_again_at_once_and_asked_with_once_more(tmp_path: Path) -> None:
    path = tmp_path / "token"
    auth = TokenFile(path, clock=lambda: 0.0)
    path.write_text("first")
    asked(auth)
    path.write_text("second")
    assert asked(auth, 401) == ["first", "second"]
    with pytest.raises(errors.RefusedError):
        asked(auth, 401, 401)


def test_a_token_whose_file_is_gone_is_no_answer_rather_than_a_crash(tmp_path: Path) -> None:
    with pytest.raises(errors.UnavailableError, match="cannot be read"):
        asked(TokenFile(tmp_path / "token"))


def plugin(folder: Path, script: str) -> str:
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\necho run >> {folder}/runs\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def wanted(command: str, version: str = "v1") -> UserExec:
    return UserExec(f"client.authentication.k8s.io/{version}", command, [NameValue("NAMED", "a b")], ["get", "token"])


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().split())


def test_a_plugin_gets_its_arguments_and_environment_and_runs_once_for_all_who_wait(tmp_path: Path) -> None:
    script = """printf '{"status": {"token": "%s"}}' "$1-$2-$NAMED-$(echo $KUBERNETES_EXEC_INFO | cut -c2-13)" """
    command = plugin(tmp_path, script.replace("cut -c2-13", 'tr -dc "a-zA-Z0-9/." | head -c 42'))
    shown = asked(Plugin(wanted(command), command), times=20)
    assert shown == ["get-token-a b-apiVersionclient.authentication.k8s.io/v1k"] * 20
    assert runs(tmp_path) == 1


def test_a_plugin_runs_again_before_its_token_expires_and_after_a_401(tmp_path: Path) -> None:
    answer = {"status": {"token": "t", "expirationTimestamp": "1970-01-01T00:10:00Z"}}
    command = plugin(tmp_path, f"echo '{json.dumps(answer)}'")
    now = [0.0]
    auth = Plugin(wanted(command, "v1beta1"), command, clock=lambda: now[0])
    counted = []
    for now_s, statuses in ((0.0, ()), (569.0, ()), (571.0, ()), (0.0, (401,))):
        now[0] = now_s
        asked(auth, *statuses)
        counted.append(runs(tmp_path))
    assert counted == [1, 1, 2, 3]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no session >&2; exit 3", "failed: no session"),
        ("exit 3", "failed: exit code 3"),
        ("echo hello", "printed no token"),
        ("echo '{}'", "printed no token"),
        ("""echo '{"status": {"token": "t", "expirationTimestamp": "soon"}}'""", "printed no token"),
    ],
)
def test_a_plugin_that_gives_no_token_is_no_answer_now(script: str, said: str, tmp_path: Path) -> None:
    command = plugin(tmp_path, script)
    with pytest.raises(errors.UnavailableError, match=said) as found:
        asked(Plugin(wanted(command), command))
    assert not found.value.acted
