"""What all tests share: which are live (they run servers, Envoy or whole verbs), and no deadline per example."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# No deadline per example: a machine that stalls is no finding.
settings.register_profile("holdfast", deadline=None)
settings.load_profile("holdfast")

TESTS = Path(__file__).parent
LIVE = ("cli", "local")
"""Folders of live tests; elsewhere a live test's file is named `..._live.py`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    live = [TESTS / place for place in LIVE]
    for item in items:
        if item.path.stem.endswith("_live") or any(item.path.is_relative_to(place) for place in live):
            item.add_marker(pytest.mark.live)
