"""Joining the runs of shards to the run that they were parts of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.model.records import COLUMNS, RequestTable


def joined(tables: Sequence[RequestTable]) -> RequestTable:
    """All rows of these tables, in the order in which they ended; a table that is in that order stays as it is."""
    if not tables:
        return RequestTable.of([])
    whole = RequestTable(**{name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS})
    return whole.take(np.argsort(whole.end_s, kind="stable"))
