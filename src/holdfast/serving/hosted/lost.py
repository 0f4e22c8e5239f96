"""When a device is given up. One that lost its context, or its memory, never answers again; another process may."""

from __future__ import annotations

from holdfast.model.errors import HoldfastError

FAILURES = 3
"""In a row, after which the model is tried with what it did before it was ready: requests may be to blame, and must not
be able to end the process."""


class DeviceLostError(HoldfastError):
    """The device fails whatever it is asked. Whoever started the process should start another."""

    @classmethod
    def after(cls, failures: int, error: Exception) -> DeviceLostError:
        """For what the warm-up raised after so many failures."""
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        return cls(f"the device is lost: the model failed {failures} times in a row, and then on its warm-up ({said}).")
