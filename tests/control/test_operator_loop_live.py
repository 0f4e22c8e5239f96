"""`holdfast operator` as a process, on an API server over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from control.operator_scene import definitions, given, plan_objects
from holdfast.cli import log_lines
from holdfast.cli.operator import operator
from holdfast.model.errors import InputError
from kube_api.api import Api
from kube_api.server import Server
from kube_api.serving import Serving

LIMIT_S = 30.0


@pytest.fixture
def api(tmp_path: Path) -> Iterator[tuple[Api, Path]]:
    """A cluster with a fleet and its plan, and the kubeconfig that leads there."""
    kubeconfig = tmp_path / "kubeconfig"
    found = Api(definitions(), now_s=time.time())
    found.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "inference"}}, time.time())
    for one in plan_objects(given()):
        found.create(one, time.time())
    started, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with Server(Serving(found, time.time)) as server:
            server.write_kubeconfig(kubeconfig)
            started.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="api server")
    thread.start()
    assert started.wait(LIMIT_S)
    yield found, kubeconfig
    loop.call_soon_threadsafe(over.set)
    thread.join(LIMIT_S)
    loop.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(kubeconfig: Path, port: int, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "holdfast", "operator", "--kubeconfig", str(kubeconfig)]
    return subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}", *flags],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"POD_NAME": "operator-0", "POD_NAMESPACE": "default"},
    )


def until(so: Callable[[], bool]) -> None:
    last_s = time.monotonic() + LIMIT_S
    while not so():
        assert time.monotonic() < last_s
        time.sleep(0.05)


def asked(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_it_keeps_the_fleet_and_ends_with_0_within_5_s_of_sigterm(api: tuple[Api, Path]) -> None:
    port = free_port()
    process = started(api[1], port, "--json-logs")
    try:
        until(lambda: asked(port, "/readyz") == "ok" and asked(port, "/healthz") == "ok")
        until(lambda: 'holdfast_fleet_mode{fleet="sd21"' in asked(port, "/metrics"))
        assert "holdfast_operator_leading 1.0" in asked(port, "/metrics")
    finally:
        process.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        _, log = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert time.monotonic() - began_s < 5
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["event"] for line in lines} >= {"leading", "applied", "leading no longer"}
    assert any(line.get("object") == "Ingress/sd21" for line in lines)


def test_a_dry_run_says_what_it_would_write_and_writes_nothing(api: tuple[Api, Path]) -> None:
    found, kubeconfig = api
    before = found.store.revision
    process = started(kubeconfig, free_port(), "--dry-run")
    assert process.stderr is not None
    said = next((line for line in process.stderr if "would write object=Ingress/sd21" in line), "")
    process.terminate()
    process.communicate(timeout=LIMIT_S)
    assert said
    assert process.returncode == 0
    assert found.store.revision == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--kubeconfig", "/nowhere"), "/nowhere"),
        (("--kubeconfig", "/"), "kubeconfig"),
        (("--listen", "8080"), "is not HOST:PORT"),
        (("--listen", "127.0.0.1:70000"), "is not HOST:PORT"),
        (("--listen", "127.0.0.1:-1"), "is not HOST:PORT"),
        (("--listen", "203.0.113.1:80"), "nobody can listen at 203.0.113.1:80"),
        (("--lease", "No Name"), "is not a name in Kubernetes"),
        (("--namespace", "UPPER"), "is not a name in Kubernetes"),
        (("--context", "none-such"), "none-such"),
    ],
)
def test_nonsense_is_one_sentence(
    api: tuple[Api, Path], flags: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api[1]))
    monkeypatch.setattr(log_lines, "begin", lambda *, as_json: None)
    with pytest.raises((InputError, click.ClickException), match=sentence) as caught:
        operator.main(list(flags), standalone_mode=False)
    assert len(str(caught.value).splitlines()) == 1


def test_without_a_cluster_it_says_so(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-m", "holdfast", "operator"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_line_of_the_log_has_what_happened_and_its_context(
    as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("holdfast")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, name, getattr(logger, name))
    log_lines.begin(as_json=as_json)
    logging.getLogger("holdfast.operator").info("decided", extra={"fleet": "a/b", "summary": 'two "words"'})
    line = capsys.readouterr().err.rstrip("\n")
    if as_json:
        assert {key: json.loads(line)[key] for key in ("level", "event", "fleet")} == {
            "level": "info",
            "event": "decided",
            "fleet": "a/b",
        }
    else:
        assert line.endswith('INFO    decided fleet=a/b summary="two \\"words\\""')
