"""The errors that holdfast raises, as one small tree.

x HoldfastError
  + InputError          what a person handed in is wrong; the CLI prints one sentence and exits with 2
    + UnreachableError  the endpoint under test does not answer
    + OutputError       a place to write to cannot be written

"No feasible plan", "this stage is invalid" and "the SLO is broken" are answers, not errors: they come
back as values with their reason.
"""

from __future__ import annotations


class HoldfastError(Exception):
    """Base of every error that holdfast raises on purpose. Its text is a sentence for a person."""


class InputError(HoldfastError):
    """Something that the user gave cannot be used.

    what:  what is wrong, as a sentence without its full stop.
    where: file, line, key or URL that it was found at; empty when the flag itself is the place.
    mend:  what to do about it, as a sentence without its full stop.
    """

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what = what
        self.where = where
        self.mend = mend
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        mend = f"; {self.mend}" if self.mend else ""
        return f"{place}{self.what}{mend}."


class UnreachableError(InputError):
    """The endpoint refused the connection, did not resolve, or did not answer in time."""


class OutputError(InputError):
    """A file or folder that results go to cannot be written."""

    @classmethod
    def of(cls, place: object, error: OSError) -> OutputError:
        """The sentence for what the system said of `place`."""
        return cls(
            f"cannot write results ({error.strerror or error})", where=str(place), mend="give another place with --out"
        )
