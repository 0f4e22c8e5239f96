"""What clients are told when the fault is not theirs, in the same words by every task."""

from __future__ import annotations

from holdfast.serving.errors import RequestError


def model_failed() -> RequestError:
    """The log has what the model said."""
    return RequestError(500, "The model failed on this request.", code="model_failed")


def shutting_down() -> RequestError:
    return RequestError(503, "The server is shutting down.", code="draining")
