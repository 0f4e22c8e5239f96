"""The page at /docs in a real browser that can reach nothing but the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.serving.hosted.tasks import Task
from serving.hosted import browser
from serving.hosted.running import running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        browser.CHROMIUM is None, reason="no Chromium is installed; on Debian: apt-get install chromium"
    ),
]


@pytest.mark.parametrize(("width", "dark"), [(1000, False), (390, True)])
def test_it_shows_the_api_and_sends_a_request_without_the_internet(tmp_path: Path, width: int, dark: bool) -> None:
    with running(Task.TEXT_GENERATION) as run, browser.chromium(tmp_path) as tab:
        tab.open(f"{run.client.base_url}/docs", width=width, dark=dark)
        tab.until("document.querySelectorAll('details').length >= 8")
        assert tab.value("document.title") == "holdfast: kelp/double"
        assert tab.value("document.documentElement.scrollWidth") <= width
        tab.value("document.querySelector('details button').click()")
        tab.until("document.querySelector('[role=status]').textContent.startsWith('200')")
        assert '"text": "abc' in tab.value("document.querySelector('pre').textContent")
        assert tab.complaints == []
        assert all(url.startswith((str(run.client.base_url), "data:")) for url in tab.asked)
        tab.screenshot(tmp_path / "docs.png")
        assert (tmp_path / "docs.png").stat().st_size > 10_000
