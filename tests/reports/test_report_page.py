"""A rendered page loads nothing, escapes everything, shows every cell and hands out its data."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
from collections.abc import Callable
from typing import Any

import plotly.offline
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan
from holdfast.model.stages import LoadCurve
from holdfast.model.tables import Cell, Column, Table
from holdfast.model.timeline import Timeline
from holdfast.reports import cells, contents, figures, palette
from holdfast.reports.figures import Chart
from holdfast.reports.page import Headline, Page, Points, Section, render

Parse = Callable[[str], Any]

HOSTILE = """</script><img src="http://evil.test/x" onerror='alert(1)'>&<b>"""


@pytest.fixture
def demo(fleet: InferenceFleet, curves: tuple[LoadCurve, ...], plan: Plan, timeline: Timeline) -> str:
    page = contents.demo_page([contents.Measured(fleet, curves)], [plan], timeline, ["Emulated.", "Time runs tenfold."])
    return render(page)


FILLED = Table("filled", (Column("x", "s"), Column("y", "s")), ((1.0, 2.0),))


def chart(data: Table, name: str = "line") -> Chart:
    figure = figures.blank("x [s]", "y [s]").add_scatter(x=[1, 2], y=[1, 2], name=figures.label(name))
    return Chart(f"Chart of {name}", "How to read it.", "What it shows.", figure, data)


def only(*blocks: Any) -> str:
    return render(Page("A page", "Its lead.", sections=(Section("A section", blocks),)))


def test_a_page_refers_only_to_itself(demo: str, parse: Parse) -> None:
    found = [
        (element.tag, name, value)
        for element in parse(demo).walk()
        for name, value in element.attributes.items()
        if name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href", "background")
    ]
    assert found
    assert [item for item in found if not item[2].startswith(("#", "data:"))] == []


def test_styles_load_nothing(demo: str, parse: Parse) -> None:
    css = " ".join(style.own_text for style in parse(demo).all("style"))
    assert "var(--ink)" in css
    assert not re.search(r"url\(|@import|@font-face", css)


def test_browsers_are_told_to_refuse_any_load(demo: str, parse: Parse) -> None:
    policies = [m.attributes["content"] for m in parse(demo).all("meta") if "http-equiv" in m.attributes]
    assert policies == [
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
    ]


def test_plotly_is_inlined_once_and_whole(demo: str, parse: Parse) -> None:
    bundles = [script for script in parse(demo).all("script") if script.attributes.get("id") == "plotly"]
    assert len(bundles) == 1
    assert gzip.decompress(base64.b64decode(bundles[0].own_text)).decode() == plotly.offline.get_plotlyjs()


def test_a_page_with_eight_charts_stays_below_2_5_megabytes(demo: str, parse: Parse) -> None:
    assert len(parse(demo).figures()) == 8
    assert len(demo.encode()) < 2_500_000


def test_a_page_without_charts_carries_no_script(parse: Parse) -> None:
    page = only("Prose.")
    assert parse(page).all("script") == []
    assert len(page) < 20_000


def test_names_from_outside_stay_text_wherever_they_appear(parse: Parse) -> None:
    table = Table(HOSTILE, (Column(HOSTILE, HOSTILE),), ((HOSTILE,),), (HOSTILE,))
    page = Page(
        HOSTILE,
        HOSTILE,
        (HOSTILE,),
        (Headline(HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        (Section(HOSTILE, (HOSTILE, Points((HOSTILE,)), table, chart(FILLED, HOSTILE))), Section("Another", ())),
    )
    root = parse(render(page))
    assert root.all("img") == root.all("b") == []
    assert len(root.all("script")) == 4
    assert all(not name.startswith("on") for element in root.walk() for name in element.attributes)
    assert root.all("h1")[0].own_text == HOSTILE
    assert root.table(" ".join(HOSTILE.split())).rows() == [[" ".join(HOSTILE.split())]]


def test_plotly_is_given_names_that_it_cannot_take_for_markup(parse: Parse) -> None:
    drawn = parse(only(chart(FILLED, HOSTILE))).figures()[0]
    name = drawn["data"][0]["name"]
    assert "<" not in name
    assert "&lt;img" in name


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)
NUMBER = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**9), 10**9) | st.none()


@st.composite
def tables(draw: st.DrawFn) -> Table:
    kinds: list[st.SearchStrategy[Cell]] = draw(st.lists(st.sampled_from([TEXT, NUMBER]), min_size=1, max_size=4))
    columns = tuple(
        Column(f"column {index}", draw(st.sampled_from(["", "s", "requests/s"])), draw(st.sampled_from([None, 0, 3])))
        for index in range(len(kinds))
    )
    return Table("values", columns, tuple(draw(st.lists(st.tuples(*kinds), max_size=4))))


@given(tables())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_cell_of_a_table_is_on_the_page(parse: Parse, table: Table) -> None:
    shown = parse(only(table)).table("values").rows()
    written = [[cells.text(table, r, c) for c in range(len(table.columns))] for r in range(len(table.rows))]
    assert shown == (written or [["No rows."]])


@given(tables().filter(lambda table: bool(table.rows)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_csv_of_a_chart_holds_its_values_in_full(parse: Parse, table: Table) -> None:
    def value(cell: Cell) -> str:
        gap = cell is None or (isinstance(cell, float) and not math.isfinite(cell))
        return "" if gap else str(cell)

    csvs: list[list[list[str]]] = list(parse(only(chart(table), chart(FILLED))).csvs().values())
    header, *rows = csvs[0]
    if chart(table).is_empty:
        assert header == [column.heading for column in FILLED.columns]
        return
    assert header == [column.heading for column in table.columns]
    # csv reads a blank line where the only cell of a row is empty.
    assert [row or [""] for row in rows] == [[value(cell) for cell in row] for row in table.rows]


def test_numbers_and_their_headings_are_right_aligned(parse: Parse) -> None:
    table = Table("t", (Column("unit"), Column("rate", "requests/s", 1)), (("a", 1.25), ("b", None)))
    root = parse(only(table)).table("t")
    name, rate = root.all("thead")[0].all("th")
    assert "num" not in name.classes
    assert "num" in rate.classes
    assert [cell.classes for cell in root.all("td")] == [{"num"}, {"num", "gap"}]
    css = next(style.own_text for style in parse(only(table)).all("style"))
    assert re.search(r"\.num \{ text-align: right;", css)


def test_a_heading_carries_its_unit(parse: Parse) -> None:
    table = Table("t", (Column("unit"), Column("rate", "requests/s", 1)), (("a", 1.25),))
    assert [th.text for th in parse(only(table)).all("thead")[0].all("th")] == ["unit", "rate requests/s"]


@pytest.mark.parametrize("gap", [None, math.nan])
def test_what_was_not_measured_is_a_gap_and_not_a_number(parse: Parse, gap: float | None) -> None:
    table = Table("t", (Column("unit"), Column("rate", "requests/s", 2)), (("a", gap), ("b", 1.0)))
    assert parse(only(table)).table("t").rows() == [["a", "–"], ["b", "1.00"]]


def test_a_page_can_be_walked_by_landmarks_and_headings(demo: str, parse: Parse) -> None:
    root = parse(demo)
    assert [len(root.all(tag)) for tag in ("h1", "header", "main", "footer", "nav")] == [1, 1, 1, 1, 1]
    assert root.all("html")[0].attributes["lang"] == "en"
    ids = [element.attributes["id"] for element in root.walk() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    labels = [e.attributes["aria-labelledby"] for e in root.walk() if "aria-labelledby" in e.attributes]
    assert labels
    assert set(labels) <= set(ids)
    links = [a.attributes["href"][1:] for a in root.all("nav")[0].all("a")]
    assert links
    assert set(links) <= set(ids)


def test_tables_have_captions_and_scopes(demo: str, parse: Parse) -> None:
    for table in parse(demo).all("table"):
        assert table.all("caption")[0].text
        assert {heading.attributes["scope"] for heading in table.all("thead")[0].all("th")} == {"col"}
        assert {heading.attributes["scope"] for heading in table.all("tbody")[0].all("th")} <= {"row"}


def test_every_figure_says_in_words_what_it_shows(demo: str, parse: Parse) -> None:
    plots = [element for element in parse(demo).walk() if "data-figure" in element.attributes]
    assert {plot.attributes["role"] for plot in plots} == {"img"}
    assert all(len(plot.attributes["aria-label"]) > 20 for plot in plots)
    assert len({plot.attributes["aria-label"] for plot in plots}) == len(plots)


def test_provenance_stands_before_the_first_figure(demo: str) -> None:
    assert demo.index("Time runs tenfold.") < demo.index('class="headlines"') < demo.index("<section")


def test_every_colour_drawn_has_a_partner_for_the_dark(demo: str, parse: Parse) -> None:
    root = parse(demo)
    used = {
        value for drawn in root.figures() for value in re.findall(r'color": ?"(#[0-9a-f]{3,6})"', json.dumps(drawn))
    }
    shades = json.loads(next(s.own_text for s in root.all("script") if s.attributes.get("id") == "shades"))
    assert used
    assert used <= set(shades) == set(palette.light_to_dark())


def test_a_page_renders_the_same_twice(fleet: InferenceFleet, timeline: Timeline) -> None:
    page = contents.timeline_page(timeline, fleet.spec.slo)
    assert render(page) == render(page)


def test_an_empty_page_is_still_a_page(parse: Parse) -> None:
    root = parse(render(Page("Nothing", "There was nothing to report.")))
    assert root.all("h1")[0].text == "Nothing"
    assert root.all("nav") == root.all("section") == root.all("aside") == []
