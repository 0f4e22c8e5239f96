"""Which coefficients an accelerator gets, and how wide their error is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from holdfast import catalog
from holdfast.performance import coefficients


def test_every_share_is_a_share_and_no_overhead_is_negative() -> None:
    rows = coefficients.table()

    assert len(rows) >= 9
    for row in rows:
        given = row.coefficients
        assert all(0 < share <= 1 for share in (given.compute, given.memory, given.cache, given.link))
        assert min(given.all_reduce_s, given.layer_s, given.sequence_s, given.step_s) >= 0
        assert given.error > 0 and given.source


def test_a_measured_accelerator_has_its_own() -> None:
    given = coefficients.of(catalog.accelerator("h100"))

    assert not given.borrowed and given.error <= 0.15 and "h100 under vllm" in given.source


def test_another_borrows_from_the_nearest_of_its_vendor_with_a_wider_error() -> None:
    a10g, h200 = (coefficients.of(catalog.accelerator(name)) for name in ("a10g", "h200"))

    assert (a10g.borrowed, h200.borrowed) == ("a100-40gb", "h100")
    assert a10g.error > coefficients.of(catalog.accelerator("a100-40gb")).error
    assert "a10g was not measured" in a10g.source


def test_one_of_a_vendor_without_measurements_borrows_from_a_stranger_with_a_much_wider_error() -> None:
    inferentia2 = coefficients.of(catalog.accelerator("inferentia2"))

    assert inferentia2.borrowed
    assert inferentia2.error > 2 * coefficients.of(catalog.accelerator("a10g")).error


def test_nobody_borrows_from_a_row_that_is_off_or_that_saw_models_of_one_size() -> None:
    rows = {(row.accelerator, row.framework): row for row in coefficients.table()}

    assert not rows["pvc", "vllm"].trusted  # more than half off
    assert not rows["gh200", "vllm"].trusted  # models of 7 and 8 billion alone


def test_a_framework_has_its_own_and_an_unknown_one_says_whose_it_has() -> None:
    h100 = catalog.accelerator("h100")

    assert coefficients.of(h100, "TensorRT-LLM") != coefficients.of(h100)
    assert "nothing was measured under neuronx" in coefficients.of(h100, "neuronx").source


def test_an_unstated_link_is_in_proportion_to_the_memory_of_the_kin() -> None:
    inferentia2 = catalog.accelerator("inferentia2")

    assert inferentia2.link_gb_per_s is None
    assert replace(coefficients.of(inferentia2), borrowed="").link_per_memory == 300 / 1555


def test_the_benchmarks_page_has_the_errors_that_the_package_ships() -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()

    for row in coefficients.table():
        line = rf"\| {row.accelerator} +\| {row.framework} +\|.* {row.coefficients.memory:.0%} \|.*\| +(\S+)% \|\n"
        found = re.search(line, page)
        assert found is not None, row
        assert abs(float(found[1]) / 100 - row.coefficients.error) < 0.001
