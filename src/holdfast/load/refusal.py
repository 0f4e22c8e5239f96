"""Why a target cannot be measured, told from the last request that it was tried with."""

from __future__ import annotations

from holdfast.load.exchange import Exchange
from holdfast.load.subject import Subject
from holdfast.model.errors import InputError, UnreachableError
from holdfast.model.fleet import Api
from holdfast.model.records import Outcome


def refusal(subject: Subject, last: Exchange | None) -> InputError:
    """The sentence for a target whose last request, None if none could be sent, was not answered as it should be."""
    workload, where = subject.workload, subject.target.base
    path, flags = workload.request_path, "--path and --body" if workload.api is Api.POST else "--model and --api"
    if last is None:
        return UnreachableError("no request could be sent", where=where, mend="mend the URL")
    outcome, status = last.outcome, last.status
    if outcome is Outcome.CONNECT:
        reason = f" ({last.error})" if last.error else ""
        return UnreachableError(f"no connection to the endpoint{reason}", where=where, mend="start it, or mend the URL")
    if outcome in (Outcome.HTTP_ERROR, Outcome.REJECTED):
        hint = f"check {flags}" if status in (400, 404, 405, 415, 422) else "look at the server's log"
        said = last.answer.complaint()
        return InputError(
            f"POST {path} was answered with HTTP {status}{f' ({said})' if said else ''}", where=where, mend=hint
        )
    if outcome is Outcome.MALFORMED and subject.streams and b"json" in last.headers.get(b"content-type", b""):
        return InputError(f"POST {path} does not stream its answer", where=where, mend="try --no-stream")
    waited = f"no complete answer came within {subject.timeout_s:g} s"
    ways = {
        Outcome.RESET: "the connection was closed before an answer began",
        Outcome.TRUNCATED: "the answer began and stopped before its end",
        Outcome.TIMEOUT: waited,
        Outcome.CANCELLED: waited,
        Outcome.MALFORMED: f"the answer is not one of the {workload.api.value} API",
        Outcome.EXHAUSTED: "this machine has no file descriptor or port left",
    }
    return InputError(f"POST {path}: {ways[outcome]}", where=where, mend=f"look at the server's log, and at {flags}")
