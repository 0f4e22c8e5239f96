"""What all tests share: which are live (they run servers, Envoy or whole verbs), no deadline per example, no AWS.

No test may see the price catalogue or the AWS configuration of whoever runs it. Catalogues are read while tests are
collected, so that is seen to before there are fixtures.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline per example: a machine that stalls is no finding.
settings.register_profile("holdfast", deadline=None)
settings.load_profile("holdfast")

TESTS = Path(__file__).parent
for variable in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[variable]
os.environ |= {
    "HOLDFAST_PRICES": str(TESTS / "no-prices-of-ones-own.csv"),
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}

LIVE = ("cli", "local")
"""Folders of live tests; elsewhere a live test's file is named `..._live.py`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    live = [TESTS / place for place in LIVE]
    for item in items:
        if item.path.stem.endswith("_live") or any(item.path.is_relative_to(place) for place in live):
            item.add_marker(pytest.mark.live)
