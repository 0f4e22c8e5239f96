"""Kubernetes names from a fleet's and its units' names."""

from __future__ import annotations

import hashlib

LONGEST = 63
"""Characters of a DNS label (RFC 1035), which the names of Services must be."""


def label(*parts: str) -> str:
    """The parts joined to a DNS label: at most 63 of `a-z0-9-`, beginning with a letter.

    Where joining loses something (a dot, a leading digit, too many characters) a hash of the parts is
    appended, so that different parts keep different names.
    """
    joined = "-".join(parts)
    plain = joined.replace(".", "-")
    if not plain[0].isalpha():
        plain = f"f-{plain}"
    if plain == joined and len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]
    return f"{plain[: LONGEST - 9].rstrip('-')}-{digest}"
