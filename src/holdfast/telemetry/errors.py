"""What goes wrong when metrics are read.

x HoldfastError
  + UnreadError      who keeps the metrics does not answer, or not what was asked
    + NoFigureError  who keeps them answers that there is none: nobody measures, or there is nothing to measure
"""

from __future__ import annotations

from holdfast.model.errors import HoldfastError


class UnreadError(HoldfastError):
    """Metrics could not be read. The text is a sentence that says whom was asked, and why."""


class NoFigureError(UnreadError):
    """There is no figure to read."""
