"""Files of the Hub's models, through its own client: its cache, its resumption, its settings (HF_ENDPOINT, HF_HOME,
HF_TOKEN, HF_HUB_OFFLINE, proxies)."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants, errors
from huggingface_hub.hf_api import HfApi, RepoFile

from holdfast.model.errors import InputError, UnreachableError
from holdfast.serving.hosted.files import documents, sources, verifying
from holdfast.serving.hosted.files.verifying import Published

_OWN = ("huggingface_hub", "builtins")
_LIBRARY = [kind for kind in errors.HfHubHTTPError.__mro__ if kind.__module__.partition(".")[0] not in _OWN][-1]
TRANSPORT: tuple[type[Exception], ...] = (_LIBRARY, ConnectionError, TimeoutError)
"""Errors of the client's HTTP library, which was requests, then httpx, then httpx2; the Hub's own errors have its
base."""

_FAULTS: tuple[type[Exception], ...] = (*TRANSPORT, OSError, ValueError)

_ATTEMPTS = 3
"""Of a download whose connection breaks; each keeps the files that are whole, and the client goes on within a file."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:/[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)?")


def is_name(model: str) -> bool:
    """Whether it could be an id of the Hub: name, or organisation/name."""
    return _NAME.fullmatch(model) is not None and len(model) <= 96 and not re.search(r"--|\.\.|\.git$", model)


def is_offline() -> bool:
    """Whether the Hub's client was told to leave the network alone."""
    return bool(constants.HF_HUB_OFFLINE)


class OnHub:
    """A model at one commit, of which files are downloaded as they are asked for."""

    remote = True
    mend = "give a revision that has it, or another model"

    def __init__(self, model: str, revision: str | None) -> None:
        """Asks the Hub which files there are. Raises InputError, and UnreachableError where it does not answer."""
        self.place = model
        self._api = HfApi(endpoint=constants.ENDPOINT)
        try:
            commit = self._api.model_info(model, revision=revision).sha
            tree = list(self._api.list_repo_tree(model, recursive=True, revision=commit))
        except _FAULTS as error:
            raise refusal(error, model, revision) from error
        self._commit = str(commit)
        self._revision = revision
        self._published = {
            entry.path: Published(entry.lfs.size, entry.lfs.sha256)
            if entry.lfs
            else Published(entry.size, entry.blob_id)
            for entry in tree
            if isinstance(entry, RepoFile)
        }
        self._fetched: dict[str, Path] = {}
        self.names = frozenset(self._published)

    @property
    def folder(self) -> Path:
        return next(iter(self._fetched.values()))

    def fetch(self, names: Iterable[str]) -> None:
        wanted = sorted(set(names) - self._fetched.keys())
        if not wanted:
            return
        for name in wanted:
            if name.endswith(".json") and self._published[name].size > documents.MOST_BYTES:
                raise InputError(
                    f"has more than {documents.MOST_BYTES >> 20} MiB of {name}, which no such file needs",
                    where=self.place,
                    mend="give another model",
                )
        folder = self._download(wanted)
        broken = verifying.corrupt(folder, {name: self._published[name] for name in wanted})
        if broken:
            self._again(folder, broken)
            broken = verifying.corrupt(folder, {name: self._published[name] for name in broken})
        if broken:
            self._throw_away(folder, broken)
            raise InputError(
                f"{', '.join(broken)} came twice with another checksum than the Hub tells",
                where=self.place,
                mend="look at proxies and disks between here and the Hub, and try again",
            )
        self._fetched |= dict.fromkeys(wanted, folder)

    def settle(self) -> None:
        """Only now the cache is told that the branch or tag is this commit: until it is whole, the one before is what
        --local-only finds."""
        revision = self._revision or constants.DEFAULT_REVISION
        ref = self.folder.parent.parent / "refs" / revision
        if revision == self._commit or (ref.is_file() and ref.read_text() == self._commit):
            return
        with contextlib.suppress(OSError):  # a cache that may only be read goes on knowing what it knew
            ref.parent.mkdir(parents=True, exist_ok=True)
            written = ref.with_name(f"{ref.name}.{os.getpid()}")
            written.write_text(self._commit)
            written.replace(ref)

    def _download(self, names: list[str]) -> Path:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return Path(
                    huggingface_hub.snapshot_download(
                        self.place,
                        revision=self._commit,
                        allow_patterns=[glob.escape(name) for name in names],
                        endpoint=constants.ENDPOINT,
                        cache_dir=constants.HF_HUB_CACHE,
                    )
                )
            except _FAULTS as error:
                if status_of(error) or not is_transport(error) or attempt == _ATTEMPTS:
                    raise refusal(error, self.place, self._revision) from error
        raise AssertionError

    def _again(self, folder: Path, names: list[str]) -> None:
        """Forced, so that a copy which the cache shares between models is replaced too."""
        self._throw_away(folder, names)
        for name in names:
            try:
                huggingface_hub.hf_hub_download(
                    self.place,
                    name,
                    revision=self._commit,
                    force_download=True,
                    endpoint=constants.ENDPOINT,
                    cache_dir=constants.HF_HUB_CACHE,
                )
            except _FAULTS as error:
                raise refusal(error, self.place, self._revision) from error

    def _throw_away(self, folder: Path, names: list[str]) -> None:
        try:
            for name in names:
                blob = sources.blob(folder, name)
                (folder / name).unlink()
                if blob is not None:
                    blob.unlink(missing_ok=True)
        except OSError as error:
            raise refusal(error, self.place, self._revision) from error


class InCache:
    """A model that was downloaded before; asks nobody."""

    remote = True

    def __init__(self, model: str, revision: str | None) -> None:
        self.place = model
        self.mend = f"run once without {'HF_HUB_OFFLINE' if is_offline() else '--local-only'}"
        try:
            found = huggingface_hub.snapshot_download(
                model, revision=revision, local_files_only=True, allow_patterns=[], cache_dir=constants.HF_HUB_CACHE
            )
        except errors.LocalEntryNotFoundError as error:
            at = f" at the revision {revision}" if revision else ""
            raise InputError(
                f"is not downloaded{at} (looked in {constants.HF_HUB_CACHE}), nor a folder", where=model, mend=self.mend
            ) from error
        self.folder = Path(found).resolve()
        self.names = sources.names_in(self.folder)

    def fetch(self, names: Iterable[str]) -> None:
        wanted = sorted(names)
        for name in wanted:
            sources.check_regular(self.folder, name)
        broken = verifying.corrupt(self.folder, dict.fromkeys(wanted))
        if broken:
            raise InputError(
                f"{', '.join(broken)} in the cache is not what was published", where=self.place, mend=self.mend
            )

    def settle(self) -> None:
        pass


def is_transport(error: BaseException) -> bool:
    """Whether nothing, or not all, came over the network."""
    return any(isinstance(cause, TRANSPORT) for cause in _causes(error))


def status_of(error: BaseException) -> int | None:
    """HTTP status with which the Hub refused; None where it did not."""
    for cause in _causes(error):
        if isinstance(cause, errors.HfHubHTTPError):
            return int(cause.response.status_code)
    return None


def refusal(error: BaseException, model: str, revision: str | None) -> InputError:
    """The sentence for what the Hub, or the way to it, said."""
    causes = _causes(error)
    if any(isinstance(cause, errors.GatedRepoError) for cause in causes):
        return InputError("is gated", where=model, mend="accept its conditions on its page, and set HF_TOKEN")
    if any(isinstance(cause, errors.RevisionNotFoundError) for cause in causes):
        return InputError(f"has no revision {revision}", where=model, mend="give a branch, a tag or a commit")
    if any(isinstance(cause, errors.RepositoryNotFoundError) for cause in causes):
        return InputError(
            f"is neither a folder nor a model that {constants.ENDPOINT} shows to this user",
            where=model,
            mend="look at its spelling; of a private model, set HF_TOKEN",
        )
    status = status_of(error)
    if status is not None and status < 500:
        told = f"{constants.ENDPOINT} answered {status}"
        mends = {401: "set another HF_TOKEN, or none", 403: "ask for access, or set HF_TOKEN to a token that has it"}
        mends[429] = "wait, and set HF_TOKEN, which may ask more often"
        return InputError(told, where=model, mend=mends.get(status, "give another revision"))
    if is_transport(error):
        told = f"answers {status}" if status else f"does not answer ({_short(error)})"
        return UnreachableError(
            f"{constants.ENDPOINT} {told}",
            where=model,
            mend="look at network, HF_ENDPOINT and proxies, or give --local-only for what was downloaded",
        )
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(
            f"cannot be downloaded to {constants.HF_HUB_CACHE} ({error.strerror})",
            where=model,
            mend="give another folder by HF_HOME",
        )
    return InputError(f"cannot be downloaded ({_short(error)})", where=model, mend="try again")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what led to it, at most ten deep."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < 10:
        found.append(cause)
        cause = cause.__cause__
    return found


def _short(error: BaseException) -> str:
    first = (str(error).splitlines() or [""])[0].strip().rstrip(".")
    return f"{type(error).__name__}: {first}"[:160] if first else type(error).__name__
