"""Where the API server is, and who we are to it: kubeconfig files, and the service account of a pod.

Reading them and TLS are lightkube's. Tokens are not: there a file is read again only after a 401, and plugins know
neither `v1` nor when a token expires, and run once for each of fifty streams that lost theirs.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib import request
from urllib.parse import urlsplit

import httpx2
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import User, UserExec
from lightkube.core.exceptions import ConfigError
from yaml import YAMLError

from holdfast.kube.errors import UnavailableError
from holdfast.model.errors import InputError

TOKEN_FILE_S = 60.0
"""How long a token from a file is used before the file is read again, as in client-go (transport/token_source.go). The
kubelet writes a new one when 80 % of the hour that one lasts have passed."""
EXPIRY_S = 30.0
"""So long before a plugin's token expires it is asked for another: a request must not outlive its token."""

_MEND = "give a kubeconfig by --kubeconfig or $KUBECONFIG, or run within a cluster"


@dataclass(frozen=True)
class Access:
    """server: URL. namespace: the default one. proxy: URL, of the environment."""

    server: str
    namespace: str
    tls: ssl.SSLContext
    auth: httpx2.Auth | None
    proxy: str | None


def find(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """The first there is: the file given, $KUBECONFIG, this pod's service account (no context is named),
    ~/.kube/config.

    What is said on purpose goes before what happens to be there, as kubectl has it: tests that are pointed at a cluster
    must not find that of the pod they run in. Raises InputError.
    """
    named = kubeconfig or (Path(os.environ["KUBECONFIG"]) if os.environ.get("KUBECONFIG") else None)
    within = "KUBERNETES_SERVICE_HOST" in os.environ and Path(SERVICE_ACCOUNT, "token").exists()
    if named is None and context is None and within:
        return _access(
            lambda: KubeConfig.from_service_account(SERVICE_ACCOUNT).get(), f"service account {SERVICE_ACCOUNT}"
        )
    place = named or Path("~/.kube/config")
    if os.pathsep in str(place):
        raise InputError("several files, of which only one can be read", where=f"kubeconfig {place}", mend=_MEND)
    return _access(lambda: _of_file(place, context), f"kubeconfig {place}")


def _of_file(place: Path, context: str | None) -> SingleConfig | None:
    config = KubeConfig.from_file(place)
    named = context or config.current_context
    if named is not None and named not in config.contexts:
        there = ", ".join(sorted(config.contexts)) or "none"
        raise InputError(f"Context {named!r} not found", where=f"kubeconfig {place}", mend=f"it has {there}")
    return config.get(named)


def _access(read: Callable[[], SingleConfig | None], place: str) -> Access:
    try:
        config = read()
        assert config is not None
        server = config.cluster.server
        if urlsplit(server).scheme not in ("http", "https"):
            raise InputError(f"the server {server!r} is no URL", where=place, mend="write https://HOST:PORT")
        tls = client_adapter.verify_cluster(config.cluster, config.user or User(), config.abs_file)
        return Access(server, config.namespace, tls, _auth(config, place), _proxy(server))
    except ssl.SSLError as error:
        raise InputError(f"a certificate or key cannot be read: {error}", where=place, mend=_MEND) from error
    except (ConfigError, YAMLError, ValueError, OSError) as error:
        raise InputError(" ".join(str(error).split()), where=place, mend=_MEND) from error
    except AttributeError as error:
        raise InputError("lacks clusters, contexts and users: it is no kubeconfig", where=place, mend=_MEND) from error
    except (KeyError, TypeError) as error:
        raise InputError(f"lacks or misnames {error}", where=place, mend=_MEND) from error


def _auth(config: SingleConfig, place: str) -> httpx2.Auth | None:
    user = config.user
    if user is not None and user.token_file is not None:
        return TokenFile(Path(config.abs_file(user.token_file)))
    if user is not None and user.token is None and user.exec is not None:
        folder = Path(config.fname or ".").parent
        command = user.exec.command if os.sep not in user.exec.command else str(folder / user.exec.command)
        if shutil.which(command) is None:
            hint = user.exec.installHint or "install it"
            raise InputError(f"no credentials plugin {command!r}", where=place, mend=hint)
        return Plugin(user.exec, command)
    return client_adapter.user_auth(user)


def _proxy(server: str) -> str | None:
    address = urlsplit(server)
    proxies = request.getproxies()
    if request.proxy_bypass(address.netloc):
        return None
    return proxies.get(address.scheme) or proxies.get("all")


class TokenFile(httpx2.Auth):
    """The token of a service account, as it stands in its file: read anew each minute, and at once after a 401."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._read_s = -float("inf")
        self._token = ""

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._clock() - self._read_s >= TOKEN_FILE_S:
            self._read()
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == 401:
            self._read()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _read(self) -> None:
        try:
            self._token = self._path.read_text().strip()
        except OSError as error:
            raise UnavailableError(f"the token cannot be read: {error}", acted=False) from error
        self._read_s = self._clock()


class Plugin(httpx2.Auth):
    """A command that prints a token (credential plugins of client.authentication.k8s.io), e.g. `aws eks get-token`.

    Run when the last token is about to expire or was answered with 401; once for all requests that wait for it.
    clock: Unix seconds, which plugins state expiry in.
    """

    def __init__(self, wanted: UserExec, command: str, *, clock: Callable[[], float] = time.time) -> None:
        self._command = [command, *(wanted.args or [])]
        self._environment = {variable.name: variable.value for variable in wanted.env or []}
        info = {"apiVersion": wanted.apiVersion, "kind": "ExecCredential", "spec": {"interactive": False}}
        self._environment["KUBERNETES_EXEC_INFO"] = json.dumps(info)
        self._clock = clock
        self._running = asyncio.Lock()
        self._token = ""
        self._expires_s = float("inf")

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        token = await self._current()
        request.headers["Authorization"] = f"Bearer {token}"
        answer = yield request
        if answer.status_code == 401:
            request.headers["Authorization"] = f"Bearer {await self._current(rejected=token)}"
            yield request

    async def _current(self, *, rejected: str = "") -> str:
        async with self._running:
            if self._token == rejected or self._clock() > self._expires_s - EXPIRY_S:
                self._token, self._expires_s = _credential(self._command[0], await self._run())
            return self._token

    async def _run(self) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env=os.environ | self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, said = await process.communicate()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.kill()
            raise
        if process.returncode:
            why = said.decode(errors="replace").strip()[-500:] or f"exit code {process.returncode}"
            raise UnavailableError(f"the credentials plugin {self._command[0]} failed: {why}", acted=False)
        return out


def _credential(command: str, printed: bytes) -> tuple[str, float]:
    """The token and when it expires, in Unix seconds (inf: not said)."""
    try:
        status = json.loads(printed)["status"]
        expiry = status.get("expirationTimestamp")
        return status["token"], datetime.fromisoformat(expiry).timestamp() if expiry else float("inf")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnavailableError(f"the credentials plugin {command} printed no token", acted=False) from error
