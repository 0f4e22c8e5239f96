"""A page opened in a real browser draws its figures and complains of nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.model.cost_curve import CostCurve, CostPoint, PoolCost
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan
from holdfast.model.stages import LoadCurve
from holdfast.model.tables import Column, Table
from holdfast.model.timeline import Timeline
from holdfast.reports import contents, figures
from holdfast.reports.page import Page, Section, render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr "
    "--virtual-time-budget=20000 --window-size=1280,1000 --dump-dom"
)
DARK = "--blink-settings=preferredColorScheme=0"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed; on Debian: apt-get install chromium"),
]

Open = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def open_page(tmp_path: Path) -> Open:
    """Opens a page in headless Chromium: the document after its scripts ran, and what the console said."""

    def opened(page: Page, *flags: str) -> tuple[str, list[str]]:
        path = tmp_path / "page.html"
        path.write_text(render(page), encoding="utf-8")
        command = [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={tmp_path / 'profile'}", *flags, path.as_uri()]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            dom, log = process.communicate(timeout=90)
        finally:
            # The browser has children of its own; its session ends with it, whatever happened.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=10)
        return dom, [line for line in log.splitlines() if "CONSOLE" in line]

    return opened


@pytest.fixture
def demo(fleet: InferenceFleet, curves: tuple[LoadCurve, ...], plan: Plan, timeline: Timeline) -> Page:
    return contents.demo_page([contents.Measured(fleet, curves)], [plan], timeline, ["Emulated."])


def drawn(dom: str) -> int:
    return len(re.findall(r'<div class="plot js-plotly-plot"', dom))


def test_every_figure_is_drawn_without_a_complaint(open_page: Open, demo: Page) -> None:
    dom, console = open_page(demo)
    assert console == []
    assert 'data-charts="drawn"' in dom
    assert drawn(dom) == dom.count("data-figure=") == 8
    charts = [block for section in demo.sections for block in section.blocks if isinstance(block, figures.Chart)]
    kinds = [trace.type for chart in charts for trace in chart.figure.data]
    assert len(re.findall(r'class="trace scatter', dom)) == kinds.count("scatter")
    assert len(re.findall(r'class="trace bars', dom)) == kinds.count("bar")


def test_a_cost_curve_is_drawn_as_a_band_per_pool(open_page: Open) -> None:
    points = tuple(
        CostPoint(rate, 3.0 * rate, 0.0, (PoolCost("cheap", 1, rate), PoolCost("dear", 1, 2 * rate)))
        for rate in (1.0, 2.0, 4.0)
    )
    dom, console = open_page(contents.cost_curve_page(CostCurve("pair", "some/model", points)))
    assert console == []
    assert drawn(dom) == 1
    assert len(re.findall(r'<g class="fills">', dom)) == 2


def test_a_dark_screen_gets_the_dark_shades(open_page: Open, demo: Page) -> None:
    dark, console = open_page(demo, DARK)
    light, _ = open_page(demo)
    assert console == []
    blue_dark, blue_light = "stroke: rgb(111, 177, 250)", "stroke: rgb(18, 115, 214)"
    assert (blue_dark in dark, blue_light in dark) == (True, False)
    assert (blue_dark in light, blue_light in light) == (False, True)


def test_a_hostile_name_is_drawn_as_text(open_page: Open) -> None:
    name = """</script><img src=x onerror="console.error('run')"><a href="javascript:console.error('run')">x</a>"""
    figure = figures.blank("x [s]", "y [s]").add_scatter(x=[1, 2], y=[1, 2], name=figures.label(name), showlegend=True)
    table = Table(name, (Column(name), Column("y")), ((name, 1.0),))
    chart = figures.Chart(name, name, name, figure, table)
    dom, console = open_page(Page(name, name, (name,), sections=(Section(name, (name, table, chart)),)))
    assert console == []
    assert drawn(dom) == 1
    assert "<img" not in dom.partition('id="plotly"')[0]
    assert "&lt;img src=x" in dom
