"""Findings as a plan shows them: the worst first, alike together, each with its likeliest explanation."""

from dataclasses import replace

from holdfast.model.findings import Finding, Severity
from holdfast.model.plan import Plan
from holdfast.reports import findings, page, plan_tables, tabulate, terminal
from holdfast.reports.contents import plan_page

LITTLE = Finding("m.csv", 7, "little", Severity.SUSPICIOUS, "1.3", "1.0", "In flight is off by 31%.", "The loop ended.")


def shown(*found: Finding) -> str:
    return terminal.text(findings.listed(found))


def test_the_explanation_stands_once_below_what_it_explains() -> None:
    assert shown(LITTLE, replace(LITTLE, row=8, message="In flight is off by 40%.")) == (
        "- suspicious: In flight is off by 31%.\n- suspicious: In flight is off by 40%.\n  Likely: the loop ended.\n"
    )


def test_the_worst_goes_first_and_a_check_stays_together() -> None:
    note = replace(LITTLE, severity=Severity.NOTE, check="count", likely="")
    worst = replace(note, severity=Severity.IMPOSSIBLE, message="No.")

    assert [line[:12] for line in shown(note, LITTLE, worst).splitlines()] == [
        "- impossible",
        "- suspicious",
        "  Likely: th",
        "- note: In f",
    ]


def test_of_many_rows_of_one_check_the_last_are_told_by_their_lines_and_nothing_is_lost_on_the_page(plan: Plan) -> None:
    many = tuple(replace(LITTLE, row=row, message=f"Row {row} is off.") for row in range(10, 20))

    text = shown(*many)

    assert "Row 12 is off." in text and "Row 13 is off." not in text
    assert "And 7 more of this kind" in text and "13, 14, 15, 16, 17, 18, 19" in " ".join(text.split())
    html = page.render(plan_page(replace(plan, findings=many)))
    assert all(f"Row {row} is off. Likely: The loop ended." in html for row in range(10, 20))


def test_what_is_said_of_units_is_told_of_each() -> None:
    units = [replace(LITTLE, row=0, check="estimated", message=f"Unit {n} is an estimate.") for n in range(9)]
    left_out = [replace(LITTLE, check="left-out", message=f"Unit {n} is left out.") for n in range(9)]

    text = shown(*units, *left_out)

    assert all(f"Unit {n} is an estimate." in text and f"Unit {n} is left out." in text for n in range(9))


def test_the_table_has_every_finding_with_its_explanation() -> None:
    table = tabulate.findings([LITTLE, replace(LITTLE, likely="")])

    assert table.column("message") == ("In flight is off by 31%. Likely: The loop ended.", "In flight is off by 31%.")


def test_a_plan_says_which_limits_are_estimates_and_how_far_they_err(plan: Plan) -> None:
    first, *others = plan.pools
    mixed = replace(plan, pools=(replace(first, estimate_error=0.24), *others))
    guessed = replace(plan, pools=tuple(replace(pool, estimate_error=0.24) for pool in plan.pools))

    assert plan_tables.surety(plan) == ""
    assert "known from" not in [column.name for column in plan_tables.pools(plan).columns]
    assert plan_tables.surety(mixed) == f"1 of {len(plan.pools)} pools by estimate"
    assert plan_tables.pools(mixed).column("known from")[:2] == ("estimate ±24%", "measured")
    assert "; by estimates alone" in terminal.text(terminal.plan(guessed)).splitlines()[0]
    assert "by estimates alone" in page.render(plan_page(guessed))
