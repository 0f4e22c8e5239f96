"""What all tests share: which are live (they run servers, Envoy or whole verbs), no deadline per example, no AWS.

No test may see the price catalogue or the AWS configuration of whoever runs it. Catalogues are read while tests are
collected, so that is seen to before there are fixtures.

Live tests are run by two processes (`pytest -m live -n 2 --dist loadscope`): those that measure take turns in one of
them, the demo first, while the other runs those that only wait for things to happen.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

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

YOUNG = 100_000
"""Objects that are made before those that nobody holds are looked for; Python has 700."""

LIVE = ("cli", "local")
"""Folders of live tests; elsewhere a live test's file is named `..._live.py`."""
DEMO = "test_demo.py"
MEASURING = (
    DEMO,
    *(f"test_{name}_live.py" for name in ("known_limits", "bench", "generator", "sweeping", "scrape", "inputs")),
)
"""Files of tests that measure, so that they must not do so at the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    live = [TESTS / place for place in LIVE]
    for item in items:
        if item.path.stem.endswith("_live") or any(item.path.is_relative_to(place) for place in live):
            item.add_marker(pytest.mark.live)
    # The longest first; what runs beside it is over when those measure that need a quieter machine.
    items.sort(key=lambda item: item.path.name != DEMO)


def pytest_collection_finish() -> None:
    # Modules and their data stay to the end: not to be looked through a thousand times saves a tenth of all CPU time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Gives all tests that measure to one process, and the others one by one, or a class, to whoever is free."""
    if config.getvalue("dist") != "loadscope":
        return None
    turns = LoadScopeScheduling(config, log)
    turns._split_scope = _taking_turns
    return turns


def _taking_turns(test: str) -> str:
    file, *places = test.partition("[")[0].split("::")
    if file.endswith(MEASURING):
        return "measuring"
    # Tests of one class share a server.
    return f"{file}::{places[0]}" if len(places) > 1 else test
